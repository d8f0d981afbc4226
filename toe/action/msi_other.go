//go:build !windows

package action

import "errors"

var errOnlyWindows = errors.New("only Windows has Windows Installer")

func signatureOf(string) error { return errOnlyWindows }

func productOf(string) (product, error) { return product{}, errOnlyWindows }
