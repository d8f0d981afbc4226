package cloud_test

import (
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func TestDeprecateAndDisable(t *testing.T) {
	t.Parallel()
	f := open(t)
	shared := image("shared")
	shared.Permissions = cloud.Permissions{UserIDs: []string{bob}, Groups: []string{store.Everyone}}
	do := func(fn func(*store.Tx) error) {
		t.Helper()
		if err := f.write(fn); err != nil {
			t.Fatal(err)
		}
	}
	do(func(tx *store.Tx) (err error) { shared, err = f.world.Register(tx, shared); return err })
	lists := func(account string, in ec2.DescribeImagesInput) []ec2.Image {
		t.Helper()
		out, err := f.world.EC2().DescribeImages(as(t, account, home), &in)
		if err != nil {
			t.Fatal(err)
		}
		return out.Images
	}
	want := func(what string, got []ec2.Image, n int) {
		t.Helper()
		if len(got) != n {
			t.Errorf("%s: %d images, want %d", what, len(got), n)
		}
	}
	yes := true
	do(func(tx *store.Tx) error { return f.world.Deprecate(tx, shared.ID, now.Add(time.Hour)) })
	want("another account, before the time has come", lists(bob, ec2.DescribeImagesInput{}), 1)
	do(func(tx *store.Tx) error { return f.world.Deprecate(tx, shared.ID, now) })
	want("another account", lists(bob, ec2.DescribeImagesInput{}), 0)
	want("another account, by ID", lists(bob, ec2.DescribeImagesInput{ImageIds: []string{shared.ID}}), 1)
	want("another account, asked for", lists(bob, ec2.DescribeImagesInput{IncludeDeprecated: &yes}), 1)
	own := lists(alice, ec2.DescribeImagesInput{})
	want("the owner", own, 1)
	if got := own[0].DeprecationTime; got == nil || *got != "2026-11-21T10:00:00.000Z" {
		t.Errorf("deprecation time %v", got)
	}
	do(func(tx *store.Tx) error { return f.world.Deprecate(tx, shared.ID, time.Time{}) })
	want("another account, taken back", lists(bob, ec2.DescribeImagesInput{}), 1)

	do(func(tx *store.Tx) error { return f.world.Disable(tx, shared.ID) })
	want("disabled, the owner", lists(alice, ec2.DescribeImagesInput{}), 0)
	disabled := lists(alice, ec2.DescribeImagesInput{IncludeDisabled: &yes})
	want("disabled, the owner, asked for", disabled, 1)
	if string(*disabled[0].State) != cloud.Disabled || *disabled[0].Public {
		t.Errorf("disabled image %+v", disabled[0])
	}
	want("disabled, another account", lists(bob, ec2.DescribeImagesInput{IncludeDisabled: &yes}), 0)
	do(func(tx *store.Tx) error { return f.world.Enable(tx, shared.ID) })
	want("enabled", lists(alice, ec2.DescribeImagesInput{}), 1)
	want("enabled, another account, which has lost it", lists(bob, ec2.DescribeImagesInput{}), 0)
}

func TestRemoveLeavesSnapshots(t *testing.T) {
	t.Parallel()
	f := open(t)
	var a cloud.AMI
	err := f.write(func(tx *store.Tx) (err error) {
		if a, err = f.world.Register(tx, image("web")); err == nil {
			err = f.world.Remove(tx, a.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	root, _ := a.Root()
	has := func() (ok bool) {
		if err := f.store.Read(t.Context(), func(tx *store.Tx) (err error) { _, ok, err = f.world.Snapshot(tx, root.SnapshotID); return err }); err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !has() {
		t.Error("the snapshot went with its AMI")
	}
	for range 2 { // gone is as good as deleted
		if err := f.write(func(tx *store.Tx) error { return f.world.RemoveSnapshot(tx, root.SnapshotID) }); err != nil {
			t.Fatal(err)
		}
	}
	if has() {
		t.Error("the snapshot is still there")
	}
	for name, act := range map[string]func(*store.Tx) error{
		"remove":    func(tx *store.Tx) error { return f.world.Remove(tx, a.ID) },
		"deprecate": func(tx *store.Tx) error { return f.world.Deprecate(tx, a.ID, now) },
		"disable":   func(tx *store.Tx) error { return f.world.Disable(tx, a.ID) },
		"enable":    func(tx *store.Tx) error { return f.world.Enable(tx, a.ID) },
	} {
		if err := f.write(act); fault.Code(err) != "InvalidAMIID.NotFound" {
			t.Errorf("%s what is gone: %v", name, err)
		}
	}
}
