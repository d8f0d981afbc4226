// Package cli is the command line of the component executor: flags, the config
// file, what is printed, and exit statuses. cmd/toe and "goldsmith toe" are
// thin wrappers around it.
package cli
