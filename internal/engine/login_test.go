package engine

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// logText is the image's log.
func (w *world) logText() string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(LogDir(w.dir, w.plan.Image), "image.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// What a launch does beside booting is done in the order of an instance's first
// boot, in every stage where EC2 would.
func TestFirstBoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Infrastructure.KeyName, w.plan.Infrastructure.PublicKey = "deploy", "ssh-ed25519 AAAA"
	w.plan.UserData = base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n"))
	w.build()
	if w.last() != Available {
		t.Fatalf("states %v: %s", w.states, w.reason)
	}
	log := w.logText()
	at := 0
	for _, want := range []string{
		"Started BUILD workflow", "Authorised the key pair deploy", "Running the user data", "The user data has run", "Started step ApplyBuildComponents",
		"Started TEST workflow", "Authorised the key pair deploy", "Started step ApplyTestComponents",
	} {
		i := strings.Index(log[at:], want)
		if i < 0 {
			t.Fatalf("%q does not come after what is before it in:\n%s", want, log)
		}
		at += i
	}
	if n := strings.Count(log, "Running the user data"); n != 1 {
		t.Errorf("the user data ran %d times", n)
	}
}

func TestUserDataThatIsNotBase64FailsTheLaunch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.UserData = "?"
	w.build()
	if w.last() != Failed || !strings.Contains(w.reason, "not base64") {
		t.Errorf("states %v: %s", w.states, w.reason)
	}
	w.clean()
}
