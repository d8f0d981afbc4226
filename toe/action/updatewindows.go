package action

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// updateScript asks every registered update service for what is not installed
// and not hidden, and installs what its lists leave. It ends with 3010 where a
// restart is due, and runs again after it until nothing is left.
//
//go:embed updateos.ps1
var updateScript string

var articleNumber = regexp.MustCompile(`(?i)^(kb)?([0-9]{1,10})$`)

// windowsUpdate hands the lists over in files: names of updates hold quotes,
// dollars and all else that a command line would have to be told about.
func windowsUpdate(ctx context.Context, h *Host, include, exclude []string) (Result, error) {
	dir, err := os.MkdirTemp(h.TempDir, "update-")
	if err != nil {
		return Result{}, fmt.Errorf("making a folder for the lists: %w", err)
	}
	defer os.RemoveAll(dir)
	args := []string{}
	for _, list := range []struct {
		name  string
		names []string
	}{{"include", include}, {"exclude", exclude}} {
		lines, err := updatePatterns(list.names)
		if err != nil {
			return Result{}, fmt.Errorf("%s: %w", list.name, err)
		}
		file := filepath.Join(dir, list.name+".txt")
		if err := os.WriteFile(file, []byte("\ufeff"+lines), 0o600); err != nil {
			return Result{}, fmt.Errorf("writing the list: %w", err)
		}
		args = append(args, file)
	}
	return runPowerShell(ctx, h, updateScript, args...)
}

// updatePatterns writes names of updates one a line: an article's number with
// or without KB as "KB <number>", else "TITLE <regular expression>", in which a
// '*' of the name stands for any text. Case does not count.
func updatePatterns(names []string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		if strings.TrimSpace(name) == "" || strings.ContainsAny(name, "\r\n\x00") {
			return "", fmt.Errorf("%q is not the name of an update", abbreviate(name))
		}
		if m := articleNumber.FindStringSubmatch(name); m != nil {
			b.WriteString("KB " + m[2] + "\r\n")
			continue
		}
		parts := strings.Split(name, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		b.WriteString("TITLE ^" + strings.Join(parts, ".*") + "$\r\n")
	}
	return b.String(), nil
}
