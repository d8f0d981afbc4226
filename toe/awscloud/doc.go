// Package awscloud lets documents reach AWS, or whatever speaks its protocols:
// objects in S3, values of Parameter Store, instance metadata, and components
// of Image Builder.
//
// It implements toe.Cloud with the AWS SDK and its ordinary chain of
// credentials, regions and endpoints. Nothing is asked for, not even
// credentials, before a document needs it.
package awscloud
