// Package bucket reads and writes the S3 buckets that definitions name: the
// documents of components, the logs of builds, exports. A bucket is a folder of
// the data folder, or one of a real S3 service where the configuration names
// its endpoint.
//
// It lies at the bottom of the picture. The server's own blobs are not kept
// here but in package objects.
package bucket
