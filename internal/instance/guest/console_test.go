package guest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestConsoleIsBounded(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "console.log")
	c, err := OpenConsole(name)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("flood ", 1<<13) + "\n")
	for range 5 * ConsoleLimit / len(line) {
		if _, err := c.Write(line); err != nil {
			t.Fatalf("Write: %v", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, n := range []string{name, name + ".1"} {
		info, err := os.Stat(n)
		if err != nil {
			t.Errorf("%v", err)
		} else if info.Size() > ConsoleLimit {
			t.Errorf("%s has %d bytes", n, info.Size())
		}
	}
	if len(c.tail) > consoleTail {
		t.Errorf("the tail has %d bytes", len(c.tail))
	}
}

func TestConsoleSurvivesAFullDisk(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no full device to write to: %v", err)
	}
	c := &Console{path: "/dev/full", file: full}
	for range 3 {
		if n, err := c.Write([]byte("lost\n")); n != 5 || err != nil {
			t.Errorf("Write = %d, %v; a guest must not notice", n, err)
		}
	}
	if err := c.Close(); err == nil || errors.Is(err, os.ErrClosed) {
		t.Errorf("Close: %v, want the full disk", err)
	}
}

func TestConsoleTail(t *testing.T) {
	t.Parallel()
	c, err := OpenConsole(filepath.Join(t.TempDir(), "c"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("one\r\n\x1b[2J\x1b[1;31mtwo\x1b[0m\n\n\x1b]0;title\x07three \x00\x7f\u202e\nfour"))
	if diff := cmp.Diff("two\nthree ???\nfour", c.Tail(3)); diff != "" {
		t.Errorf("Tail (-want +got):\n%s", diff)
	}
}

func TestConsoleWatch(t *testing.T) {
	t.Parallel()
	c, err := OpenConsole(filepath.Join(t.TempDir(), "c"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte("before\n"))
	var seen []string
	c.Watch(func(line string) bool { seen = append(seen, line); return true })
	for _, part := range []string{"a li", "ne\r\nprompt>", " ", strings.Repeat("x", 5000)} {
		_, _ = c.Write([]byte(part))
	}
	c.Watch(nil)
	_, _ = c.Write([]byte("after\n"))
	calls := 0
	c.Watch(func(string) bool { calls++; return false })
	_, _ = c.Write([]byte("one\ntwo\nthree"))
	if calls != 1 {
		t.Errorf("a watcher that had enough was called %d times", calls)
	}
	if diff := cmp.Diff([]string{"a li", "a line", "prompt>", "prompt> "}, seen[:4]); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	for _, line := range seen {
		if len(line) > 1024 || strings.Contains(line, "after") {
			t.Errorf("the watcher saw %d bytes: %.20q", len(line), line)
		}
	}
}

func FuzzConsole(f *testing.F) {
	f.Add([]byte("a\x1b[31mb\r\nc\x1b]0;x\x07"), 3)
	f.Add([]byte("\x1b"), 1)
	f.Add([]byte("\x1b[\x1b]\x1b"), 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := &Console{path: os.DevNull, file: null}
		defer c.Close()
		c.Watch(func(line string) bool {
			if len(line) > 1024 {
				t.Fatalf("a line of %d bytes", len(line))
			}
			return line != "stop"
		})
		_, _ = c.Write(b)
		_, _ = c.Write(b)
		for _, r := range c.Tail(max(0, n%100)) {
			if r != '\n' && r != ' ' && !unicode.IsGraphic(r) {
				t.Fatalf("Tail has %q", r)
			}
		}
	})
}
