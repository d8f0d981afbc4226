package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/cloud/export"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// shelf is buckets in a folder, that a test can trouble.
type shelf struct {
	bucket.Folder
	mu        sync.Mutex
	trouble   func(ctx context.Context, key string) error // instead of an upload; nil: none
	uploads   []string                                    // keys
	abandoned []string
}

func (s *shelf) Upload(ctx context.Context, bucket, key string, most int64, write func(context.Context, io.Writer) error) (bucket.Uploaded, error) {
	s.mu.Lock()
	s.uploads = append(s.uploads, key)
	trouble := s.trouble
	s.mu.Unlock()
	if trouble != nil {
		if err := trouble(ctx, key); err != nil {
			return upNone, err
		}
	}
	return s.Folder.Upload(ctx, bucket, key, most, write)
}

var upNone bucket.Uploaded

func (s *shelf) Abandon(ctx context.Context, bucket, key string) error {
	s.mu.Lock()
	s.abandoned = append(s.abandoned, key)
	s.mu.Unlock()
	return s.Folder.Abandon(ctx, bucket, key)
}

// exporting is a world whose AMIs have a real disk, and the disk's content.
func exporting(t *testing.T) (*world, *shelf, []byte) {
	t.Helper()
	w := newWorld(t)
	blobs, err := objects.OpenDir(filepath.Join(w.dir, "objects"))
	if err != nil {
		t.Fatal(err)
	}
	disks, err := disk.Open(blobs, filepath.Join(w.dir, "cache"), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{7}).Read(content[1<<20 : 2<<20])
	raw := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := disks.Snapshot(t.Context(), raw, "")
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{Folder: bucket.Folder(filepath.Join(w.dir, "s3"))}
	w.made, w.export = made.ID, &export.Exporter{Disks: disks, Buckets: s}
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), managedFlow(t, workflow.Distribution, workflow.DistributeImage)}
	w.plan.Destinations[0].Exports = []S3Export{{Format: "RAW", Bucket: "images", Prefix: "raw/"}, {Format: "VMDK", Bucket: "images"}}
	w.plan.Destinations[1].Exports = []S3Export{{Format: "VHD", Bucket: "other", Prefix: "vhd-", Role: "vmimport"}}
	return w, s, content
}

// tasks are those of the image.
func (w *world) tasks() (all []export.Task) {
	w.t.Helper()
	err := w.store.Read(context.Background(), func(tx *store.Tx) (err error) { all, err = export.Of(tx, testARN); return err })
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// found are the objects, and what else lies in the buckets.
func (s *shelf) found() (all []string) {
	filepath.WalkDir(string(s.Folder), func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(string(s.Folder), name)
			all = append(all, rel)
		}
		return nil
	})
	return all
}

// TestExports puts the disk into the buckets that the regions name, as objects
// named as EC2 names them.
func TestExports(t *testing.T) {
	t.Parallel()
	w, s, content := exporting(t)
	w.build()
	if w.last() != Available {
		t.Fatalf("image %s (%s)", w.last(), w.reason)
	}
	all := s.found()
	for i, form := range []string{`^images/export-ami-[0-9a-f]{17}\.vmdk$`, `^images/raw/export-ami-[0-9a-f]{17}\.raw$`, `^other/vhd-export-ami-[0-9a-f]{17}\.vhd$`} {
		if len(all) != 3 || !regexp.MustCompile(form).MatchString(all[i]) {
			t.Fatalf("the objects are %v", all)
		}
	}
	if got, err := os.ReadFile(filepath.Join(string(s.Folder), all[1])); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the raw disk has %d other bytes, %v", len(got), err)
	}
	_, rows, _ := w.steps()
	for _, task := range w.tasks() {
		if task.Status != export.Completed || task.Progress != 100 || task.Bytes == 0 {
			t.Errorf("the task is %+v", task)
		}
		if !strings.Contains(rows[len(rows)-1].Outputs, task.URL()) {
			t.Errorf("the step's outputs do not name %s: %s", task.URL(), rows[len(rows)-1].Outputs)
		}
	}
}

// TestAnExportThatFails leaves the others, names its region and is made by a
// retry alone.
func TestAnExportThatFails(t *testing.T) {
	t.Parallel()
	w, s, _ := exporting(t)
	s.trouble = func(_ context.Context, key string) error {
		if strings.HasSuffix(key, ".vhd") {
			return &os.PathError{Op: "write", Path: key, Err: syscall.ENOSPC}
		}
		return nil
	}
	w.build()
	if diff := cmp.Diff([]string{"eu-west-1 " + owner + " EXPORT_AMI"}, w.regions()); diff != "" || w.last() != Failed || !strings.Contains(w.reason, "no space left on device") {
		t.Fatalf("image %s (%s), failed regions (-want +got):\n%s", w.last(), w.reason, diff)
	}
	if len(w.outputs) != 2 || len(s.found()) != 2 {
		t.Errorf("outputs %v, objects %v: what succeeded has to stay", w.outputs, s.found())
	}
	s.mu.Lock()
	s.trouble, s.uploads = nil, nil
	s.mu.Unlock()
	_, stop := w.start()
	defer stop()
	w.retry()
	w.waitEnd()
	if w.last() != Available || len(s.uploads) != 1 || !strings.HasSuffix(s.uploads[0], ".vhd") || len(s.found()) != 3 {
		t.Errorf("the retried image %s (%s) sent %v; objects %v", w.last(), w.reason, s.uploads, s.found())
	}
}

// TestAnExportGoesOn stops the server in the middle of an export: the next one
// goes on with the same object.
func TestAnExportGoesOn(t *testing.T) {
	t.Parallel()
	w, s, _ := exporting(t)
	w.plan.Destinations[0].Exports, w.plan.Destinations[1].Exports = w.plan.Destinations[0].Exports[:1], nil
	begun := make(chan struct{})
	s.trouble = func(ctx context.Context, _ string) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	e, stop := w.start()
	w.enqueue(e)
	<-begun
	if tasks := w.tasks(); len(tasks) != 1 || tasks[0].Status != export.Active {
		t.Errorf("the tasks while one is sent are %+v", tasks)
	}
	stop()
	s.trouble = nil
	_, stop = w.start()
	defer stop()
	w.waitEnd()
	if w.last() != Available || len(s.uploads) != 2 || s.uploads[0] != s.uploads[1] || len(s.found()) != 1 {
		t.Errorf("image %s (%s), uploads %v, objects %v", w.last(), w.reason, s.uploads, s.found())
	}
	if tasks := w.tasks(); len(tasks) != 1 {
		t.Errorf("there are %d tasks", len(tasks))
	}
}

// TestACancelledExport leaves nothing in the bucket.
func TestACancelledExport(t *testing.T) {
	t.Parallel()
	w, s, _ := exporting(t)
	w.plan.Destinations[0].Exports, w.plan.Destinations[1].Exports = w.plan.Destinations[0].Exports[:1], nil
	begun := make(chan struct{})
	s.trouble = func(ctx context.Context, key string) error {
		_, err := s.Folder.Upload(ctx, "images", key, 1<<20, func(_ context.Context, w io.Writer) error {
			io.WriteString(w, "a part")
			return errors.New("cut short")
		})
		close(begun)
		<-ctx.Done()
		return errors.Join(err, ctx.Err())
	}
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	<-begun
	if len(s.found()) != 1 {
		t.Fatalf("in the bucket is %v, want what was begun", s.found())
	}
	w.mu.Lock()
	w.cancel = true
	w.mu.Unlock()
	e.Interrupt(testARN)
	w.waitEnd()
	w.wait("the end of the export", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Equal(s.abandoned, s.uploads)
	})
	if w.last() != Cancelled || len(s.found()) != 0 {
		t.Errorf("image %s (%s); in the bucket is %v", w.last(), w.reason, s.found())
	}
}
