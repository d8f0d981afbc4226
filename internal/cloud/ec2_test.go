package cloud_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

func p[T any](v T) *T { return &v }

func snapshotsOf(ids ...string) *ec2.DescribeSnapshotsInput {
	return &ec2.DescribeSnapshotsInput{SnapshotIds: ids}
}

func names(out *ec2.DescribeImagesOutput) []string {
	var all []string
	for _, i := range out.Images {
		all = append(all, *i.Name)
	}
	return all
}

func sorted(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// managed publishes one AMI to everyone.
type managed struct{}

func (managed) PublicAMIs(_ context.Context, region string) ([]cloud.AMI, error) {
	return []cloud.AMI{{
		ID: "ami-8" + strings.Repeat("0", 16), Account: cloud.AmazonAccount, Region: region, Name: "debian-12-x86 2026.11.21", State: "available", Architecture: "x86_64",
		RootDevice: "/dev/xvda", OwnerAlias: "amazon", Permissions: cloud.Permissions{Groups: []string{"all"}}, Created: now,
		Devices: []cloud.BlockDevice{{DeviceName: "/dev/xvda", SnapshotID: "snap-8" + strings.Repeat("0", 16), Manifest: "sha256:d", SizeGiB: 2}},
	}}, nil
}

func TestDescribeImagesShape(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	out, err := f.world.EC2().DescribeImages(as(t, alice, home), &ec2.DescribeImagesInput{ImageIds: []string{a.ID}})
	if err != nil {
		t.Fatal(err)
	}
	want := []ec2.Image{{
		Architecture: p(ec2.ArchitectureValues("x86_64")), CreationDate: p("2026-11-21T10:00:00.000Z"), ImageId: p(a.ID), ImageLocation: p(alice + "/web"), ImageType: p(ec2.ImageTypeValues("machine")),
		Public: p(false), OwnerId: p(alice), PlatformDetails: p("Linux/UNIX"), UsageOperation: p("RunInstances"), State: p(ec2.ImageState("available")), Description: p("d"),
		EnaSupport: p(true), Hypervisor: p(ec2.HypervisorType("xen")), Name: p("web"), RootDeviceName: p("/dev/xvda"), RootDeviceType: p(ec2.DeviceType("ebs")), SriovNetSupport: p("simple"),
		Tags: []ec2.Tag{{Key: p("env"), Value: p("test")}}, VirtualizationType: p(ec2.VirtualizationType("hvm")), BootMode: p(ec2.BootModeValues("uefi-preferred")), ImageAllowed: p(true),
		BlockDeviceMappings: []ec2.BlockDeviceMapping{
			{DeviceName: p("/dev/xvda"), Ebs: &ec2.EbsBlockDevice{DeleteOnTermination: p(true), SnapshotId: p(a.Devices[0].SnapshotID), VolumeSize: p(int32(4)), VolumeType: p(ec2.VolumeType("gp3")), Encrypted: p(false)}},
			{DeviceName: p("/dev/xvdb"), Ebs: &ec2.EbsBlockDevice{DeleteOnTermination: p(false), VolumeSize: p(int32(1)), VolumeType: p(ec2.VolumeType("gp2")), Encrypted: p(false)}},
			{DeviceName: p("/dev/xvdc"), VirtualName: p("ephemeral0")},
			{DeviceName: p("/dev/xvdd"), NoDevice: p("")},
		},
	}}
	if diff := cmp.Diff(want, out.Images); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDescribeImagesWhoSeesWhat(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.world.Publish(managed{})
	private := f.register(image("private"))
	shared, public, foreign, elsewhere := image("shared"), image("public"), image("foreign"), image("elsewhere")
	shared.Permissions.UserIDs = []string{bob}
	public.Permissions.Groups = []string{"all"}
	foreign.Account = bob
	elsewhere.Region = far
	for _, a := range []cloud.AMI{shared, public, foreign, elsewhere} {
		f.register(a)
	}
	const debian = "debian-12-x86 2026.11.21"
	for name, test := range map[string]struct {
		account, region string
		in              ec2.DescribeImagesInput
		want            []string
	}{
		"alice, all":                  {alice, home, ec2.DescribeImagesInput{}, []string{"private", "shared", "public", debian}},
		"bob, all":                    {bob, home, ec2.DescribeImagesInput{}, []string{"foreign", "shared", "public", debian}},
		"alice, far":                  {alice, far, ec2.DescribeImagesInput{}, []string{"elsewhere", debian}},
		"alice, self":                 {alice, home, ec2.DescribeImagesInput{Owners: []string{"self"}}, []string{"private", "shared", "public"}},
		"bob, of alice":               {bob, home, ec2.DescribeImagesInput{Owners: []string{alice}}, []string{"shared", "public"}},
		"bob, amazon":                 {bob, home, ec2.DescribeImagesInput{Owners: []string{"amazon"}}, []string{debian}},
		"bob, marketplace":            {bob, home, ec2.DescribeImagesInput{Owners: []string{"aws-marketplace"}}, nil},
		"bob, executable by self":     {bob, home, ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}, []string{"shared"}},
		"bob, executable by all":      {bob, home, ec2.DescribeImagesInput{ExecutableUsers: []string{"all"}}, []string{"public", debian}},
		"alice, executable by bob":    {alice, home, ec2.DescribeImagesInput{ExecutableUsers: []string{bob}}, []string{"shared"}},
		"carol cannot ask about bob":  {"333333333333", home, ec2.DescribeImagesInput{ExecutableUsers: []string{bob}}, nil},
		"alice, filtered by an owner": {alice, home, ec2.DescribeImagesInput{Filters: []ec2.Filter{{Name: p("owner-id"), Values: []string{bob}}}}, nil},
	} {
		out, err := f.world.EC2().DescribeImages(as(t, test.account, test.region), &test.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sorted(t, name, names(out), test.want)
	}
	// An ID tells nothing about what its asker may not see.
	for _, ctx := range []context.Context{as(t, bob, home), as(t, alice, far)} {
		_, err := f.world.EC2().DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{private.ID}})
		wantCode(t, err, "InvalidAMIID.NotFound")
	}
	_, err := f.world.EC2().DescribeSnapshots(as(t, bob, home), snapshotsOf(private.Devices[0].SnapshotID))
	wantCode(t, err, "InvalidSnapshot.NotFound")
	if _, err := f.world.EC2().DescribeSnapshots(as(t, bob, home), snapshotsOf("snap-8"+strings.Repeat("0", 16))); err != nil {
		t.Errorf("the managed snapshot: %v", err)
	}
}

func TestDescribeImagesFilters(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, name := range []string{"web-1", "web-2", "db [x]"} {
		a := image(name)
		a.Tags = map[string]string{"Name": name, "only-" + name[:2]: ""}
		f.register(a)
	}
	for _, test := range []struct {
		name   string
		values []string
		want   []string
	}{
		{"name", []string{"web-1"}, []string{"web-1"}},
		{"name", []string{"web-*"}, []string{"web-1", "web-2"}},
		{"name", []string{"WEB-*"}, nil},
		{"name", []string{"web-?", "nothing"}, []string{"web-1", "web-2"}},
		{"name", []string{`*\]`}, []string{"db [x]"}},
		{"tag:Name", []string{"*1"}, []string{"web-1"}},
		{"tag:only-db", []string{""}, []string{"db [x]"}},
		{"tag-key", []string{"only-we"}, []string{"web-1", "web-2"}},
		{"state", []string{"available"}, []string{"web-1", "web-2", "db [x]"}},
		{"state", []string{"pending"}, nil},
		{"architecture", []string{"arm64"}, nil},
		{"block-device-mapping.volume-size", []string{"4"}, []string{"web-1", "web-2", "db [x]"}},
		{"creation-date", []string{"2026-11-*"}, []string{"web-1", "web-2", "db [x]"}},
		{"is-public", []string{"true"}, nil},
		{"root-device-type", []string{"ebs"}, []string{"web-1", "web-2", "db [x]"}},
	} {
		out, err := f.world.EC2().DescribeImages(as(t, alice, home), &ec2.DescribeImagesInput{Filters: []ec2.Filter{{Name: p(test.name), Values: test.values}}})
		if err != nil {
			t.Errorf("%s=%v: %v", test.name, test.values, err)
			continue
		}
		sorted(t, fmt.Sprintf("%s=%v", test.name, test.values), names(out), test.want)
	}
}

func TestDescribeImagesPages(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.world.Publish(managed{})
	want := []string{"debian-12-x86 2026.11.21"}
	for i := range 12 {
		want = append(want, f.register(image(fmt.Sprintf("web-%02d", i))).Name)
	}
	for _, size := range []int32{1, 5, 13, 1000} {
		var got []string
		in := &ec2.DescribeImagesInput{MaxResults: p(size)}
		for pages := 0; ; pages++ {
			out, err := f.world.EC2().DescribeImages(as(t, alice, home), in)
			if err != nil || len(out.Images) > int(size) || pages > 13 {
				t.Fatalf("a page of %d after %d pages: %v", len(out.Images), pages, err)
			}
			got = append(got, names(out)...)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		sorted(t, fmt.Sprintf("pages of %d", size), got, want)
	}
	first, err := f.world.EC2().DescribeImages(as(t, alice, home), &ec2.DescribeImagesInput{MaxResults: p(int32(2))})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"other filters": func() error {
			_, err := f.world.EC2().DescribeImages(as(t, alice, home), &ec2.DescribeImagesInput{NextToken: first.NextToken, Owners: []string{"self"}})
			return err
		},
		"other account": func() error {
			_, err := f.world.EC2().DescribeImages(as(t, bob, home), &ec2.DescribeImagesInput{NextToken: first.NextToken})
			return err
		},
		"other listing": func() error {
			_, err := f.world.EC2().DescribeSnapshots(as(t, alice, home), &ec2.DescribeSnapshotsInput{NextToken: first.NextToken})
			return err
		},
		"garbage": func() error {
			_, err := f.world.EC2().DescribeImages(as(t, alice, home), &ec2.DescribeImagesInput{NextToken: p("%%%")})
			return err
		},
	} {
		if code := fault.Code(call()); code != "InvalidParameterValue" {
			t.Errorf("%s: a token of another request gives %q", name, code)
		}
	}
}

func TestEC2Errors(t *testing.T) {
	t.Parallel()
	f := open(t)
	images := func(in ec2.DescribeImagesInput) error {
		_, err := f.world.EC2().DescribeImages(as(t, alice, home), &in)
		return err
	}
	const absent = "ami-00000000000000000"
	for _, test := range []struct {
		err           error
		code, message string
	}{
		{images(ec2.DescribeImagesInput{ImageIds: []string{"ami-x"}}), "InvalidAMIID.Malformed", `Invalid id: "ami-x"`},
		{images(ec2.DescribeImagesInput{ImageIds: []string{absent}}), "InvalidAMIID.NotFound", "The image id '[" + absent + "]' does not exist"},
		{images(ec2.DescribeImagesInput{ImageIds: []string{absent, "ami-00000001"}}), "InvalidAMIID.NotFound", "The image ids '[ami-00000000000000000, ami-00000001]' do not exist"},
		{images(ec2.DescribeImagesInput{Owners: []string{"me"}}), "InvalidUserID.Malformed", `Invalid user id: "me"`},
		{images(ec2.DescribeImagesInput{ExecutableUsers: []string{"me"}}), "InvalidUserID.Malformed", `Invalid user id: "me"`},
		{images(ec2.DescribeImagesInput{MaxResults: p(int32(0))}), "InvalidParameterValue", "maxResults"},
		{images(ec2.DescribeImagesInput{MaxResults: p(int32(1001))}), "InvalidParameterValue", "maxResults"},
		{images(ec2.DescribeImagesInput{MaxResults: p(int32(5)), ImageIds: []string{absent}}), "InvalidParameterCombination", "MaxResults"},
		{images(ec2.DescribeImagesInput{Filters: []ec2.Filter{{Name: p("nonsense"), Values: []string{"x"}}}}), "InvalidParameterValue", "The filter 'nonsense' is invalid"},
		{images(ec2.DescribeImagesInput{Filters: []ec2.Filter{{Name: p("name")}}}), "InvalidParameterValue", "no values"},
		{images(ec2.DescribeImagesInput{Filters: []ec2.Filter{{}}}), "InvalidParameterValue", "The filter ''"},
		{images(ec2.DescribeImagesInput{DryRun: p(true)}), "DryRunOperation", "Request would have succeeded, but DryRun flag is set."},
	} {
		if fault.Code(test.err) != test.code || !strings.Contains(test.err.Error(), test.message) {
			t.Errorf("error %v, want %s with %q", test.err, test.code, test.message)
		}
	}
	_, err := f.world.EC2().DescribeSnapshots(as(t, alice, home), snapshotsOf("snap-nothing"))
	wantCode(t, err, "InvalidSnapshotID.Malformed")
}

func TestDescribeRegions(t *testing.T) {
	t.Parallel()
	f := open(t)
	regions := func(region string, in ec2.DescribeRegionsInput) (all []string) {
		out, err := f.world.EC2().DescribeRegions(as(t, alice, region), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Regions {
			all = append(all, *r.RegionName+" "+*r.Endpoint+" "+*r.OptInStatus)
		}
		return all
	}
	if n := len(regions(home, ec2.DescribeRegionsInput{})); n < 30 {
		t.Errorf("%d regions", n)
	}
	sorted(t, "one by name", regions(home, ec2.DescribeRegionsInput{RegionNames: []string{far}}), []string{far + " ec2.ap-northeast-1.amazonaws.com opt-in-not-required"})
	sorted(t, "by filter", regions(home, ec2.DescribeRegionsInput{Filters: []ec2.Filter{{Name: p("region-name"), Values: []string{"me-c*"}}}}), []string{"me-central-1 ec2.me-central-1.amazonaws.com opted-in"})
	if got := regions("cn-north-1", ec2.DescribeRegionsInput{}); len(got) != 2 || !strings.Contains(got[0], "ec2.cn-north-1.amazonaws.com.cn") {
		t.Errorf("in China: %v", got)
	}
	_, err := f.world.EC2().DescribeRegions(as(t, alice, home), &ec2.DescribeRegionsInput{RegionNames: []string{"us-east-9"}})
	wantCode(t, err, "InvalidParameterValue")
}
