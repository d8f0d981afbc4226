// Package aws distributes an image to an account of AWS with the real program,
// against the stand-in of package awstest: killed in the middle, refused in one
// region, retried, and removed again.
package aws
