//go:build !windows

package action

import "errors"

func writeRegistry(string, string, string, registryValue) error {
	return errors.New("only Windows has a registry")
}
