//go:build unix

package action

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The modules that only Windows has, as far as they can be tried elsewhere:
// the programs they start are scripts that print what they were given.

const printArguments = "#!/bin/sh\nprintf '<%s>' \"$@\"\n"

// systemFolder gives a host a System32 folder with programs of one's own.
func systemFolder(t *testing.T, h *Host, programs map[string]string) {
	t.Helper()
	root := t.TempDir()
	for name, script := range programs {
		path := filepath.Join(root, "System32", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, script, 0o755)
	}
	h.Env = append(h.Env, "systemroot="+root)
}

// runOn calls a module's work on a platform that has no such module.
func runOn(t *testing.T, h *Host, name string, in fields) (Result, error) {
	t.Helper()
	m := Lookup(name)
	r, err := m.run(context.Background(), h, Inputs{Entries: []Entry{NewEntry(m, in)}})
	record(t, m, in, r)
	return r, err
}

func TestOnlyWindows(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ExecutePowerShell", "InstallMSI", "UninstallMSI", "SetRegistry"} {
		m := Lookup(name)
		if m.Available() || m.run == nil {
			t.Errorf("%s is available here, or nowhere", name)
		}
		_, err := m.Run(context.Background(), newHost(t), Inputs{})
		wantError(t, err, "the action "+name+" does not exist on linux, only on windows")
	}
}

func TestExecutePowerShell(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const shell = "WindowsPowerShell/v1.0/powershell.exe"
	systemFolder(t, h, map[string]string{shell: "#!/bin/sh\nprintf '%s ' \"$@\"; cat \"$7\"; exit 5\n"})
	r, err := runOn(t, h, "ExecutePowerShell", fields{"commands": []string{"Write-Host 'ü'", "exit 5"}})
	wantError(t, err, "exit status 5")
	flags, script, ok := strings.Cut(r.Outputs[0]["stdout"], "script.ps1 ")
	if !ok || !strings.HasPrefix(flags, "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "+h.TempDir) {
		t.Errorf("flags %q", flags)
	}
	if script != "\ufeffWrite-Host 'ü'\r\nexit 5" { // the last line end goes with those of the output
		t.Errorf("script %q", script)
	}
	if left, err := os.ReadDir(h.TempDir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	write(t, filepath.Join(h.Dir, "a b.ps1"), "from the file", 0o600)
	if r, _ := runOn(t, h, "ExecutePowerShell", fields{"file": "a b.ps1"}); !strings.HasSuffix(r.Outputs[0]["stdout"], "/a b.ps1 from the file") {
		t.Errorf("stdout %q", r.Outputs[0]["stdout"])
	}
	write(t, filepath.Join(h.Dir, "a.txt"), "", 0o600)
	for file, want := range map[string]string{"none.ps1": "no such file", "a.txt": "does not end in .ps1", ".": "is a folder"} {
		_, err := runOn(t, h, "ExecutePowerShell", fields{"file": file})
		wantError(t, err, want)
	}
	h.Env = []string{"PATH=/nowhere"}
	_, err = runOn(t, h, "ExecutePowerShell", fields{"commands": []string{"x"}})
	wantError(t, err, "powershell.exe was found neither in the system's folder nor on PATH")
}

// msi is an installer whose system answers what a test wants.
func msi(verb string, signature error, installed bool) *installer {
	return &installer{
		module: map[string]string{"/i": "InstallMSI", "/x": "UninstallMSI"}[verb], verb: verb,
		signature: func(string) error { return signature },
		installed: func(string) (product, error) { return product{installed}, nil },
	}
}

func (i *installer) try(t *testing.T, h *Host, in fields) (Result, error) {
	t.Helper()
	r, err := i.run(context.Background(), h, Inputs{Entries: []Entry{NewEntry(Lookup(i.module), in)}})
	record(t, Lookup(i.module), in, r)
	return r, err
}

func TestMSICommandLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		verb      string
		installed bool
		inputs    fields
		want      string
	}{
		{"install", "/i", false, fields{}, "</i><DIR/a b.msi></qn><REBOOT=ReallySuppress>"},
		{"again", "/i", true, fields{}, "</i><DIR/a b.msi></qn><REBOOT=ReallySuppress><REINSTALLMODE=ecmus><REINSTALL=ALL>"},
		{"uninstall", "/x", true, fields{}, "</x><DIR/a b.msi></qn><REBOOT=ReallySuppress>"},
		{"log", "/i", false, fields{"logFile": "logs/a b.log"}, "</i><DIR/a b.msi></qn><REBOOT=ReallySuppress></L*VX><DIR/logs/a b.log>"},
		{"log options", "/x", false, fields{"logFile": "l", "logOptions": "i!"}, "</x><DIR/a b.msi></qn><REBOOT=ReallySuppress></Li!><DIR/l>"},
		{"uninstall with properties", "/x", false, fields{"properties": map[string]string{"A": "b"}, "reboot": "Skip"}, "</x><DIR/a b.msi></qn><REBOOT=ReallySuppress><A=b>"},
		{"reboot", "/i", false, fields{"reboot": "Skip"}, "</i><DIR/a b.msi></qn><REBOOT=ReallySuppress>"},
		{"options without log", "/i", false, fields{"logOptions": "i"}, "</i><DIR/a b.msi></qn><REBOOT=ReallySuppress>"},
		{
			"properties", "/i", false, fields{"properties": map[string]string{"Z": `say "hi"`, "A.B": `C:\x y\`, "EMPTY": ""}},
			`</i><DIR/a b.msi></qn><REBOOT=ReallySuppress><A.B=C:\x y\><EMPTY=><Z=say "hi">`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			systemFolder(t, h, map[string]string{"msiexec.exe": printArguments})
			write(t, filepath.Join(h.Dir, "a b.msi"), "", 0o600)
			tc.inputs["path"] = "a b.msi"
			r, err := msi(tc.verb, nil, tc.installed).try(t, h, tc.inputs)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(r.Outputs[0]["stdout"], h.Dir, "DIR"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			log := r.Outputs[0]["logFile"]
			if name, _ := tc.inputs["logFile"].(string); name == "" && log != "" || name != "" && log != filepath.Join(h.Dir, name) {
				t.Errorf("logFile %q", log)
			}
		})
	}
}

// TestMSIQuoting: what stands on the command line of Windows, where quotes
// decide what is one argument.
func TestMSIQuoting(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	properties, err := msiProperties(map[string]string{"A": `x" REBOOT="Force`, "B": "a b"})
	if err != nil {
		t.Fatal(err)
	}
	args, err := msi("/i", nil, false).arguments(h, NewEntry(Lookup("InstallMSI"), fields{}), `C:\a b.msi`, properties)
	want := []string{"/i", `"C:\a b.msi"`, "/qn", "REBOOT=ReallySuppress", `A="x"" REBOOT=""Force"`, `B="a b"`}
	if diff := cmp.Diff(want, args); err != nil || diff != "" {
		t.Error(err, diff)
	}
	for name, values := range map[string]map[string]string{
		"cannot be changed":             {"Reinstall": "x"},
		"is not the name of a property": {"A B": "x"},
		"several lines":                 {"A": "x\ny"},
	} {
		_, err := msiProperties(values)
		wantError(t, err, name)
	}
}

func TestMSIOutcome(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		verb, mode string
		code       int
		reboot     Reboot
		err        string
	}{
		{"/i", "Allow", 0, NoReboot, ""},
		{"/i", "Allow", 3010, RebootNext, ""},
		{"/i", "Allow", 1641, RebootNext, ""},
		{"/i", "Skip", 3010, NoReboot, ""},
		{"/i", "Force", 0, RebootNext, ""},
		{"/i", "Force", 1603, NoReboot, "msiexec ended with status 1603: a fatal error during the installation"},
		{"/i", "Allow", 1614, NoReboot, ""},
		{"/i", "Allow", 1605, NoReboot, "msiexec ended with status 1605: the product is not installed"},
		{"/x", "Allow", 1605, NoReboot, ""},
		{"/x", "Allow", 3010, RebootNext, ""},
		{"/x", "Allow", 194, NoReboot, "msiexec ended with status 194"},
	} {
		i := msi(tc.verb, nil, false)
		var err error
		if tc.code != 0 {
			err = &ExitError{Code: tc.code}
		}
		r, err := i.settle(newHost(t), NewEntry(Lookup(i.module), fields{"reboot": tc.mode}), Result{Outputs: []Output{{}}}, err)
		if r.Reboot != tc.reboot || errorText(err) != tc.err {
			t.Errorf("%+v: reboot %v, error %v", tc, r.Reboot, err)
		}
	}
	// A program that was stopped has no status.
	if _, err := msi("/i", nil, false).settle(newHost(t), Entry{}, Result{}, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestMSISignature(t *testing.T) {
	t.Parallel()
	bad := errors.New("the digest does not fit")
	for _, tc := range []struct {
		signature      error
		unsigned, skip bool
		err            string
	}{
		{nil, false, false, ""},
		{errNotSigned, false, false, "is not signed"},
		{errNotSigned, true, false, ""},
		{errNotSigned, false, true, ""},
		{bad, false, false, "the digest does not fit"},
		{bad, true, false, "the digest does not fit"},
		{bad, false, true, ""},
	} {
		h := newHost(t)
		systemFolder(t, h, map[string]string{"msiexec.exe": "#!/bin/sh\ntouch \"$PWD/ran\"\n"})
		write(t, filepath.Join(h.Dir, "a.msi"), "", 0o600)
		var err error
		for _, verb := range []string{"/x", "/i"} {
			_ = os.Remove(filepath.Join(h.Dir, "ran"))
			_, err = msi(verb, tc.signature, false).try(t, h, fields{
				"path": "a.msi", "allowUnsignedInstaller": tc.unsigned, "ignoreAuthenticodeSignatureErrors": tc.skip,
			})
		}
		if got := errorText(err); tc.err == "" && got != "" || !strings.Contains(got, tc.err) {
			t.Errorf("%+v: %v", tc, err)
		}
		if _, err := os.Stat(filepath.Join(h.Dir, "ran")); (err == nil) != (tc.err == "") {
			t.Errorf("%+v: an installer with a bad signature ran, or one with a good one did not", tc)
		}
	}
}

// TestMSISources: installers are brought here before they run.
func TestMSISources(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	systemFolder(t, h, map[string]string{"msiexec.exe": "#!/bin/sh\nprintf '%s ' \"$2\"; cat \"$2\"\n"})
	h.Cloud = &fakeCloud{owner: "1", objects: map[string]string{"b/dir/x 1.msi": "from S3"}}
	server, _ := newServer(t)
	for source, want := range map[string]string{
		"s3://b/dir/x 1.msi":           "/installer.msi from S3",
		server.URL + "/file.txt?a=b":   "/file.txt content",
		server.URL + "/dir/%2e%2e.msi": "404 Not Found",
		"s3://b/none":                  "no such key",
		"none.msi":                     "no such file",
		`a" REBOOT="Force`:             "holds a character that no file's name has",
	} {
		r, err := msi("/i", nil, false).try(t, h, fields{"path": source})
		got := errorText(err)
		if err == nil {
			got = r.Outputs[0]["stdout"]
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s gave %q, want %q", source, got, want)
		}
	}
	if left, err := os.ReadDir(h.TempDir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestRegistryPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		`HKLM:\SOFTWARE\Acme`:               `HKLM SOFTWARE\Acme`,
		`HKEY_LOCAL_MACHINE\SOFTWARE\A/B`:   `HKLM SOFTWARE\A/B`,
		`hkcu:\Software\Test\`:              `HKCU Software\Test`,
		"HKU:/.DEFAULT/X":                   `HKU .DEFAULT\X`,
		`HKEY_CLASSES_ROOT\.txt`:            `HKCR .txt`,
		`HKEY_CURRENT_CONFIG\Software`:      `HKCC Software`,
		`HKLM:\`:                            "names a root of the registry",
		`HKLM:`:                             "names a root of the registry",
		`SOFTWARE\Acme`:                     "must begin with a registry root",
		`HKLM:\a\\b`:                        "which no key has",
		`HKLM:\` + strings.Repeat("a", 256): "which no key has",
	} {
		root, key, err := splitRegistryPath(path)
		got := root + " " + key
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || !strings.Contains(got, want) {
			t.Errorf("%s gave %q, want %q", path, got, want)
		}
	}
}

func TestRegistryValue(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind  string
		texts []string
		list  bool
		want  registryValue
		err   string
	}{
		{kind: "SZ", texts: []string{""}, want: registryValue{kind: "SZ"}},
		{kind: "EXPAND_SZ", texts: []string{"%PATH%"}, want: registryValue{kind: "EXPAND_SZ", text: "%PATH%"}},
		{kind: "SZ", texts: []string{"a\x00b"}, err: "NUL"},
		{kind: "SZ", texts: []string{"a", "b"}, list: true, err: "a SZ is one value, not a list"},
		{kind: "MULTI_SZ", texts: []string{"a", "b"}, list: true, want: registryValue{kind: "MULTI_SZ", texts: []string{"a", "b"}}},
		{kind: "MULTI_SZ", texts: []string{"a"}, want: registryValue{kind: "MULTI_SZ", texts: []string{"a"}}},
		{kind: "MULTI_SZ", texts: []string{"a", ""}, list: true, err: "cannot hold an empty text"},
		{kind: "DWORD", texts: []string{"3"}, want: registryValue{kind: "DWORD", number: 3}},
		{kind: "DWORD", texts: []string{"1.1"}, want: registryValue{kind: "DWORD", number: 1}}, // the user guide's example
		{kind: "DWORD", texts: []string{"2.5"}, want: registryValue{kind: "DWORD", number: 2}},
		{kind: "DWORD", texts: []string{"3.5"}, want: registryValue{kind: "DWORD", number: 4}},
		{kind: "DWORD", texts: []string{"-1.6"}, want: registryValue{kind: "DWORD", number: 1<<32 - 2}},
		{kind: "DWORD", texts: []string{"0xff"}, want: registryValue{kind: "DWORD", number: 255}},
		{kind: "DWORD", texts: []string{"-1"}, want: registryValue{kind: "DWORD", number: 1<<32 - 1}},
		{kind: "DWORD", texts: []string{"4294967295"}, want: registryValue{kind: "DWORD", number: 1<<32 - 1}},
		{kind: "DWORD", texts: []string{"4294967296"}, err: "is no number of 32 bits"},
		{kind: "DWORD", texts: []string{"-2147483649"}, err: "is no number of 32 bits"},
		{kind: "DWORD", texts: []string{"1e999999999"}, err: "is no number of 32 bits"},
		{kind: "DWORD", texts: []string{"1_000"}, err: "is no number of 32 bits"},
		{kind: "DWORD", texts: []string{""}, err: "is no number of 32 bits"},
		{kind: "QWORD", texts: []string{"18446744073709551615"}, want: registryValue{kind: "QWORD", number: 1<<64 - 1}},
		{kind: "QWORD", texts: []string{"18446744073709551616"}, err: "is no number of 64 bits"},
		{kind: "BINARY", texts: []string{"1", "0xff", "0"}, list: true, want: registryValue{kind: "BINARY", bytes: []byte{1, 255, 0}}},
		{kind: "BINARY", texts: []string{"10"}, want: registryValue{kind: "BINARY", bytes: []byte{10}}},
		{kind: "BINARY", texts: []string{"hex:10,ff"}, want: registryValue{kind: "BINARY", bytes: []byte{16, 255}}},
		{kind: "BINARY", texts: []string{"hex:"}, want: registryValue{kind: "BINARY", bytes: []byte{}}},
		{kind: "BINARY", texts: []string{"256"}, list: true, err: "is no byte"},
		{kind: "NONE", texts: []string{"x"}, err: "type must be one of BINARY"},
	} {
		got, err := parseRegistryValue(tc.kind, tc.texts, tc.list)
		if tc.err != "" {
			wantError(t, err, tc.err)
			continue
		}
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(registryValue{})); err != nil || diff != "" {
			t.Errorf("%+v: %v %s", tc, err, diff)
		}
	}
}

// TestSetRegistry goes as far as to the registry itself.
func TestSetRegistry(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]fields{
		"only Windows has a registry":          {"path": `HKLM:\SOFTWARE\Acme`, "name": "Ver", "value": "3", "type": "DWORD"},
		"the value of Ver: \"x\" is no number": {"path": `HKLM:\SOFTWARE\Acme`, "name": "Ver", "value": "x", "type": "DWORD"},
		"path must begin with":                 {"path": `Acme`, "name": "Ver", "value": "x", "type": "SZ"},
		"a DWORD is one value, not a list":     {"path": `HKLM:\A`, "name": "Ver", "value": []string{"1"}, "type": "DWORD"},
	} {
		_, err := runOn(t, newHost(t), "SetRegistry", in)
		wantError(t, err, want)
	}
}

func FuzzRegistryValue(f *testing.F) {
	for _, s := range []string{"3", "0xff", "-1", "1.5", "hex:01,ff", "", "1e9"} {
		for _, kind := range registryTypes {
			f.Add(kind, s, false)
		}
	}
	f.Fuzz(func(t *testing.T, kind, text string, list bool) {
		v, err := parseRegistryValue(kind, []string{text}, list)
		if err == nil && kind == "DWORD" && v.number >= 1<<32 {
			t.Errorf("%q became the DWORD %d", text, v.number)
		}
	})
}

func TestWindowsUpdate(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	systemFolder(t, h, map[string]string{"WindowsPowerShell/v1.0/powershell.exe": "#!/bin/sh\ncat \"$8\" - \"$9\" < \"$7\"\n"})
	r, err := windowsUpdate(context.Background(), h, []string{"KB123", "456", "2024-*.NET ('x')"}, []string{"*Preview*"})
	if err != nil {
		t.Fatal(err)
	}
	got := r.Outputs[0]["stdout"]
	if want := "\ufeffKB 123\r\nKB 456\r\nTITLE ^2024-.*\\.NET \\('x'\\)$\r\n\ufeff# Installs"; !strings.HasPrefix(got, want) {
		t.Errorf("include %q", got[:min(len(got), 100)])
	}
	if want := "\ufeffTITLE ^.*Preview.*$"; !strings.HasSuffix(got, want) {
		t.Errorf("exclude %q", got[max(0, len(got)-100):])
	}
	for _, name := range []string{"", " ", "a\nb"} {
		_, err := windowsUpdate(context.Background(), h, nil, []string{name})
		wantError(t, err, "exclude: ")
	}
}
