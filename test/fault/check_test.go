package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"github.com/goldsmith-build/goldsmith/internal/base"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/disk/rootfs"
	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/test/harness"
)

// right says what is wrong with an image that has ended: whatever was done to its
// build, it is one of the states, told of once, with its AMIs as the state says
// and their disks as they were meant to be.
func (s *site) right(image string, e ending, allowed ...types.ImageStatus) []string {
	s.t.Helper()
	var wrong []string
	if !slices.Contains(allowed, e.state) {
		wrong = append(wrong, fmt.Sprintf("it is %s, not one of %v", e, allowed))
	}
	if e.state == types.ImageStatusFailed && strings.TrimSpace(e.reason) == "" {
		wrong = append(wrong, "it is FAILED without a reason")
	}
	if now, _ := s.state(image); now.state != e.state {
		wrong = append(wrong, fmt.Sprintf("it was %s and is %s", e.state, now.state))
	}
	for _, region := range regions {
		amis, err := s.client().amis(region, image)
		must(s.t, err)
		want := 0
		if e.state == types.ImageStatusAvailable {
			want = 1
		}
		if len(amis) != want {
			wrong = append(wrong, fmt.Sprintf("%d AMIs in %s, want %d", len(amis), region, want))
		}
		if len(amis) == 1 && want == 1 {
			if content := s.read(amis[0], "/opt/builds"); content != "one\n" {
				wrong = append(wrong, fmt.Sprintf("the disk of %s holds %q", amis[0], content))
			}
		}
	}
	return append(wrong, s.told(image, e.state)...)
}

// told says what is wrong with the events and messages of an image's end.
func (s *site) told(image string, state types.ImageStatus) []string {
	messages := 1
	if state == types.ImageStatusCancelled {
		messages = 0 // nobody is told of that by the topic
	}
	var e, m int
	for range 1000 {
		if e, m = s.hears.heard(image, string(state)); e >= 1 && m >= messages {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if e != 1 || m != messages {
		return []string{fmt.Sprintf("%d events and %d messages told of its end, want 1 and %d", e, m, messages)}
	}
	var wrong []string
	for _, other := range []types.ImageStatus{types.ImageStatusAvailable, types.ImageStatusFailed, types.ImageStatusCancelled} {
		if e, m := s.hears.heard(image, string(other)); other != state && e+m > 0 {
			wrong = append(wrong, fmt.Sprintf("somebody was told that it is %s", other))
		}
	}
	return wrong
}

// read reads a file of an AMI's disk, without running or mounting it.
func (s *site) read(ami, name string) string {
	s.t.Helper()
	disk := filepath.Join(s.t.TempDir(), "disk.raw")
	defer os.Remove(disk)
	run(s.t, "", harness.Program(s.t, "goldsmith"), "image", "get", ami, "--format", "raw", "-o", disk, "--data-dir", s.dir, "--config", s.config)
	fsys, err := rootfs.Open(disk)
	must(s.t, err)
	defer fsys.Close()
	data, err := fsys.ReadFile(context.Background(), name, 1<<16)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

var instanceID = regexp.MustCompile(`\bi-[0-9a-f]{17}\b`)

// instances gives the ids of all instances that the logs of images speak of.
func (s *site) instances() []string {
	logs, _ := filepath.Glob(filepath.Join(s.dir, "logs", "*", "*", "*", "image.log"))
	seen := map[string]bool{}
	for _, name := range logs {
		data, _ := os.ReadFile(name)
		for _, id := range instanceID.FindAllString(string(data), -1) {
			seen[id] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}

// dirty names what a build left on the machine, after a moment.
func (s *site) dirty() []string {
	var left []string
	for start := time.Now(); ; {
		left = instancetest.Left(filepath.Join(s.dir, "instances"), s.instances()...)
		for what, dir := range map[string]string{"the instance's folder": filepath.Join(s.dir, "instances"), "the temporary file": s.temp} {
			entries, _ := os.ReadDir(dir)
			for _, entry := range entries {
				left = append(left, what+" "+entry.Name())
			}
		}
		if len(left) == 0 || time.Since(start) > 20*time.Second {
			return left
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// finish looks at the whole site when its faults are over: no row speaks of work
// that nobody does, and after a collection every block belongs to a snapshot that
// an AMI or a parent names.
func (s *site) finish() {
	s.t.Helper()
	s.server.stop(nil)
	ctx := context.Background()
	open := func() (*store.Store, error) { return store.Open(ctx, datadir.Dir(s.dir).Database()) }
	if s.database != "" {
		open = func() (*store.Store, error) { return store.OpenPostgres(ctx, s.database) }
	}
	db, err := open()
	must(s.t, err)
	defer db.Close()
	must(s.t, db.Read(ctx, func(tx *store.Tx) error {
		ledger, err := tx.Instances()
		for _, row := range ledger {
			s.t.Errorf("the ledger speaks of the instance %s of %s", row.ID, row.ImageARN)
		}
		for _, image := range s.images {
			executions, flowErr := tx.WorkflowExecutions(image)
			err = errors.Join(err, flowErr)
			for _, wf := range executions {
				if wf.End.IsZero() || wf.Status == "RUNNING" || wf.Status == "ROLLBACK_IN_PROGRESS" {
					s.t.Errorf("%s: the %s workflow %s is %s", image, wf.Type, wf.ID, wf.Status)
				}
				steps, stepErr := tx.StepExecutions(wf.ID)
				err = errors.Join(err, stepErr)
				for _, step := range steps {
					if step.Status == "RUNNING" || step.RollbackStatus == "RUNNING" {
						s.t.Errorf("%s: the step %s is %s, its rollback %q", image, step.Name, step.Status, step.RollbackStatus)
					}
				}
			}
		}
		return err
	}))
	s.collected(ctx, db)
}

// collected collects, and counts what is left.
func (s *site) collected(ctx context.Context, db *store.Store) {
	s.t.Helper()
	var blobs objects.Store
	var err error
	if s.objects != nil {
		blobs = s.objects()
	} else {
		blobs, err = objects.OpenDir(datadir.Dir(s.dir).Objects())
		must(s.t, err)
	}
	disks, err := disk.Open(blobs, datadir.Dir(s.dir).Cache(), disk.Options{Grace: time.Nanosecond})
	must(s.t, err)
	parents, err := base.Open(datadir.Dir(s.dir).Parents(), disks)
	must(s.t, err)
	keep := func(ctx context.Context) ([]string, error) {
		wanted, err := cloud.New(db, nil).Manifests(ctx)
		list, listErr := parents.List()
		for _, p := range list {
			wanted = append(wanted, p.Snapshot)
		}
		return wanted, errors.Join(err, listErr)
	}
	_, err = disks.Collect(ctx, keep)
	must(s.t, err)
	wanted, err := keep(ctx)
	must(s.t, err)
	named := map[disk.Digest]bool{}
	for _, id := range wanted {
		manifest, err := disks.Manifest(ctx, id)
		must(s.t, err)
		for _, b := range manifest.Blocks {
			named[b.Digest] = true
		}
	}
	there := 0
	for info, err := range blobs.List(ctx, "blocks/") {
		must(s.t, err)
		there++
		if !strings.Contains(info.Key, "/") {
			s.t.Errorf("a block has the key %q", info.Key)
		}
	}
	if there != len(named) {
		s.t.Errorf("after a collection there are %d blocks, and the snapshots that are wanted have %d", there, len(named))
	}
	found, err := disks.Snapshots(ctx)
	must(s.t, err)
	slices.Sort(wanted)
	if wanted = slices.Compact(wanted); len(found) != len(wanted) {
		s.t.Errorf("after a collection there are %d snapshots, and %d are wanted", len(found), len(wanted))
	}
}
