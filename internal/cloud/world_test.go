package cloud_test

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const (
	alice = "111111111111"
	bob   = "222222222222"
	home  = "us-east-1"
	far   = "ap-northeast-1"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

type fixture struct {
	*testing.T
	store *store.Store
	world *cloud.World
}

func open(t *testing.T) fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := fixture{t, s, cloud.New(s, func() time.Time { return now })}
	f.world.Keep(testKeys(t), paperBlocks{})
	f.world.Attach(paperQueue{})
	return f
}

// as is a request's context.
func as(t *testing.T, account, region string) context.Context {
	return identity.With(t.Context(), identity.Caller{Account: account, Region: region, ARN: "arn:aws:iam::" + account + ":user/admin", UserID: "AIDA"})
}

func (f fixture) write(fn func(*store.Tx) error) error { return f.store.Write(f.Context(), fn) }

func image(name string) cloud.AMI {
	return cloud.AMI{
		Account: alice, Region: home, Name: name, Description: "d", Architecture: "x86_64", Platform: "Linux", OSVersion: "Debian 12", BootMode: "uefi-preferred",
		RootDevice: "/dev/xvda", Tags: map[string]string{"env": "test"},
		Devices: []cloud.BlockDevice{
			{DeviceName: "/dev/xvda", Manifest: "sha256:m", SizeGiB: 4, VolumeType: "gp3", DeleteOnTermination: true},
			{DeviceName: "/dev/xvdb", SizeGiB: 1, VolumeType: "gp2"},
			{DeviceName: "/dev/xvdc", VirtualName: "ephemeral0"},
			{DeviceName: "/dev/xvdd", NoDevice: true},
		},
	}
}

func (f fixture) register(a cloud.AMI) cloud.AMI {
	f.Helper()
	if err := f.write(func(tx *store.Tx) (err error) {
		a, err = f.world.Register(tx, a)
		return err
	}); err != nil {
		f.Fatal(err)
	}
	return a
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("error %v, want the code %s", err, code)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	if !regexp.MustCompile(`^ami-[0-9a-f]{17}$`).MatchString(a.ID) || !regexp.MustCompile(`^snap-[0-9a-f]{17}$`).MatchString(a.Devices[0].SnapshotID) {
		t.Errorf("IDs %q and %q", a.ID, a.Devices[0].SnapshotID)
	}
	if a.State != "available" || !a.Created.Equal(now) || a.Devices[1].SnapshotID != "" {
		t.Errorf("state %s, created %s, empty volume's snapshot %q", a.State, a.Created, a.Devices[1].SnapshotID)
	}
	err := f.store.Read(t.Context(), func(tx *store.Tx) error {
		got, ok, err := f.world.AMI(tx, a.ID)
		if diff := cmp.Diff(a, got); !ok || diff != "" {
			t.Errorf("the row (-want +got):\n%s", diff)
		}
		s, ok, err2 := f.world.Snapshot(tx, a.Devices[0].SnapshotID)
		want := cloud.Snapshot{ID: s.ID, Account: alice, Region: home, Manifest: "sha256:m", SizeGiB: 4, Created: now, Tags: a.Tags, Description: "Created for " + a.ID}
		if diff := cmp.Diff(want, s); !ok || diff != "" {
			t.Errorf("the snapshot (-want +got):\n%s", diff)
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Error(err)
	}
	root, ok := a.Root()
	if !ok || root.Manifest != "sha256:m" {
		t.Errorf("Root() = %v, %v", root, ok)
	}
}

func TestNamesAreUniqueInAccountAndRegion(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.register(image("web"))
	err := f.write(func(tx *store.Tx) error {
		_, err := f.world.Register(tx, image("web"))
		return err
	})
	wantCode(t, err, "InvalidAMIName.Duplicate")
	elsewhere, foreign := image("web"), image("web")
	elsewhere.Region, foreign.Account = far, bob
	f.register(elsewhere)
	f.register(foreign)
	// What failed left no snapshot behind.
	out, err := f.world.EC2().DescribeSnapshots(as(t, alice, home), snapshotsOf())
	if err != nil || len(out.Snapshots) != 1 {
		t.Errorf("%d snapshots (%v), want 1", len(out.Snapshots), err)
	}
	for _, name := range []string{"", "ab", "a\x00b", "überall", "a:b", "<script>", string(make([]byte, 200))} {
		err := f.write(func(tx *store.Tx) error {
			_, err := f.world.Register(tx, image(name))
			return err
		})
		wantCode(t, err, "InvalidAMIName.Malformed")
	}
}

func TestCopyAndDeregister(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	var c cloud.AMI
	if err := f.write(func(tx *store.Tx) (err error) {
		c, err = f.world.Copy(tx, a.ID, cloud.Copying{Region: far, Name: "web far", Tags: map[string]string{"a": "b"}, Permissions: cloud.Permissions{UserIDs: []string{bob}}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if c.ID == a.ID || c.Devices[0].SnapshotID == a.Devices[0].SnapshotID || c.Devices[0].Manifest != "sha256:m" {
		t.Errorf("the copy shares an ID or has other blocks: %+v", c)
	}
	if c.Region != far || c.Account != alice || c.Source != (cloud.Source{ID: a.ID, Region: home}) || c.Devices[0].Encrypted || a.Devices[0].Encrypted {
		t.Errorf("the copy is %+v", c)
	}
	deregister := func(id string) (unused []string, err error) {
		err = f.write(func(tx *store.Tx) (err error) {
			unused, err = f.world.Deregister(tx, id)
			return err
		})
		return unused, err
	}
	if kept, err := f.world.Manifests(t.Context()); err != nil || !cmp.Equal(kept, []string{"sha256:m"}) {
		t.Errorf("Manifests = %v, %v", kept, err)
	}
	if unused, err := deregister(a.ID); err != nil || len(unused) != 0 {
		t.Errorf("Deregister = %v, %v; the copy still needs the blocks", unused, err)
	}
	if unused, err := deregister(c.ID); err != nil || !cmp.Equal(unused, []string{"sha256:m"}) {
		t.Errorf("Deregister = %v, %v; nobody needs the blocks any more", unused, err)
	}
	if left, err := f.world.Manifests(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("Manifests = %v, %v", left, err)
	}
	_, err := deregister(c.ID)
	wantCode(t, err, "InvalidAMIID.NotFound")
	err = f.write(func(tx *store.Tx) error {
		_, err := f.world.Copy(tx, a.ID, cloud.Copying{Region: far, Name: "again"})
		return err
	})
	wantCode(t, err, "InvalidAMIID.NotFound")
}

func TestModify(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	visible := func() bool {
		var ok bool
		if err := f.store.Read(t.Context(), func(tx *store.Tx) (err error) {
			_, ok, err = f.world.Visible(t.Context(), tx, bob, home, a.ID)
			return err
		}); err != nil {
			t.Error(err)
		}
		return ok
	}
	set := func(p cloud.Permissions) {
		if err := f.write(func(tx *store.Tx) error {
			_, err := f.world.Modify(tx, a.ID, func(a *cloud.AMI) {
				a.Permissions, a.Tags = p, map[string]string{"new": "tag"}
				a.Account, a.Name, a.ID = bob, "stolen", "ami-00000000000000000" // not what Modify is for
			})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	f.world.Organize(func(account string) []string {
		return map[string][]string{bob: {"o-abcdefghij", "ou-abcd-aaaaaaaa", "ou-abcd-bbbbbbbb"}}[account]
	})
	const organizations = "arn:aws:organizations::111111111111:"
	for _, step := range []struct {
		p    cloud.Permissions
		want bool
	}{
		{cloud.Permissions{Organizations: []string{organizations + "organization/o-abcdefghij"}}, true},
		{cloud.Permissions{Organizations: []string{organizations + "organization/o-abcdefghi"}}, false},
		{cloud.Permissions{Units: []string{organizations + "ou/o-abcdefghij/ou-abcd-aaaaaaaa"}}, true},
		{cloud.Permissions{Units: []string{organizations + "ou/o-abcdefghij/ou-abcd-bbbbbbbb"}}, true},
		{cloud.Permissions{Units: []string{organizations + "ou/o-abcdefghij/ou-abcd-cccccccc"}}, false},
		{cloud.Permissions{}, false},
		{cloud.Permissions{UserIDs: []string{bob}}, true},
		{cloud.Permissions{UserIDs: []string{"333333333333"}}, false},
		{cloud.Permissions{Groups: []string{"all"}}, true},
		{cloud.Permissions{Groups: []string{bob}, Organizations: []string{bob}}, false},
	} {
		set(step.p)
		if got := visible(); got != step.want {
			t.Errorf("with %+v bob sees it: %v, want %v", step.p, got, step.want)
		}
	}
	err := f.store.Read(t.Context(), func(tx *store.Tx) error {
		got, _, err := f.world.AMI(tx, a.ID)
		if got.Account != alice || got.Name != "web" || got.Tags["new"] != "tag" {
			t.Errorf("after Modify: %+v", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{"us-east-1": "aws", "ap-northeast-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "eusc-de-east-1": "aws-eusc", "us-east-9": "", "": "", "US-EAST-1": ""} {
		got, ok := cloud.Partition(region)
		if got != want || ok != (want != "") {
			t.Errorf("Partition(%q) = %q, %v; want %q", region, got, ok, want)
		}
		if ok && cloud.PartitionFor(region) != want {
			t.Errorf("PartitionFor(%q) = %q, want %q", region, cloud.PartitionFor(region), want)
		}
	}
}
