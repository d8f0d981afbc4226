package base

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func etcApt(t *testing.T, files map[string]string) string {
	t.Helper()
	etc := t.TempDir()
	for name, text := range files {
		name = filepath.Join(etc, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "ETC", etc)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return etc
}

func TestDebianSources(t *testing.T) {
	t.Parallel()
	main := []string{"main"}
	tests := map[string]struct {
		files map[string]string
		want  []aptSource
	}{
		"one line": {
			map[string]string{"sources.list": "# comment\ndeb http://m.example/debian bookworm main contrib\n deb [arch=amd64 trusted=no] http://m.example/debian/ bookworm-updates main # why\n" +
				"deb-src http://m.example/debian bookworm main\ndeb http://s.example/debian-security bookworm-security main\n"},
			[]aptSource{
				{URI: "http://m.example/debian", Suite: "bookworm", Components: []string{"main", "contrib"}},
				{URI: "http://m.example/debian", Suite: "bookworm-updates", Components: main},
				{URI: "http://s.example/debian-security", Suite: "bookworm-security", Components: main},
			},
		},
		"deb822": {
			map[string]string{"sources.list.d/debian.sources": "Types: deb deb-src\nURIs: http://a.example/debian\n http://b.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n" +
				"Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://c.example/debian\nSuites: bookworm\nComponents: main\n"},
			[]aptSource{
				{URI: "http://a.example/debian", Suite: "bookworm", Components: main, SignedBy: debianKeyring},
				{URI: "http://a.example/debian", Suite: "bookworm-updates", Components: main, SignedBy: debianKeyring},
				{URI: "http://b.example/debian", Suite: "bookworm", Components: main, SignedBy: debianKeyring},
				{URI: "http://b.example/debian", Suite: "bookworm-updates", Components: main, SignedBy: debianKeyring},
			},
		},
		"others use the names too": {
			map[string]string{"sources.list.d/vendor.list": "deb [signed-by=/usr/share/keyrings/vendor.gpg] http://v.example/debian bookworm main\n" +
				"deb http://v.example/apt bookworm main\ndeb http://v.example/debian bookworm stable\ndeb http://v.example/debian bookworm-backports main\n"},
			nil,
		},
		"another release of Debian": {
			map[string]string{"sources.list": "deb http://m.example/debian trixie main\ndeb http://m.example/debian-security trixie-security main\n"},
			[]aptSource{
				{URI: "http://m.example/debian", Suite: "bookworm", Components: main},
				{URI: "http://m.example/debian-security", Suite: "bookworm-security", Components: main},
			},
		},
		"list of mirrors": {
			map[string]string{
				"sources.list":        "deb mirror+file:ETC/mirrors/debian.list bookworm main\ndeb cdrom:[Debian]/ bookworm main\n",
				"mirrors/debian.list": "# first one wins\nhttp://m.example/debian\tpriority:1\nhttp://n.example/debian\n",
			},
			[]aptSource{{URI: "http://m.example/debian", Suite: "bookworm", Components: main}},
		},
		"only updates": {map[string]string{"sources.list": "deb http://m.example/debian bookworm-updates main\n"}, nil},
		"nothing":      {nil, nil},
		"Ubuntu":       {map[string]string{"sources.list": "deb http://u.example/ubuntu noble main\n"}, nil},
	}
	for name, test := range tests {
		all, err := readSources(etcApt(t, test.files))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(test.want, debianSources(all, "bookworm")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPasswordsStayOutOfTheImage(t *testing.T) {
	t.Parallel()
	text := string(imageSources([]aptSource{
		{URI: "https://user:secret@m.example/debian", Suite: "bookworm", Components: []string{"main", "contrib"}},
		{URI: "http://m.example/debian-security", Suite: "bookworm-security", Components: []string{"main"}},
	}))
	want := "Types: deb\nURIs: https://m.example/debian\nSuites: bookworm\nComponents: main contrib\nSigned-By: " + debianKeyring + "\n\n" +
		"Types: deb\nURIs: http://m.example/debian-security\nSuites: bookworm-security\nComponents: main\nSigned-By: " + debianKeyring + "\n"
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("sources of the image (-want +got):\n%s", diff)
	}
	for _, f := range debianFiles(identifiers{}, []aptSource{{URI: "https://user:secret@m.example/debian", Suite: "bookworm"}}) {
		if strings.Contains(f.content, "secret") {
			t.Errorf("/%s has the password", f.name)
		}
	}
}

func TestMirror(t *testing.T) {
	t.Parallel()
	got, err := mirrorSources("http://m.example/debian/", "bookworm")
	if err != nil || len(got) != 3 || got[2].URI != "http://m.example/debian-security" || got[2].Suite != "bookworm-security" {
		t.Errorf("sources %+v, %v", got, err)
	}
	for _, mirror := range []string{"ftp://x/debian", "/debian", "copy:/x", "http://user:secret@[bad"} {
		if _, err := mirrorSources(mirror, "bookworm"); err == nil {
			t.Errorf("the mirror %q was accepted", mirror)
		}
	}
}

func FuzzSources(f *testing.F) {
	f.Add("deb [signed-by=/x] http://m.example/debian bookworm main\n")
	f.Add("Types: deb\nURIs: http://m.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n")
	f.Add("deb [ http://x bookworm")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range append(parseOneLine([]byte(text)), parseDeb822([]byte(text))...) {
			// Each becomes one argument of the bootstrapping tool and one stanza
			// of the image: neither must be split by what is in it.
			for _, word := range append([]string{s.URI, s.Suite}, s.Components...) {
				if word == "" || strings.ContainsAny(word, " \n\t") {
					t.Errorf("source %+v has the word %q", s, word)
				}
			}
		}
	})
}
