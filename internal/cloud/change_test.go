package cloud_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestACopyOfAnotherRegionsImage(t *testing.T) {
	t.Parallel()
	f := open(t)
	original := f.register(image("web"))
	face := f.world.EC2()
	copying := &ec2.CopyImageInput{Name: p("copy"), SourceImageId: &original.ID, SourceRegion: p(home), ClientToken: p("once"), Encrypted: p(true), CopyImageTags: p(true),
		TagSpecifications: []ec2.TagSpecification{{ResourceType: p(ec2.ResourceType("image")), Tags: []ec2.Tag{{Key: p("stage"), Value: p("prod")}}}}}
	if _, err := face.CopyImage(as(t, bob, far), copying); fault.Code(err) != "InvalidAMIID.NotFound" {
		t.Errorf("a copy of what is not shared: %v", err)
	}
	must(face.ModifyImageAttribute(as(t, alice, home), &ec2.ModifyImageAttributeInput{ImageId: &original.ID, LaunchPermission: &ec2.LaunchPermissionModifications{Add: []ec2.LaunchPermission{{UserId: p(bob)}}}}))(t)
	id := *must(face.CopyImage(as(t, bob, far), copying))(t).ImageId
	if again := *must(face.CopyImage(as(t, bob, far), copying))(t).ImageId; again != id {
		t.Errorf("the same request made %s and %s", id, again)
	}
	other := *copying
	other.Name = p("other")
	_, err := face.CopyImage(as(t, bob, far), &other)
	wantCode(t, err, "IdempotentParameterMismatch")
	describe := func() ec2.Image {
		return must(face.DescribeImages(as(t, bob, far), &ec2.DescribeImagesInput{ImageIds: []string{id}}))(t).Images[0]
	}
	if got := describe(); *got.State != "pending" || !*got.BlockDeviceMappings[0].Ebs.Encrypted || got.BlockDeviceMappings[0].Ebs.SnapshotId != nil {
		t.Errorf("while its blocks are copied it is %+v", got)
	}
	if err := f.world.FinishCopy(t, id); err != nil {
		t.Fatal(err)
	}
	got := describe()
	if *got.State != "available" || *got.OwnerId != bob || *got.Name != "copy" || *got.SourceImageId != original.ID || !*got.BlockDeviceMappings[0].Ebs.Encrypted || len(got.Tags) != 2 {
		t.Errorf("the copy is %+v", got)
	}
	if *got.BlockDeviceMappings[0].Ebs.SnapshotId == original.Devices[0].SnapshotID {
		t.Error("the copy has the original's snapshot")
	}
}

func TestWhoMayChangeAnImage(t *testing.T) {
	t.Parallel()
	f := open(t)
	shared := image("shared")
	shared.Permissions.UserIDs = []string{bob}
	a := f.register(shared)
	face := f.world.EC2()
	for name, who := range map[string]struct{ account, code string }{"owner": {alice, ""}, "user": {bob, "AuthFailure"}, "stranger": {"333333333333", "InvalidAMIID.NotFound"}} {
		ctx := as(t, who.account, home)
		_, err := face.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &a.ID, Attribute: p(ec2.ImageAttributeName("launchPermission"))})
		_, err2 := face.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &a.ID, Description: &ec2.AttributeValue{Value: p("new")}})
		_, err3 := face.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{a.ID}, Tags: []ec2.Tag{{Key: p("k"), Value: p("v")}}})
		_, err4 := face.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: &a.ID, DeprecateAt: shape.At(now.Add(time.Hour))})
		for i, err := range []error{err, err2, err3, err4} {
			if fault.Code(err) != who.code {
				t.Errorf("%s, %d: %v, want %q", name, i, err, who.code)
			}
		}
	}
	_, err := face.DeregisterImage(as(t, bob, home), &ec2.DeregisterImageInput{ImageId: &a.ID})
	wantCode(t, err, "AuthFailure")
	_, err = face.DeregisterImage(as(t, alice, home), &ec2.DeregisterImageInput{ImageId: &a.ID, DryRun: p(true)})
	wantCode(t, err, "DryRunOperation")
	snapshot := a.Devices[0].SnapshotID
	_, err = face.DeleteSnapshot(as(t, alice, home), &ec2.DeleteSnapshotInput{SnapshotId: &snapshot})
	wantCode(t, err, "InvalidSnapshot.InUse")
	must(face.DeregisterImage(as(t, alice, home), &ec2.DeregisterImageInput{ImageId: &a.ID}))(t)
	_, err = face.DeleteSnapshot(as(t, bob, home), &ec2.DeleteSnapshotInput{SnapshotId: &snapshot})
	wantCode(t, err, "InvalidSnapshot.NotFound")
	must(face.DeleteSnapshot(as(t, alice, home), &ec2.DeleteSnapshotInput{SnapshotId: &snapshot}))(t)
	_, err = face.DeleteSnapshot(as(t, alice, home), &ec2.DeleteSnapshotInput{SnapshotId: &snapshot})
	wantCode(t, err, "InvalidSnapshot.NotFound")
}

func TestLaunchPermissions(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	face, ctx := f.world.EC2(), as(t, alice, home)
	const org = "arn:aws:organizations::111111111111:organization/o-abcdefghij"
	modify := func(in ec2.ModifyImageAttributeInput) error {
		in.ImageId = &a.ID
		_, err := face.ModifyImageAttribute(ctx, &in)
		return err
	}
	add, remove := p(ec2.OperationType("add")), p(ec2.OperationType("remove"))
	for _, in := range []ec2.ModifyImageAttributeInput{
		{OperationType: add, UserIds: []string{bob, "333333333333"}}, {OperationType: add, UserIds: []string{bob}}, {OperationType: add, UserGroups: []string{"all"}}, {OperationType: add, OrganizationArns: []string{org}},
		{OperationType: remove, UserIds: []string{"333333333333", "444444444444"}}, {LaunchPermission: &ec2.LaunchPermissionModifications{Remove: []ec2.LaunchPermission{{Group: p(ec2.PermissionGroup("all"))}}}},
	} {
		if err := modify(in); err != nil {
			t.Fatalf("%+v: %v", in, err)
		}
	}
	describe := &ec2.DescribeImageAttributeInput{ImageId: &a.ID, Attribute: p(ec2.ImageAttributeName("launchPermission"))}
	got := must(face.DescribeImageAttribute(ctx, describe))(t).LaunchPermissions
	if diff := cmp.Diff([]ec2.LaunchPermission{{UserId: p(bob)}, {OrganizationArn: p(org)}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, in := range map[string]ec2.ModifyImageAttributeInput{
		"InvalidAMIAttributeItemValue": {OperationType: add, UserIds: []string{"bob"}}, "MissingParameter": {UserIds: []string{bob}}, "InvalidParameterCombination": {}, "UnsupportedOperation": {ProductCodes: []string{"x"}},
	} {
		wantCode(t, modify(in), name)
	}
	wantCode(t, modify(ec2.ModifyImageAttributeInput{OperationType: add, UserGroups: []string{"everyone"}}), "InvalidAMIAttributeItemValue")
	must(face.ResetImageAttribute(ctx, &ec2.ResetImageAttributeInput{ImageId: &a.ID, Attribute: p(ec2.ResetImageAttributeName("launchPermission"))}))(t)
	if got := must(face.DescribeImageAttribute(ctx, describe))(t).LaunchPermissions; len(got) != 0 {
		t.Errorf("after a reset: %+v", got)
	}
}

func TestTagsOfEveryKind(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	face, ctx := f.world.EC2(), as(t, alice, home)
	template := *must(face.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: p("web"), LaunchTemplateData: &ec2.RequestLaunchTemplateData{}}))(t).LaunchTemplate.LaunchTemplateId
	ids := []string{a.ID, a.Devices[0].SnapshotID, template}
	must(face.CreateTags(ctx, &ec2.CreateTagsInput{Resources: ids, Tags: []ec2.Tag{{Key: p("a"), Value: p("1")}, {Key: p("b"), Value: p("2")}}}))(t)
	must(face.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: ids, Tags: []ec2.Tag{{Key: p("a")}, {Key: p("b"), Value: p("other")}}}))(t)
	var got []string
	var next *string
	for {
		out := must(face.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []ec2.Filter{{Name: p("key"), Values: []string{"a", "b"}}}, MaxResults: p(int32(2)), NextToken: next}))(t)
		for _, tag := range out.Tags {
			got = append(got, string(*tag.ResourceType)+" "+*tag.ResourceId+" "+*tag.Key+"="+*tag.Value)
		}
		if next = out.NextToken; next == nil {
			break
		}
	}
	sorted(t, "tags", got, []string{"image " + a.ID + " b=2", "snapshot " + a.Devices[0].SnapshotID + " b=2", "launch-template " + template + " b=2"})
	for code, in := range map[string]*ec2.CreateTagsInput{
		"InvalidID":                                 {Resources: []string{"i-0123456789abcdef0"}, Tags: []ec2.Tag{{Key: p("k"), Value: p("v")}}},
		"InvalidAMIID.NotFound":                     {Resources: []string{"ami-0123456789abcdef0"}, Tags: []ec2.Tag{{Key: p("k"), Value: p("v")}}},
		"InvalidSnapshot.NotFound":                  {Resources: []string{"snap-0123456789abcdef0"}, Tags: []ec2.Tag{{Key: p("k"), Value: p("v")}}},
		"InvalidParameterValue":                     {Resources: ids, Tags: []ec2.Tag{{Key: p("aws:k"), Value: p("v")}}},
		"InvalidLaunchTemplateId.NotFoundException": {Resources: []string{"lt-0123456789abcdef0"}, Tags: []ec2.Tag{{Key: p("k"), Value: p("v")}}},
	} {
		_, err := face.CreateTags(ctx, in)
		wantCode(t, err, code)
	}
}

func TestLaunchTemplates(t *testing.T) {
	t.Parallel()
	f := open(t)
	face, ctx := f.world.EC2(), as(t, alice, home)
	create := &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: p("web"), VersionDescription: p("first"), ClientToken: p("t"), LaunchTemplateData: &ec2.RequestLaunchTemplateData{ImageId: p("ami-1"), InstanceType: p(ec2.InstanceType("m5.large")), SecurityGroupIds: []string{"sg-1"}},
		TagSpecifications: []ec2.TagSpecification{{ResourceType: p(ec2.ResourceType("launch-template")), Tags: []ec2.Tag{{Key: p("CreatedBy"), Value: p("EC2 Image Builder")}}}},
	}
	id := *must(face.CreateLaunchTemplate(ctx, create))(t).LaunchTemplate.LaunchTemplateId
	if again := *must(face.CreateLaunchTemplate(ctx, create))(t).LaunchTemplate.LaunchTemplateId; again != id {
		t.Errorf("the same request made %s and %s", id, again)
	}
	_, err := face.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: p("web"), LaunchTemplateData: &ec2.RequestLaunchTemplateData{}})
	wantCode(t, err, "InvalidLaunchTemplateName.AlreadyExistsException")
	v2 := must(face.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: p("web"), SourceVersion: p("1"), LaunchTemplateData: &ec2.RequestLaunchTemplateData{InstanceType: p(ec2.InstanceType("c5.large"))}}))(t).LaunchTemplateVersion
	if d := v2.LaunchTemplateData; *v2.VersionNumber != 2 || *d.ImageId != "ami-1" || *d.InstanceType != "c5.large" || *v2.DefaultVersion {
		t.Errorf("version 2 is %+v", v2)
	}
	var number int64
	if err := f.write(func(tx *store.Tx) (err error) {
		number, err = f.world.Launch(tx, alice, home, id, "ami-3", "arn:x", true)
		return err
	}); err != nil || number != 3 {
		t.Fatalf("version %d, %v", number, err)
	}
	versions := must(face.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id}))(t).LaunchTemplateVersions
	if last := versions[2]; len(versions) != 3 || *last.LaunchTemplateData.ImageId != "ami-3" || *last.LaunchTemplateData.InstanceType != "c5.large" || !cmp.Equal(last.LaunchTemplateData.SecurityGroupIds, []string{"sg-1"}) || !*last.DefaultVersion {
		t.Errorf("versions %+v", versions)
	}
	must(face.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &id, DefaultVersion: p("2")}))(t)
	deleted := must(face.DeleteLaunchTemplateVersions(ctx, &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{"1", "2", "9"}}))(t)
	if len(deleted.SuccessfullyDeletedLaunchTemplateVersions) != 1 || len(deleted.UnsuccessfullyDeletedLaunchTemplateVersions) != 2 {
		t.Errorf("deleted %+v", deleted)
	}
	all := must(face.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: []ec2.Filter{{Name: p("tag:CreatedBy"), Values: []string{"EC2*"}}}}))(t).LaunchTemplates
	if len(all) != 1 || *all[0].DefaultVersionNumber != 2 || *all[0].LatestVersionNumber != 3 {
		t.Errorf("templates %+v", all)
	}
	plain := *must(face.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: p("plain"), LaunchTemplateData: &ec2.RequestLaunchTemplateData{}}))(t).LaunchTemplate.LaunchTemplateId
	err = f.write(func(tx *store.Tx) error {
		_, err := f.world.Launch(tx, alice, home, plain, "ami-3", "arn:x", true)
		return err
	})
	if fault.Code(err) != "UnauthorizedOperation" || !strings.Contains(err.Error(), "CreatedBy") {
		t.Errorf("a template without the tag: %v", err)
	}
	for code, in := range map[string]*ec2.DescribeLaunchTemplateVersionsInput{
		"InvalidLaunchTemplateId.NotFoundException": {LaunchTemplateId: p("lt-0123456789abcdef0")}, "InvalidLaunchTemplateName.NotFoundException": {LaunchTemplateName: p("none")}, "InvalidLaunchTemplateId.Malformed": {LaunchTemplateId: p("x")},
		"InvalidLaunchTemplateId.VersionNotFound": {LaunchTemplateId: &id, Versions: []string{"1"}}, "InvalidParameterValue": {LaunchTemplateId: &id, Versions: []string{"newest"}}, "MissingParameter": {},
	} {
		_, err := face.DescribeLaunchTemplateVersions(ctx, in)
		wantCode(t, err, code)
	}
	if _, err := face.DescribeLaunchTemplateVersions(as(t, bob, home), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id}); fault.Code(err) != "InvalidLaunchTemplateId.NotFoundException" {
		t.Errorf("another account: %v", err)
	}
	must(face.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: p("web")}))(t)
	_, err = face.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateName: p("web")})
	wantCode(t, err, "InvalidLaunchTemplateName.NotFoundException")
}
