package action

import (
	"fmt"

	"golang.org/x/sys/windows/registry"
)

var registryKeys = map[string]registry.Key{
	"HKCR": registry.CLASSES_ROOT, "HKU": registry.USERS, "HKLM": registry.LOCAL_MACHINE,
	"HKCC": registry.CURRENT_CONFIG, "HKCU": registry.CURRENT_USER,
}

// writeRegistry sets a value in the view of the registry that 64-bit programs
// have, also from a 32-bit build.
func writeRegistry(root, key, name string, v registryValue) error {
	k, _, err := registry.CreateKey(registryKeys[root], key, registry.SET_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return fmt.Errorf(`opening the key %s\%s: %w`, root, key, err)
	}
	defer k.Close()
	switch v.kind {
	case "SZ":
		err = k.SetStringValue(name, v.text)
	case "EXPAND_SZ":
		err = k.SetExpandStringValue(name, v.text)
	case "MULTI_SZ":
		err = k.SetStringsValue(name, v.texts)
	case "DWORD":
		err = k.SetDWordValue(name, uint32(v.number))
	case "QWORD":
		err = k.SetQWordValue(name, v.number)
	case "BINARY":
		err = k.SetBinaryValue(name, v.bytes)
	}
	if err != nil {
		return fmt.Errorf(`setting %s in %s\%s: %w`, name, root, key, err)
	}
	return nil
}
