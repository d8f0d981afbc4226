// Package clients drives stock AWS clients through one story against a running
// server: the AWS CLI as PyPI and as Debian have it, boto3, the AWS SDK for Go
// and the AWS SDK for JavaScript.
//
// The story is a table: calls with their results and errors, written once in the
// API's own words. A driver says each call in its client's way and hands back
// what the client made of the answer. From what came back the test writes
// docs/compatibility-table.md (with -update) or holds that file to it. The
// decision 0070 says why it is done in this way.
package clients
