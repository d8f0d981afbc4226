// Package gate decides about every request on the port, between its check
// against the model and its operation: which permissions it takes, on which
// resources, and whether its caller has them.
//
// It stands between the wire, which asks it, and internal/access, which
// evaluates policies. Which permissions an operation takes are tables, one per
// service, after Amazon's Service Authorization Reference; an operation without
// an entry is refused, and a test holds the tables to the generated services.
package gate
