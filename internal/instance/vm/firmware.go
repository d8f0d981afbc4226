package vm

import (
	"errors"
	"os"
)

// firmware is a UEFI firmware: its code, and the variables that each machine
// gets a copy of.
type firmware struct{ code, vars string }

// findFirmware looks where distributions put OVMF.
func findFirmware() (*firmware, error) {
	for _, f := range []firmware{
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},         // Debian, Ubuntu
		{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},               // older ones
		{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},     // Fedora
		{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"}, // Arch
	} {
		if readable(f.code) && readable(f.vars) {
			return &f, nil
		}
	}
	return nil, errors.New("no UEFI firmware found")
}

func readable(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
