package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/engine"
)

// logsCommand is 'goldsmith logs IMAGE'.
func logsCommand() *cobra.Command {
	var boot, follow bool
	cmd := &cobra.Command{
		Use:   "logs IMAGE",
		Short: "Print an image's log and its components' consoles",
		Long:  "Print an image's log and its components' consoles. IMAGE is the ARN of an image build version.",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := imageLogs(cmd, args[0])
			if err != nil {
				return err
			}
			switch {
			case boot:
				return printMatching(cmd.OutOrStdout(), dir, "boot.log")
			case follow:
				return followFile(cmd.Context(), cmd.OutOrStdout(), filepath.Join(dir, "image.log"), 0)
			}
			if err := printMatching(cmd.OutOrStdout(), dir, "image.log"); err != nil {
				return err
			}
			return printMatching(cmd.OutOrStdout(), dir, "console.log")
		},
	}
	cmd.Flags().BoolVar(&boot, "boot", false, "print the serial console of the test instance's boot instead")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing the image's log as it grows")
	return cmd
}

// imageLogs finds the log folder of the image that an ARN names.
func imageLogs(cmd *cobra.Command, arn string) (string, error) {
	_, data, err := existingData(cmd)
	if err != nil {
		return "", err
	}
	return logDir(data, arn)
}

// logDir is the log folder of an image build version.
func logDir(data datadir.Dir, arn string) (string, error) {
	head, resource, ok := strings.Cut(arn, ":image/")
	parts, owner := strings.Split(resource, "/"), strings.Split(head, ":")
	if !ok || len(parts) != 3 || len(owner) != 5 {
		return "", usageError{fmt.Errorf("%q is not the ARN of an image build version (arn:aws:imagebuilder:REGION:ACCOUNT:image/NAME/1.0.0/1)", arn)}
	}
	build, err := strconv.ParseInt(parts[2], 10, 64)
	for _, name := range []string{owner[3], owner[4], parts[0], parts[1]} {
		if name == "" || name == "." || strings.Contains(name, "/") || !filepath.IsLocal(name) {
			ok = false
		}
	}
	if err != nil || !ok {
		return "", usageError{fmt.Errorf("%q is not the ARN of an image build version", arn)}
	}
	dir := engine.LogDir(string(data), engine.Image{ARN: arn, Account: owner[4], Region: owner[3], Slug: parts[0], Version: parts[1], Build: build})
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("there are no logs of %s in %s", arn, data)
	}
	return dir, nil
}

// printMatching prints the files of a name below dir, oldest first.
func printMatching(w io.Writer, dir, name string) error {
	type found struct {
		path string
		at   time.Time
	}
	var files []found
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() != name || strings.Contains(path, "/TOE_") {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			files = append(files, found{path, info.ModTime()})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the logs: %w", err)
	}
	slices.SortFunc(files, func(a, b found) int { return a.at.Compare(b.at) })
	for _, file := range files {
		rel, _ := filepath.Rel(dir, file.path)
		fmt.Fprintf(w, "==> %s <==\n", rel)
		if err := printFile(w, file.path); err != nil {
			return err
		}
	}
	return nil
}

// printFile copies a file to w, made safe for a terminal: a guest wrote it.
func printFile(w io.Writer, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, printable(string(data)))
	return err
}

// escapes are the sequences by which a program sets colours and moves the
// cursor.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Za-z0-9]|[=>c78])`)

// printable drops escape sequences, and control characters other than newline
// and tab.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, escapes.ReplaceAllString(text, ""))
}

// followFile prints a file as it grows, from a place in it until the image's end
// comes.
func followFile(ctx context.Context, w io.Writer, path string, from int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewReader(f)
	var line string // a read may end in the middle of one
	for {
		part, err := lines.ReadString('\n')
		line += part
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err == nil {
			if _, werr := io.WriteString(w, printable(line)); werr != nil {
				return werr
			}
			if isEnd(line) {
				return nil
			}
			line = ""
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// isEnd reports whether a line of an image's log is its last transition. What a
// guest printed comes later in a line, if at all.
func isEnd(line string) bool {
	_, text, _ := strings.Cut(line, " ") // the time
	for _, end := range []engine.Status{engine.Available, engine.Failed, engine.Cancelled} {
		if strings.HasPrefix(text, "Image transitioned to "+string(end)) {
			return true
		}
	}
	return false
}
