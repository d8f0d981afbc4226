package engine

import (
	"archive/tar"
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 3, 4, 5, 678e6, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"web {{ imagebuilder:buildDate }}":                         "web 2026-11-22T02-04-05.678Z",
		"{{imagebuilder:buildDate}}-{{imagebuilder:buildVersion}}": "2026-11-22T02-04-05.678Z-7",
		"{{imagebuilder:buildDate:yyyyMMHHss}}":                    "2026110205",
		"{{ imagebuilder:buildDate:yyyy-MM-dd'T' }}":               "2026-11-22'T'",
		"{{ imagebuilder:other }}":                                 "{{ imagebuilder:other }}",
		"plain":                                                    "plain",
	} {
		if got := expand(text, at, 7); got != want {
			t.Errorf("expand(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestUnpackStaysInside gives archives that a hostile guest would send.
func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	add := func(h tar.Header, body string) {
		h.Size, h.Mode = int64(len(body)), 0o777
		if err := tw.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		tw.Write([]byte(body))
	}
	add(tar.Header{Name: "../outside", Typeflag: tar.TypeReg}, "x")
	add(tar.Header{Name: "/etc/absolute", Typeflag: tar.TypeReg}, "x")
	add(tar.Header{Name: "link", Linkname: "..", Typeflag: tar.TypeSymlink}, "")
	add(tar.Header{Name: "link/through", Typeflag: tar.TypeReg}, "x")
	add(tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}, "")
	add(tar.Header{Name: "./TOE_1/console.log", Typeflag: tar.TypeReg}, "good")
	tw.Close()
	parent := t.TempDir()
	dir := filepath.Join(parent, "in")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unpack(&buf, dir); err != nil {
		t.Fatal(err)
	}
	var found []string
	filepath.WalkDir(parent, func(path string, e os.DirEntry, _ error) error {
		if !e.IsDir() {
			rel, _ := filepath.Rel(parent, path)
			found = append(found, rel)
		}
		return nil
	})
	if diff := cmp.Diff([]string{"in/TOE_1/console.log", "in/link/through"}, found); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestEventReaderBoundsLines feeds lines that never end.
func TestEventReaderBoundsLines(t *testing.T) {
	t.Parallel()
	var console bytes.Buffer
	r := newEventReader(&console)
	chunk := bytes.Repeat([]byte("x"), 1<<16)
	for range 64 {
		r.Write(chunk)
		if cap(r.line) > 2*maxEventLine {
			t.Fatalf("the reader holds %d bytes", cap(r.line))
		}
	}
	r.Write([]byte("\n{\"event\":\"output\",\"stream\":\"stdout\",\"text\":\"a\\nb\\n\"}\nplain\n"))
	if got := console.String(); !strings.Contains(got, "Stdout: a\n") || !strings.Contains(got, "Stdout: b\n") || !strings.HasSuffix(got, "plain\n") || strings.Contains(got, "xxx") {
		t.Errorf("console: %.200q", got)
	}
}

// TestStepConsoleIsBounded prints without end, from two streams at once.
func TestStepConsoleIsBounded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &stepConsole{w: &out, left: 1000}
	var streams sync.WaitGroup
	for range 2 {
		streams.Go(func() {
			for range 100 {
				if n, err := c.Write([]byte("0123456789abc")); n != 13 || err != nil {
					t.Errorf("Write: %d, %v; output must never fail", n, err)
				}
			}
		})
	}
	streams.Wait()
	if out.Len() > 1100 || !strings.HasSuffix(out.String(), "(the rest of the output is left out)\n") {
		t.Errorf("%d bytes, ending with %q", out.Len(), out.String()[max(0, out.Len()-60):])
	}
}

// TestLogsStayInTheirBucket names buckets that would be other folders.
func TestLogsStayInTheirBucket(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		bucket, prefix, want string
	}{
		{"my-logs", "a/b", "s3/my-logs/a/b/demo/1.0.0/1"},
		{"my-logs", "../../../objects", "s3/my-logs/objects/demo/1.0.0/1"},
		{"..", "objects", ""}, {".", "x", ""}, {"a/../..", "x", ""}, {"a..b", "x", ""}, {"/", "x", ""}, {"Not A Bucket", "", ""},
	} {
		dir := t.TempDir()
		e := &Engine{Config: Config{Dir: dir, Buckets: bucket.Folder(filepath.Join(dir, "s3")), Now: time.Now, Log: slog.New(slog.DiscardHandler)}}
		p := &Plan{Image: Image{Slug: "demo", Version: "1.0.0", Build: 1}, Infrastructure: Infrastructure{LogBucket: tc.bucket, LogPrefix: tc.prefix}}
		l := openLog(e, p)
		l.printf("a line")
		l.close(p)
		var found string
		filepath.WalkDir(dir, func(path string, entry os.DirEntry, _ error) error {
			if rel, _ := filepath.Rel(dir, path); !entry.IsDir() && !strings.HasPrefix(rel, "logs/") {
				found += filepath.Dir(rel)
			}
			return nil
		})
		if found != tc.want {
			t.Errorf("bucket %q, prefix %q: logs are in %q, want %q", tc.bucket, tc.prefix, found, tc.want)
		}
	}
}

// TestLogsOfTwoAccountsStayApart gives two images the same name, version and
// build number.
func TestLogsOfTwoAccountsStayApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := Image{ARN: "arn:1", Account: "111122223333", Region: "us-east-1", Slug: "web", Version: "1.0.0", Build: 1}
	second := first
	second.ARN, second.Account = "arn:2", "444455556666"
	for range 2 { // the second time the folders are theirs already
		for want, image := range map[string]Image{"logs/web/1.0.0/1": first, "logs/444455556666/us-east-1/web/1.0.0/1": second} {
			if _, err := os.Stat(filepath.Join(dir, "logs/web/1.0.0/1")); err != nil && image.ARN == second.ARN {
				if _, err := claimLogDir(dir, first); err != nil {
					t.Fatal(err)
				}
			}
			got, err := claimLogDir(dir, image)
			if err != nil || got != filepath.Join(dir, want) || LogDir(dir, image) != got {
				t.Errorf("%s has %s, %v; want %s", image.ARN, got, err, want)
			}
		}
	}
}

// TestBuildTimes: AMIs made at once have times of their own, and a clock that is
// put back is believed.
func TestBuildTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 8, 0, 0, 999, time.UTC)
	e := &Engine{Config: Config{Now: func() time.Time { return now }}}
	at := now.Truncate(time.Millisecond)
	for i := range 5 {
		if got := e.buildTime(); !got.Equal(at.Add(time.Duration(i) * time.Millisecond)) {
			t.Errorf("AMI %d has %s", i, got)
		}
	}
	now = now.Add(-time.Hour)
	if got := e.buildTime(); !got.Equal(at.Add(-time.Hour)) {
		t.Errorf("after the clock was put back: %s", got)
	}
}
