// Package version is the program's own version, set when it is linked.
package version

// Version is a tag or a commit: "v0.1.0", "3f2a1bc".
var Version = "dev"
