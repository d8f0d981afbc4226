// Package sts is the Security Token Service: it tells callers who they are, and
// hands out sessions of roles to those whom a role trusts.
//
// It is a service beside internal/imagebuilder and internal/cloud: the wire
// calls it through the generated interface, and it knows principals and
// sessions, but no resource.
package sts
