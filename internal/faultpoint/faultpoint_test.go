package faultpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAPlaceIsWrittenDownAndHeld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reach(dir, "one")
	if err := os.WriteFile(filepath.Join(dir, HoldFile), []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	reach(dir, "three") // not the one that is held
	done := make(chan bool)
	go func() {
		reach(dir, "two")
		close(done)
	}()
	held := filepath.Join(dir, HeldFile)
	for range 5000 {
		if _, err := os.Stat(held); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	got, err := os.ReadFile(held)
	if want := fmt.Sprintf("%d two\n", os.Getpid()); err != nil || string(got) != want {
		t.Fatalf("the file held says %q (%v), want %q", got, err, want)
	}
	reach(dir, "two") // the second to come is not held
	select {
	case <-done:
		t.Fatal("the place did not hold")
	default:
	}
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	<-done
	if trace, err := os.ReadFile(filepath.Join(dir, TraceFile)); err != nil || string(trace) != "one\nthree\ntwo\ntwo\n" {
		t.Errorf("the trace is %q (%v)", trace, err)
	}
}

func TestTheClockIsMoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]time.Duration{"24h\n": 24 * time.Hour, "-1h": -time.Hour, "": 0, "nonsense": 0} {
		if err := os.WriteFile(filepath.Join(dir, ClockFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if off := time.Until(moved(dir)) - want; off.Abs() > time.Minute {
			t.Errorf("with %q the clock is %s off", text, off)
		}
	}
}

// Not parallel: testing.AllocsPerRun counts for the whole process.
func TestWithoutTheVariableNothingHappens(t *testing.T) {
	if folder != "" {
		t.Skip(Variable + " is set")
	}
	if n := testing.AllocsPerRun(100, func() { Reach("a", "place") }); n != 0 {
		t.Errorf("a place allocates %v times", n)
	}
	Reach("hold")
}
