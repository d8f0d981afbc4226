// Package egress decides where an instance's connections may go: not to the
// host itself, not to link-local services such as a cloud's metadata, and for
// 169.254.169.254 to the instance's own metadata.
//
// Instances have user-mode networks: what they send leaves the host as the
// connections of a helper process (slirp4netns, passt, QEMU). The rules are a
// few instructions in the kernel, attached to the helper's control group, where
// no guest reaches them. See docs/decisions/0095.
package egress
