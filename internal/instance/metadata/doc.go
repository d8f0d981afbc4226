// Package metadata is the instance metadata service that guests find at
// 169.254.169.254: versions 1 and 2 of what EC2 has there, as far as an instance
// of this server has an answer.
//
// It stands beside the kinds of instances: package egress leads a guest's
// connections to it, the engine says what it answers.
package metadata
