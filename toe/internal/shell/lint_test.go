package shell_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/toe/internal/shell"
)

func lint(script string) []shell.Finding { return shell.Lint(script, script) }

func TestHidden(t *testing.T) {
	t.Parallel()
	unchecked := func(line int, text string) []shell.Finding {
		return []shell.Finding{{Kind: shell.Unchecked, Line: line, Text: text}}
	}
	for _, tc := range []struct {
		script string
		want   []shell.Finding
	}{
		{"apt-get update\napt-get install -y nginx", unchecked(1, "apt-get update")},
		{"echo begin\nsudo DEBIAN_FRONTEND=noninteractive apt-get update\necho done", unchecked(2, "sudo DEBIAN_FRONTEND=noninteractive apt-get update")},
		{"cd /opt/app\n./configure && make\nexit 0", unchecked(1, "cd /opt/app")},
		{"set -e\ncd /opt && make\necho done", unchecked(2, "cd /opt")}, // "set -e" does not reach the left of &&
		{"set -e\nset +e\nmake\necho done", unchecked(3, "make")},
		{"(set -e; make)\nmake install\necho done", unchecked(2, "make install")},
		{"if [ -f a ]; then\n  make\n  make install\nfi", unchecked(2, "make")},
		{"for p in a b; do\n  yum install -y $p\n  echo $p\ndone", unchecked(2, "yum install -y $p")},
		{"f() {\n  make\n  echo made\n}\nf", unchecked(2, "make")},
		{"V=$(curl -s http://example.test)\necho $V", unchecked(1, "V=$(curl -s http://example.test)")},
		{"cat <<EOF >/etc/a.conf\nx\nEOF\necho done", unchecked(1, "cat <<EOF >/etc/a.conf")},
		{"make \\\n  all\necho done", unchecked(1, "make …")},
		{"curl -s http://example.test | tar xz", []shell.Finding{{Kind: shell.Piped, Line: 1, Text: "curl -s http://example.test"}}},
		{"set -e\nsudo apt-get install -y nginx | tee log", []shell.Finding{{Kind: shell.Piped, Line: 2, Text: "sudo apt-get install -y nginx"}}},
		{"systemctl stop nginx || true", []shell.Finding{{Kind: shell.Ignored, Line: 1, Text: "systemctl stop nginx"}}},
		{"systemctl stop nginx 2>/dev/null || :", []shell.Finding{{Kind: shell.Ignored, Line: 1, Text: "systemctl stop nginx 2>/dev/null"}}},
		{"echo 'a", []shell.Finding{{Kind: shell.Syntax, Line: 1, Text: "reached EOF without closing quote `'`"}}},
		{"if true; then\n  make\n", []shell.Finding{{Kind: shell.Syntax, Line: 1, Text: "`if <cond>; then` must be followed by a statement list"}}},
	} {
		got := lint(tc.script)
		if len(got) == 1 && got[0].Kind == shell.Syntax && len(tc.want) == 1 {
			tc.want[0].Text = got[0].Text // the parser's wording is its own
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s\n%s", tc.script, diff)
		}
	}
}

// TestQuiet: good scripts are left in peace.
func TestQuiet(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"",
		"# nothing",
		"make",
		"echo a\necho b\nmake",
		"set -e\nmake\nmake install",
		"set -euo pipefail\ncurl -s http://example.test | tar xz\nmake",
		"set -o errexit -o pipefail\ncurl -s http://example.test | tar xz\nmake",
		"trap 'exit 1' ERR\nmake\nmake install",
		"make || exit 1\nmake install",
		"make || { echo no; exit 1; }\nmake install",
		"make && make install",
		"if ! make; then exit 1; fi\nmake install",
		"make\nif [ $? -ne 0 ]; then exit 1; fi\nmake install",
		"make\nrc=$?\nexit $rc",
		"STATE=$(nginx -t)\nif [ -z \"$STATE\" ]; then exit 1; fi",
		"systemctl is-active nginx\nsystemctl start nginx",
		"dpkg -l | grep nginx",
		"echo key | gpg --import",
		"cat /etc/os-release\nmake",
		"cat a >/dev/null\nmake",
		"rm -rf /tmp/x\nmake",
		"x=1\nexport y=2\nlocal z\nmake",
		"server &\nmake",
		"! make\nmake install",
		"case $1 in\na) make ;;\nb) make install ;;\nesac",
		"while ! ping -c1 example.test; do sleep 1; done\nmake",
		"set -- -e\nmake",
		"[[ __________ == x ]]\nmake",
	} {
		if got := lint(script); len(got) > 0 {
			t.Errorf("%s\n%+v", script, got)
		}
	}
}

// TestHostile: scripts that would overflow a parser's stack are passed over.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"(", "{ ", "$(", "`", "${a:-", "((", "if ", "while ", "! ", "<<a\n", "a && ", "a | ", "\"$(", "case x in x) ", "f() "} {
		lint(strings.Repeat(piece, shell.MaxScript/len(piece)))
		lint(strings.Repeat(piece, shell.MaxScript))
	}
}

func FuzzLint(f *testing.F) {
	for _, seed := range []string{"a\nb", "a | b || true", "if a; then b; fi", "a <<E\nE\n", "f() { a; }", "${x:-$(a)}", "set -euo pipefail", "case a in b) c;; esac"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script string) {
		for _, found := range lint(script) {
			if found.Line < 1 || found.Line > strings.Count(script, "\n")+2 || found.Kind == "" {
				t.Fatalf("%q: %+v", script, found)
			}
		}
	})
}
