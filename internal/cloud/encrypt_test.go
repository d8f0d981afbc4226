package cloud_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/riverqueue/river"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/kms"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// The keys of these tests, by their ids.
const (
	goldenID   = "0d9a4a5e-6c1f-4b62-9d0e-3b1f6a5c7e11"
	disabledID = "5f0c2f6e-0a53-4a44-8a44-0f2c1f0a9b22"
)

func keyARN(region, account, id string) string {
	return "arn:aws:kms:" + region + ":" + account + ":key/" + id
}

// testKeys are a key of alice's in each region, which bob may use, and one that
// is disabled.
func testKeys(t testing.TB) *kms.Ring {
	t.Helper()
	keeper := kms.Local{Load: func(bool) ([]byte, error) { return bytes.Repeat([]byte{1}, kms.LocalKeySize), nil }}
	ring := kms.NewRing(func(string) kms.Keeper { return keeper })
	var keys []kms.Key
	for _, region := range []string{home, far} {
		keys = append(keys,
			kms.Key{Account: alice, Region: region, ID: goldenID, Aliases: []string{"alias/golden"}, Users: []string{bob}, Keeper: keeper},
			kms.Key{Account: alice, Region: region, ID: disabledID, Disabled: true, Keeper: keeper})
	}
	if err := ring.Replace(keys); err != nil {
		t.Fatal(err)
	}
	return ring
}

// paperBlocks gives a disk another name where a real store would move it. All
// regions but "apart-1" share a store.
type paperBlocks struct{}

func (paperBlocks) Shared(a, b string) bool { return a == b || a != "apart-1" && b != "apart-1" }

func (paperBlocks) Copy(_ context.Context, manifest, region, key string) (string, cloud.Moved, error) {
	if strings.HasPrefix(manifest, "gone") {
		return "", cloud.Moved{}, fmt.Errorf("reading %s: %w", manifest, disk.ErrNotFound)
	}
	return manifest + "@" + region + "/" + key, cloud.Moved{Blocks: 3, New: 2, Bytes: 20}, nil
}

type paperQueue struct{}

func (paperQueue) Insert(context.Context, *store.Tx, river.JobArgs, *river.InsertOpts) error {
	return nil
}

// copied copies an AMI as alice, to the end, and gives what DescribeImages says.
func (f fixture) copied(id, region string, change func(*ec2.CopyImageInput)) (ec2.Image, error) {
	f.Helper()
	in := &ec2.CopyImageInput{Name: p("copy " + cloud.NewID("n")), SourceImageId: &id, SourceRegion: p(home)}
	change(in)
	ctx := as(f.T, alice, region)
	out, err := f.world.EC2().CopyImage(ctx, in)
	if err != nil {
		return ec2.Image{}, err
	}
	err = f.world.FinishCopy(f, *out.ImageId)
	return must(f.world.EC2().DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{*out.ImageId}}))(f.T).Images[0], err
}

func TestEncryptedCopies(t *testing.T) {
	t.Parallel()
	f := open(t)
	plain := f.register(image("web"))
	golden := keyARN(far, alice, goldenID)
	for name, key := range map[string]string{"alias": "alias/golden", "id": goldenID, "ARN": golden, "alias ARN": "arn:aws:kms:" + far + ":" + alice + ":alias/golden"} {
		got, err := f.copied(plain.ID, far, func(in *ec2.CopyImageInput) { in.Encrypted, in.KmsKeyId = p(true), p(key) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ebs := got.BlockDeviceMappings[0].Ebs
		if !*ebs.Encrypted || *ebs.KmsKeyId != golden {
			t.Errorf("%s: %+v, want it encrypted with %s", name, ebs, golden)
		}
		snap := must(f.world.EC2().DescribeSnapshots(as(t, alice, far), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{*ebs.SnapshotId}}))(t).Snapshots[0]
		if !*snap.Encrypted || *snap.KmsKeyId != golden {
			t.Errorf("%s: its snapshot is %+v", name, snap)
		}
	}
	// Encrypted without a key: the account's default one.
	got, err := f.copied(plain.ID, far, func(in *ec2.CopyImageInput) { in.Encrypted = p(true) })
	if err != nil {
		t.Fatal(err)
	}
	usual := *got.BlockDeviceMappings[0].Ebs.KmsKeyId
	if !strings.HasPrefix(usual, keyARN(far, alice, "")) || usual == golden {
		t.Errorf("the default key is %s", usual)
	}
	// What is encrypted stays so, and says so.
	back := &ec2.CopyImageInput{Name: p("back"), SourceImageId: got.ImageId, SourceRegion: p(far)}
	made := must(f.world.EC2().CopyImage(as(t, alice, home), back))(t)
	if err := f.world.FinishCopy(t, *made.ImageId); err != nil {
		t.Fatal(err)
	}
	again := must(f.world.EC2().DescribeImages(as(t, alice, home), &ec2.DescribeImagesInput{ImageIds: []string{*made.ImageId}}))(t).Images[0]
	if ebs := again.BlockDeviceMappings[0].Ebs; !*ebs.Encrypted || !strings.HasPrefix(*ebs.KmsKeyId, keyARN(home, alice, "")) {
		t.Errorf("the copy of an encrypted AMI is %+v", ebs)
	}
	back.Name, back.Encrypted = p("plain"), p(false)
	_, err = f.world.EC2().CopyImage(as(t, alice, home), back)
	wantCode(t, err, "InvalidRequest")
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	f := open(t)
	plain := f.register(image("web"))
	for name, c := range map[string]struct {
		key       string
		encrypted *bool
		code      string
	}{
		"no such key":    {"alias/none", p(true), "InvalidParameterValue"},
		"other region's": {keyARN(home, alice, goldenID), p(true), "InvalidParameterValue"},
		"a stranger's":   {"arn:aws:kms:" + far + ":333333333333:alias/aws/ebs", p(true), "InvalidParameterValue"},
		"disabled":       {disabledID, p(true), "InvalidKmsKey.InvalidState"},
		"not asked for":  {goldenID, nil, "InvalidParameterDependency"},
		"hostile":        {"arn:aws:kms:" + far + ":" + alice + ":key/../../x", p(true), "InvalidParameterValue"},
	} {
		_, err := f.copied(plain.ID, far, func(in *ec2.CopyImageInput) { in.Encrypted, in.KmsKeyId = c.encrypted, p(c.key) })
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		t.Log(name, err)
		wantCode(t, err, c.code)
	}
}

func TestSharingEncryptedImages(t *testing.T) {
	t.Parallel()
	f := open(t)
	plain := f.register(image("web"))
	make := func(key *string) *string {
		got, err := f.copied(plain.ID, far, func(in *ec2.CopyImageInput) { in.Encrypted, in.KmsKeyId = p(true), key })
		if err != nil {
			t.Fatal(err)
		}
		return got.ImageId
	}
	golden, usual := make(p("alias/golden")), make(nil)
	share := func(id *string, to ec2.LaunchPermission) error {
		_, err := f.world.EC2().ModifyImageAttribute(as(t, alice, far), &ec2.ModifyImageAttributeInput{ImageId: id, LaunchPermission: &ec2.LaunchPermissionModifications{Add: []ec2.LaunchPermission{to}}})
		return err
	}
	everyone := ec2.LaunchPermission{Group: p(ec2.PermissionGroup("all"))}
	wantCode(t, share(golden, everyone), "InvalidParameter")
	wantCode(t, share(usual, ec2.LaunchPermission{UserId: p(bob)}), "InvalidParameter")
	const carol = "333333333333"
	for _, who := range []string{bob, carol} {
		if err := share(golden, ec2.LaunchPermission{UserId: &who}); err != nil {
			t.Fatal(err)
		}
	}
	// Both see it; only who may use the key can copy it.
	for who, code := range map[string]string{bob: "", carol: "UnauthorizedOperation"} {
		in := &ec2.CopyImageInput{Name: p("mine"), SourceImageId: golden, SourceRegion: p(far)}
		must(f.world.EC2().DescribeImages(as(t, who, far), &ec2.DescribeImagesInput{ImageIds: []string{*golden}}))(t)
		if _, err := f.world.EC2().CopyImage(as(t, who, far), in); code == "" && err != nil {
			t.Errorf("%s: %v", who, err)
		} else if code != "" {
			wantCode(t, err, code)
		}
	}
}

// A copy whose original is gone ends as failed and says why; one that was
// deregistered meanwhile is left alone.
func TestCopiesThatFail(t *testing.T) {
	t.Parallel()
	f := open(t)
	gone := image("gone")
	gone.Devices[0].Manifest = "gone"
	a := f.register(gone)
	got, err := f.copied(a.ID, far, func(in *ec2.CopyImageInput) { in.Encrypted = p(true) })
	if !errors.Is(err, disk.ErrNotFound) || *got.State != "failed" || got.StateReason == nil || !strings.Contains(*got.StateReason.Message, "not found") {
		t.Errorf("the copy is %+v (%v)", got, err)
	}
	plain := f.register(image("web"))
	out := must(f.world.EC2().CopyImage(as(t, alice, far), &ec2.CopyImageInput{Name: p("short"), SourceImageId: &plain.ID, SourceRegion: p(home), Encrypted: p(true)}))(t)
	must(f.world.EC2().DeregisterImage(as(t, alice, far), &ec2.DeregisterImageInput{ImageId: out.ImageId}))(t)
	if err := f.world.FinishCopy(t, *out.ImageId); err != nil {
		t.Errorf("a copy that was taken back: %v", err)
	}
}

// Between regions with stores of their own the blocks of plain AMIs move, too,
// and Copy refuses to make rows of blocks that are not there.
func TestCopiesBetweenStores(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	to := cloud.Copying{Region: "apart-1", Name: "web apart"}
	if moves, err := f.world.Moves(a, to); err != nil || !moves {
		t.Errorf("Moves: %v, %v", moves, err)
	}
	err := f.write(func(tx *store.Tx) error {
		_, err := f.world.Copy(tx, a.ID, to)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "not moved") {
		t.Errorf("Copy without Prepare: %v", err)
	}
	ready, moved, err := f.world.Prepare(t.Context(), a, to)
	if err != nil || moved.New == 0 {
		t.Fatalf("Prepare: %+v, %v", moved, err)
	}
	var made cloud.AMI
	if err := f.write(func(tx *store.Tx) error {
		made, err = f.world.Copy(tx, a.ID, ready)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if d := made.Devices[0]; d.Manifest != "sha256:m@apart-1/" || d.Encrypted {
		t.Errorf("the copy is %+v", d)
	}
	if moves, err := f.world.Moves(a, cloud.Copying{Region: far, Name: "x"}); err != nil || moves {
		t.Errorf("between regions that share a store: %v, %v", moves, err)
	}
}
