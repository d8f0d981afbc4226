// Command toe runs and checks component documents.
package main

import (
	"os"

	"github.com/goldsmith-build/goldsmith/toe/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, extra()...))
}
