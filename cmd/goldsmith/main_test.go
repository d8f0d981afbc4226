package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain\ttext\nline":                       "plain\ttext\nline",
		"[\x1b[0;32m  OK  \x1b[0m] Started":       "[  OK  ] Started",
		"\x1b[2J\x1b[H\x1b]0;title\x07\x1b(Bx":    "x",
		"bell\x07 back\x08 delete\x7f c1\u009b2J": "bell back delete c12J",
		"größe": "größe",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestWrongUse checks that a mistake on the command line is a usageError, which
// ends the program with status 2, and says what is wrong.
func TestWrongUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for line, want := range map[string]string{
		"serve extra":                                    "unknown command",
		"build":                                          "accepts 1 arg(s)",
		"serve --lisen x":                                "unknown flag",
		"build nonsense":                                 "not an ARN",
		"logs nonsense":                                  "not the ARN of an image",
		"base import file":                               "--name is missing",
		"image get ami-1 --format qed":                   "--format",
		"image boot ami-1 --forward 8080:80":             "--forward",
		"image url ami-1 --expires 200h":                 "--expires",
		"image boot ami-1 --forward 0.0.0.0:8080:80":     "--forward",
		"logs arn:aws:imagebuilder:r:a:image/../../x/1":  "not the ARN of an image",
		"logs arn:aws:imagebuilder:r:a:image/x/../../..": "not the ARN of an image",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			cmd := root()
			cmd.SetArgs(append(strings.Fields(line), "--data-dir", dir))
			cmd.SetOut(&bytes.Buffer{})
			err := cmd.Execute()
			if _, ok := err.(usageError); !ok || !strings.Contains(err.Error(), want) {
				t.Errorf("%v (%T), want a usageError that says %q", err, err, want)
			}
		})
	}
}
