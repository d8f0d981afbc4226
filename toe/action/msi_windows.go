package action

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// signatureOf checks a file's Authenticode signature, as Get-AuthenticodeSignature
// does, but without PowerShell. Revocation is not asked for: it needs a network.
func signatureOf(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	data := &windows.WinTrustData{
		Size: uint32(unsafe.Sizeof(windows.WinTrustData{})), UIChoice: windows.WTD_UI_NONE,
		RevocationChecks: windows.WTD_REVOKE_NONE, UnionChoice: windows.WTD_CHOICE_FILE, StateAction: windows.WTD_STATEACTION_VERIFY,
		FileOrCatalogOrBlobOrSgnrOrCert: unsafe.Pointer(&windows.WinTrustFileInfo{Size: uint32(unsafe.Sizeof(windows.WinTrustFileInfo{})), FilePath: name}),
	}
	err = windows.WinVerifyTrustEx(windows.InvalidHWND, &windows.WINTRUST_ACTION_GENERIC_VERIFY_V2, data)
	data.StateAction = windows.WTD_STATEACTION_CLOSE
	_ = windows.WinVerifyTrustEx(windows.InvalidHWND, &windows.WINTRUST_ACTION_GENERIC_VERIFY_V2, data)
	switch err {
	case nil:
		return nil
	case windows.Errno(windows.TRUST_E_NOSIGNATURE), windows.Errno(windows.TRUST_E_SUBJECT_FORM_UNKNOWN), windows.Errno(windows.TRUST_E_PROVIDER_UNKNOWN):
		return errNotSigned
	}
	return err
}

var (
	msiDLL             = windows.NewLazySystemDLL("msi.dll")
	openPackage        = msiDLL.NewProc("MsiOpenPackageExW")
	productProperty    = msiDLL.NewProc("MsiGetProductPropertyW")
	queryProductState  = msiDLL.NewProc("MsiQueryProductStateW")
	closeHandle        = msiDLL.NewProc("MsiCloseHandle")
	productIsInstalled = uintptr(5) // INSTALLSTATE_DEFAULT
)

// productOf asks Windows Installer whether a package's product is installed.
func productOf(path string) (product, error) {
	const ignoreMachineState = 1
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return product{}, err
	}
	var handle uint32
	if status, _, _ := openPackage.Call(uintptr(unsafe.Pointer(name)), ignoreMachineState, uintptr(unsafe.Pointer(&handle))); status != 0 {
		if text := msiFailures[int(status)]; text != "" {
			return product{}, fmt.Errorf("%s (%d)", text, status)
		}
		return product{}, fmt.Errorf("Windows Installer answers %d", status)
	}
	defer func() { _, _, _ = closeHandle.Call(uintptr(handle)) }()
	key, err := windows.UTF16PtrFromString("ProductCode")
	if err != nil {
		return product{}, err
	}
	var code [64]uint16 // a GUID in braces has 38
	size := uint32(len(code))
	if status, _, _ := productProperty.Call(uintptr(handle), uintptr(unsafe.Pointer(key)), uintptr(unsafe.Pointer(&code[0])), uintptr(unsafe.Pointer(&size))); status != 0 {
		return product{}, fmt.Errorf("the package has no product code (%d)", status)
	}
	state, _, _ := queryProductState.Call(uintptr(unsafe.Pointer(&code[0])))
	return product{installed: state == productIsInstalled}, nil
}
