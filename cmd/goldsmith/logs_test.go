package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/engine"
)

// TestFollowFile writes a log in pieces that end anywhere; what a guest printed
// does not end it.
func TestFollowFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "image.log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pieces := []string{
		"2026-11-22T00:00:00.000Z Action failed for step X. Failing step: Image transitioned to FAILED state\n",
		"2026-11-22T00:00:01.000Z grö", "ße\n2026-11-22T00:00:02.000Z Image transi", "tioned to AVAIL", "ABLE state for Image ARN: x\n",
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out strings.Builder
	done := make(chan error, 1)
	go func() { done <- followFile(ctx, &out, path, 0) }()
	for _, piece := range pieces {
		if _, err := f.WriteString(piece); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // lets the pieces be read one by one; the result is the same if not
	}
	if err := <-done; err != nil || ctx.Err() != nil {
		t.Fatalf("%v, %v: the end was not seen", err, ctx.Err())
	}
	if got, want := out.String(), strings.Join(pieces, ""); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestIsEnd(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"T Image transitioned to " + string(engine.Failed) + " state for Image ARN: x\n":   true,
		"T Image transitioned to " + string(engine.Building) + " state for Image ARN: x\n": false,
		"T he said: Image transitioned to FAILED\n":                                        false,
		"": false,
	} {
		if got := isEnd(line); got != want {
			t.Errorf("isEnd(%q) = %v", line, got)
		}
	}
}
