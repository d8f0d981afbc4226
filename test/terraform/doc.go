// Package terraform runs Terraform with the AWS provider against a server: the
// example of the README, and every resource and data source that the provider
// has for Image Builder, through apply, an empty plan, changes, drift, import and
// destroy. docs/terraform.md says what a machine needs for it.
package terraform
