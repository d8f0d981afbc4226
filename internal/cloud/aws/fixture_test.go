package aws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws/awstest"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func TestMain(m *testing.M) {
	awstest.Credentials()
	os.Exit(m.Run())
}

const (
	image  = "arn:aws:imagebuilder:us-east-1:111122223333:image/web/1.0.0/1"
	region = "eu-west-1"
)

// followers are the outbox: what was added, in order.
type followers struct {
	mu  sync.Mutex
	all []store.Delivery
}

func (f *followers) Add(_ context.Context, _ *store.Tx, target, lane string, body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, store.Delivery{Target: target, Lane: lane, Body: body})
	return nil
}

type fixture struct {
	*testing.T
	aws    *awstest.Cloud
	store  *store.Store
	world  *cloud.World
	disks  *disk.Store
	outbox *followers
}

func open(t *testing.T) *fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	blobs, err := objects.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	disks, err := disk.Open(blobs, t.TempDir(), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{T: t, aws: awstest.Start(t), store: s, world: cloud.New(s, nil), disks: disks, outbox: &followers{}}
}

// process gives the accounts as a process that was just started has them.
func (f *fixture) process() *aws.Accounts {
	a := aws.New(aws.Config{
		Accounts: []aws.Account{{ID: awstest.Account, Endpoint: f.aws.URL}},
		Store:    f.store, World: f.world, Blocks: f.disks, Outbox: f.outbox, Poll: time.Millisecond,
	})
	f.world.Provide(a)
	return a
}

// blocks are a disk by the place of its blocks; what is missing is zero.
type blocks map[int][]byte

func content() []byte {
	b := make([]byte, disk.BlockSize)
	rand.Read(b[:64])
	return b
}

// disk stores a disk of 64 MiB and gives its manifest.
func (f *fixture) disk(b blocks) string {
	f.Helper()
	name := filepath.Join(f.TempDir(), "disk")
	file, err := os.Create(name)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	for i, data := range b {
		if _, err := file.WriteAt(data, int64(i)*disk.BlockSize); err != nil {
			f.Fatal(err)
		}
	}
	if err := file.Truncate(64 << 20); err != nil {
		f.Fatal(err)
	}
	made, err := f.disks.Snapshot(f.Context(), name, "")
	if err != nil {
		f.Fatal(err)
	}
	return made.ID
}

// publication asks for an AMI of a disk.
func (f *fixture) publication(name, manifest string) cloud.Publication {
	return cloud.Publication{For: image, Tell: f.Logf, AMI: cloud.AMI{
		Account: awstest.Account, Region: region, Name: name, Description: "the web server", Architecture: "x86_64", BootMode: "uefi-preferred", Platform: "Linux",
		RootDevice: "/dev/xvda", Devices: []cloud.BlockDevice{
			{DeviceName: "/dev/xvda", Manifest: manifest, SizeGiB: 2, VolumeType: "gp3", DeleteOnTermination: true},
			{DeviceName: "/dev/sdb", SizeGiB: 5, VolumeType: "gp3", IOPS: 4000, Throughput: 200},
			{DeviceName: "/dev/sdc", VirtualName: "ephemeral0"},
		},
		Tags: map[string]string{"Role": "web"}, Permissions: cloud.Permissions{UserIDs: []string{"444455556666"}},
	}}
}

// publish publishes as a new process does, and keeps the row as the engine does.
func (f *fixture) publish(p cloud.Publication) cloud.AMI {
	f.Helper()
	made, err := f.process().Publish(f.Context(), p)
	if err != nil {
		f.Fatal(err)
	}
	f.register(made)
	return made
}

func (f *fixture) register(a cloud.AMI) {
	f.Helper()
	if err := f.store.Write(f.Context(), func(tx *store.Tx) error {
		_, err := f.world.Register(tx, a)
		return err
	}); err != nil {
		f.Fatal(err)
	}
}

// holds compares a snapshot at AWS with a disk, block by block.
func (f *fixture) holds(snapshot string, want blocks) {
	f.Helper()
	f.aws.Locked(func() {
		s := f.aws.Snapshots[snapshot]
		if s == nil || s.State != "completed" {
			f.Fatalf("the snapshot %s at AWS: %+v, want a complete one", snapshot, s)
		}
		got := s.Disk()
		if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
			f.Fatalf("%s has the blocks %v, want %v", snapshot, g, w)
		}
		for i, data := range want {
			if !bytes.Equal(got[i], data) {
				f.Errorf("block %d of %s is not that of the disk", i, snapshot)
			}
		}
	})
}

// calls gives how often an operation was called, and counts anew.
func (f *fixture) calls(operation string) (n int) {
	f.aws.Locked(func() {
		n = f.aws.Calls[operation]
		f.aws.Calls[operation] = 0
	})
	return n
}
