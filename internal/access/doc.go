// Package access is IAM's policy language and its evaluation: it reads policy
// documents, knows the principals of a server (users, roles, their sessions and
// the organisations of their accounts), and decides whether one of them may do
// something.
//
// It is a leaf beside identity: the configuration builds its Directory, the
// gate asks it about every request, and the services ask it who may use what
// another account shares. Rules are those of the IAM User Guide, "Policy
// reference"; what is not understood is refused when a policy is read, because
// a statement that is silently passed over may be a Deny.
package access
