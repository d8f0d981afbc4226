package cloud_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// paperCopies are copies by manifest.
type paperCopies struct {
	ready  map[string]int
	broken error
}

func (c *paperCopies) Prepare(_ context.Context, manifest string, wanted int) error {
	if c.broken == nil {
		c.ready[manifest] = wanted
	}
	return c.broken
}

func (c *paperCopies) Forget(manifest string) error {
	delete(c.ready, manifest)
	return nil
}

func TestFastLaunch(t *testing.T) {
	t.Parallel()
	f := open(t)
	copies := &paperCopies{ready: map[string]int{}}
	a := f.register(image("web"))
	face, ctx := f.world.EC2(), as(t, alice, home)
	enable := &ec2.EnableFastLaunchInput{ImageId: &a.ID, SnapshotConfiguration: &ec2.FastLaunchSnapshotConfigurationRequest{TargetResourceCount: p(int32(3))}}
	_, err := face.EnableFastLaunch(ctx, enable)
	wantCode(t, err, "InvalidRequest") // nobody makes copies
	f.world.MakeReady(copies)

	for code, in := range map[string]*ec2.EnableFastLaunchInput{
		"InvalidParameterValue":       {ImageId: &a.ID, MaxParallelLaunches: p(int32(5))},
		"InvalidParameterCombination": {ImageId: &a.ID, LaunchTemplate: &ec2.FastLaunchLaunchTemplateSpecificationRequest{Version: p("1")}},
		"InvalidAMIID.NotFound":       {ImageId: p("ami-00000000000000000")},
		"DryRunOperation":             {ImageId: &a.ID, DryRun: p(true)},
	} {
		_, err := face.EnableFastLaunch(ctx, in)
		wantCode(t, err, code)
	}
	_, err = face.EnableFastLaunch(as(t, bob, home), enable)
	wantCode(t, err, "InvalidAMIID.NotFound")

	made := must(face.EnableFastLaunch(ctx, enable))(t)
	if *made.State != "enabled" || copies.ready["sha256:m"] != 3 {
		t.Errorf("%s, copies %v", *made.State, copies.ready)
	}
	want := []ec2.DescribeFastLaunchImagesSuccessItem{{
		ImageId: &a.ID, OwnerId: p(alice), ResourceType: p(ec2.FastLaunchResourceTypeSnapshot), MaxParallelLaunches: p(int32(6)), State: p(ec2.FastLaunchStateCodeEnabled),
		SnapshotConfiguration: &ec2.FastLaunchSnapshotConfigurationResponse{TargetResourceCount: p(int32(3))}, StateTransitionTime: shape.At(now),
	}}
	got := must(face.DescribeFastLaunchImages(ctx, &ec2.DescribeFastLaunchImagesInput{Filters: []ec2.Filter{{Name: p("state"), Values: []string{"enabled"}}}}))(t)
	if diff := cmp.Diff(want, got.FastLaunchImages, cmp.Comparer(func(a, b shape.Time) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if others := must(face.DescribeFastLaunchImages(as(t, bob, home), &ec2.DescribeFastLaunchImagesInput{}))(t); len(others.FastLaunchImages) != 0 {
		t.Errorf("another account sees %+v", others.FastLaunchImages)
	}
	copied := must(face.CopyImage(as(t, alice, home), &ec2.CopyImageInput{Name: p("copy"), SourceImageId: &a.ID, SourceRegion: p(home)}))(t)
	if all := must(face.DescribeFastLaunchImages(ctx, &ec2.DescribeFastLaunchImagesInput{ImageIds: []string{*copied.ImageId}}))(t); len(all.FastLaunchImages) != 0 {
		t.Error("a copy of the image has fast launch, too")
	}

	if off := must(face.DisableFastLaunch(ctx, &ec2.DisableFastLaunchInput{ImageId: &a.ID}))(t); *off.State != "disabling" || len(copies.ready) != 0 {
		t.Errorf("%s, copies %v", *off.State, copies.ready)
	}
	_, err = face.DisableFastLaunch(ctx, &ec2.DisableFastLaunchInput{ImageId: &a.ID})
	wantCode(t, err, "InvalidRequest")

	// The copies go with the AMI.
	must(face.EnableFastLaunch(ctx, enable))(t)
	must(face.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &a.ID}))(t)
	if len(copies.ready) != 0 {
		t.Errorf("after the AMI its copies are left: %v", copies.ready)
	}
}

func TestFastLaunchThatFails(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.world.MakeReady(&paperCopies{broken: errors.New("no space left on device")})
	a := f.register(image("web"))
	out := must(f.world.EC2().EnableFastLaunch(as(t, alice, home), &ec2.EnableFastLaunchInput{ImageId: &a.ID}))(t)
	if *out.State != "enabling-failed" || *out.StateTransitionReason != "no space left on device" {
		t.Errorf("%+v", out)
	}
	sealed := image("sealed")
	sealed.Devices[0].Encrypted = true
	b := f.register(sealed)
	_, err := f.world.EC2().EnableFastLaunch(as(t, alice, home), &ec2.EnableFastLaunchInput{ImageId: &b.ID})
	if fault.Code(err) != "InvalidRequest" {
		t.Errorf("of an encrypted image: %v", err)
	}
}
