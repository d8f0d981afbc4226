package action

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/windows/registry"
)

// These run on Windows, or where its programs run.

func windowsHost(t *testing.T) *Host {
	t.Helper()
	return &Host{Dir: t.TempDir(), Env: os.Environ(), TempDir: t.TempDir(), Stdout: os.Stderr, Stderr: os.Stderr, Log: func(line string) { t.Log(line) }}
}

func perform(t *testing.T, h *Host, name string, entries ...map[string]any) (Result, error) {
	t.Helper()
	m := Lookup(name)
	var in Inputs
	for _, e := range entries {
		in.Entries = append(in.Entries, NewEntry(m, e))
	}
	return m.Run(context.Background(), h, in)
}

func TestNativeRegistry(t *testing.T) {
	const path = `HKCU:\Software\Goldsmith Test\below`
	t.Cleanup(func() {
		_ = registry.DeleteKey(registry.CURRENT_USER, `Software\Goldsmith Test\below`)
		_ = registry.DeleteKey(registry.CURRENT_USER, `Software\Goldsmith Test`)
	})
	_, err := perform(t, windowsHost(t), "SetRegistry",
		map[string]any{"path": path, "name": "sz", "value": "text", "type": "SZ"},
		map[string]any{"path": path, "name": "expand", "value": "%PATH%", "type": "EXPAND_SZ"},
		map[string]any{"path": path, "name": "multi", "value": []string{"a", "b"}, "type": "MULTI_SZ"},
		map[string]any{"path": path, "name": "dword", "value": "-1", "type": "DWORD"},
		map[string]any{"path": path, "name": "qword", "value": "0x100000000", "type": "QWORD"},
		map[string]any{"path": path, "name": "binary", "value": []string{"1", "255"}, "type": "BINARY"},
		map[string]any{"path": path, "name": "", "value": "the default", "type": "SZ"},
	)
	if err != nil {
		t.Fatal(err)
	}
	k, err := registry.OpenKey(registry.CURRENT_USER, `Software\Goldsmith Test\below`, registry.QUERY_VALUE)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for name, want := range map[string]string{"sz": "text", "expand": "%PATH%", "": "the default"} {
		if got, _, err := k.GetStringValue(name); got != want || err != nil {
			t.Errorf("%q is %q, %v", name, got, err)
		}
	}
	for name, want := range map[string]uint64{"dword": 1<<32 - 1, "qword": 1 << 32} {
		if got, _, err := k.GetIntegerValue(name); got != want || err != nil {
			t.Errorf("%q is %d, %v", name, got, err)
		}
	}
	if got, _, err := k.GetStringsValue("multi"); !cmp.Equal(got, []string{"a", "b"}) || err != nil {
		t.Errorf("multi is %q, %v", got, err)
	}
	if got, _, err := k.GetBinaryValue("binary"); !cmp.Equal(got, []byte{1, 255}) || err != nil {
		t.Errorf("binary is %v, %v", got, err)
	}
}

func TestNativePrograms(t *testing.T) {
	r, err := perform(t, windowsHost(t), "ExecuteBinary", map[string]any{"path": "cmd.exe", "arguments": []string{"/c", "echo hello"}})
	if err != nil || r.Outputs[0]["stdout"] != "hello" {
		t.Errorf("got %+v, %v", r, err)
	}
	r, err = perform(t, windowsHost(t), "ExecuteBinary", map[string]any{"path": "cmd.exe", "arguments": []string{"/c", "exit 3010"}})
	if err != nil || r.Reboot != RebootAgain {
		t.Errorf("got %+v, %v", r, err)
	}
	var exit *ExitError
	_, err = perform(t, windowsHost(t), "ExecuteBinary", map[string]any{"path": "cmd.exe", "arguments": []string{"/c", "exit 7"}})
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("got %v", err)
	}
}

// TestNativeMSI installs, repairs and removes the package that
// GOLDSMITH_TEST_MSI names.
func TestNativeMSI(t *testing.T) {
	file := os.Getenv("GOLDSMITH_TEST_MSI")
	if file == "" {
		t.Skip("GOLDSMITH_TEST_MSI names no package to install")
	}
	h := windowsHost(t)
	if _, err := perform(t, h, "InstallMSI", map[string]any{"path": file}); !errors.Is(err, errNotSigned) {
		t.Errorf("a package without a signature gave %v", err)
	}
	in := map[string]any{"path": file, "allowUnsignedInstaller": true, "logFile": `logs\msi.log`}
	for _, step := range []struct {
		module    string
		installed bool
	}{{"InstallMSI", true}, {"InstallMSI", true}, {"UninstallMSI", false}, {"UninstallMSI", false}} {
		r, err := perform(t, h, step.module, in)
		if err != nil {
			t.Fatalf("%s: %v (%+v)", step.module, err, r)
		}
		if p, err := productOf(file); err != nil || p.installed != step.installed {
			t.Errorf("after %s installed is %v, %v", step.module, p.installed, err)
		}
		if info, err := os.Stat(filepath.Join(h.Dir, "logs", "msi.log")); err != nil || info.Size() == 0 {
			t.Errorf("no log: %v", err)
		}
	}
	broken := filepath.Join(h.Dir, "broken.msi")
	if err := os.WriteFile(broken, []byte("no package"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := perform(t, h, "InstallMSI", map[string]any{"path": broken, "ignoreAuthenticodeSignatureErrors": true}); err == nil {
		t.Error("a file that is no package was installed")
	}
}
