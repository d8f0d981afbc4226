// Package kms has the master keys that disks at rest are encrypted under: those
// of the configuration, and a default one of every account and region. They are
// known by the names that AWS KMS gives them: ARN, key id, alias. A key wraps
// data keys and does nothing else; where it lies, in the data folder, in AWS KMS
// or in Vault, is its Keeper's business.
//
// It lies below internal/disk, whose data keys it wraps, and internal/cloud,
// which asks whose key a name stands for.
package kms
