// Package wire answers AWS clients: it verifies who is calling, finds the
// operation, decodes its input, checks it against the model, calls the service
// and sends the output or the error in the shape that the client expects.
//
// One Handler serves every service on one port: the service and the region are
// those of the signature's credential scope. It stands between net/http and
// the packages below api/, and knows no resource.
package wire
