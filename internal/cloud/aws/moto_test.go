package aws_test

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// moto starts moto's server and gives its URL.
func moto(t *testing.T) string {
	t.Helper()
	python := os.Getenv("GOLDSMITH_PYTHON")
	if python == "" {
		python = "../../../.venv/bin/python"
	}
	server := filepath.Join(filepath.Dir(python), "moto_server")
	if _, err := os.Stat(server); err != nil {
		t.Skipf("%s is not there (script/setup test)", server)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(server, "-H", "127.0.0.1", "-p", port)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get("http://" + addr + "/moto-api/")
		if err == nil {
			answer.Body.Close()
			return "http://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto does not answer: %v\n%s", err, out.String())
		}
	}
}

// TestAgainstMoto goes the whole way through the SDK's clients against a server
// that others wrote: a role of another account, two uploads, a copy, permissions,
// a launch template, a parameter, and the end of an AMI.
func TestAgainstMoto(t *testing.T) {
	t.Parallel()
	f := open(t)
	const account = "777788889999"
	access := aws.Account{ID: account, Endpoint: moto(t), Role: "arn:aws:iam::" + account + ":role/EC2ImageBuilderDistributionCrossAccountRole", ExternalID: "an-id"}
	a := aws.New(aws.Config{Accounts: []aws.Account{access}, Store: f.store, World: f.world, Blocks: f.disks, Outbox: f.outbox, Poll: 10 * time.Millisecond})
	f.world.Provide(a)
	home, err := access.Load(t.Context(), region)
	if err != nil {
		t.Fatal(err)
	}
	theirs, direct, params := ec2.NewFromConfig(home), ebs.NewFromConfig(home), ssm.NewFromConfig(home)
	publish := func(p cloud.Publication) cloud.AMI {
		t.Helper()
		p.AMI.Account, p.AMI.RootDevice, p.AMI.Devices = account, "/dev/sda1", p.AMI.Devices[:1]
		p.AMI.Devices[0].DeviceName = "/dev/sda1"
		made, err := a.Publish(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		f.register(made)
		return made
	}
	read := func(snapshot string) blocks {
		t.Helper()
		list, err := direct.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &snapshot})
		if err != nil {
			t.Fatal(err)
		}
		all := blocks{}
		for _, b := range list.Blocks {
			got, err := direct.GetSnapshotBlock(t.Context(), &ebs.GetSnapshotBlockInput{SnapshotId: &snapshot, BlockIndex: b.BlockIndex, BlockToken: b.BlockToken})
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(got.BlockData)
			if err != nil {
				t.Fatal(err)
			}
			all[int(*b.BlockIndex)] = data
		}
		return all
	}

	first := blocks{0: content(), 9: content(), 127: content()}
	manifest := f.disk(first)
	one := publish(f.publication("web 1", manifest))
	if diff := cmp.Diff(first, read(one.Devices[0].SnapshotID)); diff != "" {
		t.Error("the blocks at moto are not those of the disk")
	}
	second := maps.Clone(first)
	second[9] = content()
	two := publish(f.publication("web 2", f.disk(second)))
	if diff := cmp.Diff(blocks{9: second[9]}, read(two.Devices[0].SnapshotID)); diff != "" {
		t.Error("the second upload is not the block that changed")
	}
	p := f.publication("web 1", manifest)
	p.Like, p.AMI.Region = &one, "us-west-2"
	there := publish(p)

	out, err := theirs.DescribeImages(t.Context(), &ec2.DescribeImagesInput{ImageIds: []string{one.ID}})
	if err != nil || len(out.Images) != 1 {
		t.Fatalf("moto's AMI: %v, %v", out, err)
	}
	image := out.Images[0]
	tags := map[string]string{}
	for _, tag := range image.Tags {
		tags[*tag.Key] = *tag.Value
	}
	if want := map[string]string{"Role": "web", "Ec2ImageBuilderArn": f.publication("", "").For}; *image.Name != "web 1" || *image.OwnerId != account || !cmp.Equal(tags, want) {
		t.Errorf("moto's AMI is %s of %s with %v", *image.Name, *image.OwnerId, tags)
	}
	permitted, err := theirs.DescribeImageAttribute(t.Context(), &ec2.DescribeImageAttributeInput{ImageId: &one.ID, Attribute: types.ImageAttributeNameLaunchPermission})
	if err != nil || len(permitted.LaunchPermissions) != 1 || *permitted.LaunchPermissions[0].UserId != "444455556666" {
		t.Errorf("moto's permissions: %+v, %v", permitted, err)
	}

	template, err := theirs.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: sdk.String("web"), LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: sdk.String("ami-00000000"), InstanceType: "t3.micro"},
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeLaunchTemplate, Tags: []types.Tag{{Key: sdk.String("CreatedBy"), Value: sdk.String("EC2 Image Builder")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := *template.LaunchTemplate.LaunchTemplateId
	for range 2 { // the second time it is there
		if err := a.Launch(t.Context(), account, region, id, two.ID, true); err != nil {
			t.Fatal(err)
		}
		if err := a.PutParameter(t.Context(), account, region, "/golden/web", "text", two.ID, "the newest"); err != nil {
			t.Fatal(err)
		}
	}
	versions, err := theirs.DescribeLaunchTemplateVersions(t.Context(), &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id})
	if err != nil || len(versions.LaunchTemplateVersions) != 2 {
		t.Fatalf("moto's launch template: %+v, %v", versions, err)
	}
	i := slices.IndexFunc(versions.LaunchTemplateVersions, func(v types.LaunchTemplateVersion) bool { return *v.VersionNumber == 2 })
	if v := versions.LaunchTemplateVersions[i]; *v.LaunchTemplateData.ImageId != two.ID || !*v.DefaultVersion { // moto does not take over what the source version has
		t.Errorf("the version is %+v", v)
	}
	put, err := params.GetParameter(t.Context(), &ssm.GetParameterInput{Name: sdk.String("/golden/web")})
	if err != nil || *put.Parameter.Value != two.ID || put.Parameter.Version != 1 {
		t.Errorf("moto's parameter: %+v, %v", put, err)
	}
	err = a.Launch(t.Context(), account, region, "lt-00000000000000000", two.ID, false)
	failed(t, err, "UPDATE_LAUNCH_TEMPLATES", "lt-00000000000000000")

	if err := f.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := f.world.Deregister(tx, two.ID)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, d := range f.outbox.all {
		if _, err := a.Send(t.Context(), d); err != nil && !strings.Contains(err.Error(), "InvalidSnapshot.InUse") {
			t.Errorf("%s: %v", d.Body, err)
		}
	}
	left, err := theirs.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{account}})
	if err != nil || len(left.Images) != 1 || *left.Images[0].ImageId != one.ID {
		t.Errorf("moto has %+v, %v; want only %s", left, err, one.ID)
	}
	if there.Source.ID != one.ID {
		t.Errorf("the copy is %+v", there)
	}
}
