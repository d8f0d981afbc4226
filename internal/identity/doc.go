// Package identity says who is calling: the account and region a request
// acts in, and the principal behind its access key.
//
// It is a leaf: the wire puts a Caller into the request's context after the
// signature was verified, and the services read it from there.
package identity
