// Package wiretest helps tests that speak to a wire.Handler: fixed access keys
// and requests signed by the AWS SDK's own signer.
//
// It is for tests of any room; nothing that runs in a server imports it.
package wiretest
