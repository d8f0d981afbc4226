// Package awstest is a stand-in for the EBS direct API, for AMIs of EC2 and for
// STS in tests of package aws: in memory, over the real wire, and stricter than
// AWS where the API's documents leave no doubt. It holds each request to the
// rules of the public model, keeps what AWS would keep, and fails on demand.
package awstest
