package vm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

// script makes a stand-in for QEMU.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "qemu")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTrialOfKVM(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		qemu string
		kvm  bool
		why  string
	}{
		"a kernel boots":             {"echo; echo '[    0.000000] Linux version 6.1.0'; exec sleep 60", true, ""},
		"the line comes in pieces":   {"printf 'Linux ver'; sleep 0.1; printf 'sion 6.1'; exec sleep 60", true, ""},
		"firmware, then silence":     {"echo SeaBIOS; exec sleep 60", false, "did not print its first line within 2s"},
		"a decompressor, and babble": {"while :; do echo Decompressing; done", false, "did not print its first line within 2s"},
		"QEMU refuses":               {"echo 'failed to set MSR 0x10a' >&2; exit 1", false, "failed to set MSR 0x10a"},
		"QEMU ends":                  {"exit 0", false, "QEMU could not use KVM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kvm, why := bootsUnderKVM(t.Context(), script(t, test.qemu), "/dev/null")
			if kvm != test.kvm || !strings.Contains(why, test.why) {
				t.Errorf("bootsUnderKVM = %t, %q; want %t, %q", kvm, why, test.kvm, test.why)
			}
		})
	}
}

func TestTrialIsRemembered(t *testing.T) {
	t.Parallel()
	k := New(Options{Cache: filepath.Join(t.TempDir(), "new")})
	if _, ok := k.recall("a"); ok {
		t.Error("something was remembered from the start")
	}
	want := outcome{Key: "a", KVM: true, Why: "x"}
	k.remember(want)
	got, ok := k.recall("a")
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("recall: %t (-want +got):\n%s", ok, diff)
	}
	if _, ok := k.recall("another boot of the machine"); ok {
		t.Error("an outcome was recalled under other circumstances")
	}
	if err := os.WriteFile(filepath.Join(k.opts.Cache, outcomeFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := k.recall("a"); ok {
		t.Error("half a file was believed")
	}
}

func TestSpecsThatAreRefused(t *testing.T) {
	t.Parallel()
	good := instance.Spec{ID: "i-0123456789abcdef0"}
	k := New(Options{})
	if _, err := k.defaults(good); err != nil {
		t.Fatalf("a plain spec: %v", err)
	}
	for name, change := range map[string]func(*instance.Spec){
		"an option of QEMU as host name": func(s *instance.Spec) { s.Hostname = "a,hostfwd=tcp::22-:22" },
		"an option of QEMU as id":        func(s *instance.Spec) { s.ID = "i-0123456789abcdef0,debug-threads=on" },
		"an unknown firmware":            func(s *instance.Spec) { s.Firmware = "coreboot" },
		"a firmware that is not there":   func(s *instance.Spec) { s.Firmware = "uefi" },
		"a forward from port 0":          func(s *instance.Spec) { s.Forwards = []instance.Forward{{Host: 0, Guest: 80}} },
		"a forward below zero":           func(s *instance.Spec) { s.Forwards = []instance.Forward{{Host: 80, Guest: -1}} },
	} {
		spec := good
		change(&spec)
		if _, err := k.defaults(spec); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestProbeSaysWhatToDo(t *testing.T) {
	t.Parallel()
	k := New(Options{Kernel: func(context.Context) (string, error) { return "", os.ErrNotExist }})
	r := k.Probe(t.Context())
	if r.How == "" || (!r.Usable && r.Remedy == "") {
		t.Errorf("Probe = %+v", r)
	}
	if again := k.Probe(t.Context()); again != r {
		t.Errorf("Probe = %+v, then %+v", r, again)
	}
}

// A machine that has had no kernel to try KVM with looks again, until an instance
// was launched by what was found.
func TestProbeLooksAgain(t *testing.T) {
	t.Parallel()
	asked := 0
	k := New(Options{Kernel: func(context.Context) (string, error) { asked++; return "", os.ErrNotExist }})
	if k.Probe(t.Context()); asked == 0 {
		t.Skip("this machine has no /dev/kvm, or no QEMU")
	}
	k.Probe(t.Context())
	k.settle(t.Context(), true)
	k.Probe(t.Context())
	k.settle(t.Context(), true)
	if asked != 3 {
		t.Errorf("a kernel was asked for %d times, want 3: at each probe before the first launch, and at that", asked)
	}
}
