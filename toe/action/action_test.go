package action

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// newHost is a host on a folder of its own.
func newHost(t *testing.T) *Host {
	t.Helper()
	return &Host{
		Dir: t.TempDir(), Env: os.Environ(), TempDir: t.TempDir(), Stdout: io.Discard, Stderr: io.Discard,
		Log: func(string) {}, Grace: time.Second, HTTP: func(bool) *http.Client { return &http.Client{} },
	}
}

// do runs a module with the inputs of its entries.
func do(t *testing.T, h *Host, name string, entries ...map[string]any) (Result, error) {
	t.Helper()
	m := Lookup(name)
	var in Inputs
	for _, e := range entries {
		for field := range e {
			if m.Field(field) == nil {
				t.Fatalf("%s has no input %s", name, field)
			}
		}
		in.Entries = append(in.Entries, NewEntry(m, e))
	}
	return m.Run(context.Background(), h, in)
}

type fields = map[string]any

// write makes a file. Nothing is started meanwhile: a program that inherits
// the open file would make it busy for whoever runs it.
func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mode(t *testing.T, parts ...string) os.FileMode {
	t.Helper()
	info, err := os.Stat(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode() &^ os.ModeDir
}

// wantError checks that an error says what it should.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}

// TestSchemas holds what the parser and NewEntry rely on, for every module.
func TestSchemas(t *testing.T) {
	t.Parallel()
	if len(modules) != 30 {
		t.Errorf("%d modules, want 30", len(modules))
	}
	for i := range modules {
		m := &modules[i]
		if len(m.Platforms) == 0 {
			t.Errorf("%s runs nowhere", m.Name)
		}
		seen := map[string]bool{}
		for _, f := range m.Fields {
			if seen[f.Name] {
				t.Errorf("%s has the input %s twice", m.Name, f.Name)
			}
			seen[f.Name] = true
			if f.Default != "" {
				if err := f.Check(f.Default); err != nil {
					t.Errorf("%s: the default of %s: %v", m.Name, f.Name, err)
				}
				if f.Required {
					t.Errorf("%s: %s is required and has a default", m.Name, f.Name)
				}
			}
		}
		for _, name := range m.OneOf {
			if !seen[name] {
				t.Errorf("%s: there is no input %s to choose", m.Name, name)
			}
		}
	}
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	const text = "aé\U0001f600\n"
	for name, want := range map[string]string{
		"utf8": text, "UTF-8": text,
		"utf16":     "a\x00\xe9\x00\x3d\xd8\x00\xde\n\x00",
		"UTF16-BE":  "\x00a\x00\xe9\xd8\x3d\xde\x00\x00\n",
		"utf-32-le": "a\x00\x00\x00\xe9\x00\x00\x00\x00\xf6\x01\x00\n\x00\x00\x00",
		"utf32-BE":  "\x00\x00\x00a\x00\x00\x00\xe9\x00\x01\xf6\x00\x00\x00\x00\n",
	} {
		enc, err := encodingOf(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(enc.encode(text)); got != want {
			t.Errorf("%s encodes %q", name, got)
		}
		for _, mark := range []string{"", "\ufeff"} {
			if got, err := enc.decode(enc.encode(mark + text)); err != nil || got != text {
				t.Errorf("%s decodes %q, %v", name, got, err)
			}
		}
	}
	if _, err := encodingOf("latin1"); err == nil {
		t.Error("latin1 is an encoding")
	}
	if _, err := utf16LE.decode([]byte("abc")); err == nil {
		t.Error("three bytes are UTF-16")
	}
	if _, err := utf32LE.decode([]byte("\xff\xff\xff\xff")); err == nil {
		t.Error("0xffffffff is a character")
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for pattern, names := range map[string][2]string{
		"*":       {"a", ""}, // any name matches; nothing else is tried
		"*.txt":   {"a.txt", "a.txt.gz"},
		"a*b*c":   {"axbyc", "axcyb"},
		"a*a":     {"aa", "a"},
		"[a]?.*":  {"[a]?.x", "a1.x"},
		"**":      {"x", ""},
		"plain":   {"plain", "plain2"},
		"a*ab*ab": {"aabab", "aab"},
	} {
		if !matches(pattern, names[0]) {
			t.Errorf("%q does not match %q", pattern, names[0])
		}
		if names[1] != "" && matches(pattern, names[1]) {
			t.Errorf("%q matches %q", pattern, names[1])
		}
	}
}

func FuzzPermissions(f *testing.F) {
	for _, s := range []string{"0755", "4755", "0o644", "9", "77777", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mode, err := parsePermissions(s)
		if err == nil && mode&^(os.ModePerm|os.ModeSetuid|os.ModeSetgid|os.ModeSticky) != 0 {
			t.Fatalf("%q gave %v", s, mode)
		}
	})
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]os.FileMode{
		"0755": 0o755, "755": 0o755, "0": 0, "4755": os.ModeSetuid | 0o755, "1777": os.ModeSticky | 0o777, "02750": os.ModeSetgid | 0o750, "0o644": 0o644,
	} {
		if got, err := parsePermissions(s); err != nil || got != want {
			t.Errorf("%q gave %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "8", "rwx", "-1", "77777", "0x1"} {
		if got, err := parsePermissions(s); err == nil {
			t.Errorf("%q gave %v", s, got)
		}
	}
}

// FuzzEncodings: what is written in an encoding reads as what it was, by both
// ways to write.
func FuzzEncodings(f *testing.F) {
	for _, s := range []string{"", "a\n", "é\U0001f600", "\ufeffmark", "\xff", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, enc := range encodings {
			var out bytes.Buffer
			err := recode(&out, strings.NewReader(text), enc)
			if (err == nil) != utf8.ValidString(text) {
				t.Fatalf("%s: %q: %v", name, text, err)
			}
			if err != nil {
				continue
			}
			want := strings.TrimPrefix(text, "\ufeff")
			if !bytes.Equal(out.Bytes(), enc.encode(want)) {
				t.Fatalf("%s: %q became %x", name, text, out.Bytes())
			}
			if got, err := enc.decode(out.Bytes()); err != nil || got != strings.TrimPrefix(want, "\ufeff") {
				t.Fatalf("%s: %q reads as %q, %v", name, text, got, err)
			}
		}
	})
}

// FuzzMatches compares with a regular expression.
func FuzzMatches(f *testing.F) {
	f.Add("a*b*c", "axbyc")
	f.Add("[*]", "[x]")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(name) || len(pattern)+len(name) > 200 {
			t.Skip("names of files that regular expressions can speak of")
		}
		form := regexp.MustCompile("(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if got, want := matches(pattern, name), form.MatchString(name); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}
