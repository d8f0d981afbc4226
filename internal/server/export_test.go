package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// TestExportImage exports an AMI as a client of EC2 does.
func TestExportImage(t *testing.T) {
	t.Parallel()
	s, content := serveDisk(t)
	as := func(who aws.Credentials) *ec2.Client {
		return ec2.New(ec2.Options{BaseEndpoint: &s.URL, Region: "eu-west-1", Credentials: credentials.StaticCredentialsProvider{Value: who}})
	}
	client := as(owner)
	in := &ec2.ExportImageInput{
		ImageId: aws.String(testAMI), DiskImageFormat: types.DiskImageFormatRaw, S3ExportLocation: &types.ExportTaskS3LocationRequest{S3Bucket: aws.String("disks"), S3Prefix: aws.String("exports/")},
		ClientToken: aws.String("once"), Description: aws.String("to keep"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeExportImageTask, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}},
	}
	task, err := client.ExportImage(t.Context(), in)
	if err != nil || !strings.HasPrefix(*task.ExportImageTaskId, "export-ami-") || *task.Status != "active" || *task.RoleName != "vmimport" {
		t.Fatalf("ExportImage: %+v, %v", task, err)
	}
	again, err := client.ExportImage(t.Context(), in)
	if err != nil || *again.ExportImageTaskId != *task.ExportImageTaskId {
		t.Errorf("the same request again: %+v, %v", again, err)
	}
	var shown types.ExportImageTask
	for range 1000 {
		out, err := client.DescribeExportImageTasks(t.Context(), &ec2.DescribeExportImageTasksInput{ExportImageTaskIds: []string{*task.ExportImageTaskId}})
		if err != nil || len(out.ExportImageTasks) != 1 {
			t.Fatalf("DescribeExportImageTasks: %+v, %v", out, err)
		}
		if shown = out.ExportImageTasks[0]; *shown.Status != "active" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if *shown.Status != "completed" || *shown.Description != "to keep" || len(shown.Tags) != 1 || *shown.S3ExportLocation.S3Prefix != "exports/" {
		t.Fatalf("the task: %+v", shown)
	}
	got, err := os.ReadFile(filepath.Join(s.dir.Buckets(), "disks", "exports", *task.ExportImageTaskId+".raw"))
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("the object has %d other bytes, %v", len(got), err)
	}
	all, err := client.DescribeExportImageTasks(t.Context(), &ec2.DescribeExportImageTasksInput{Filters: []types.Filter{{Name: aws.String("task-state"), Values: []string{"completed"}}}})
	if err != nil || len(all.ExportImageTasks) != 1 {
		t.Errorf("all that are completed: %+v, %v", all, err)
	}
	refused := func(what, code string, err error) {
		t.Helper()
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != code {
			t.Errorf("%s: %v, want %s", what, err, code)
		}
	}
	_, err = client.CancelExportTask(t.Context(), &ec2.CancelExportTaskInput{ExportTaskId: task.ExportImageTaskId})
	refused("cancelling what is completed", "IncorrectState", err)
	_, err = as(stranger).DescribeExportImageTasks(t.Context(), &ec2.DescribeExportImageTasksInput{ExportImageTaskIds: []string{*task.ExportImageTaskId}})
	refused("a stranger's look", "InvalidExportTaskID.NotFound", err)
	other := *in
	other.ClientToken = nil
	for _, who := range []aws.Credentials{friend, stranger} { // only the owner may export
		_, err = as(who).ExportImage(t.Context(), &other)
		refused("another account's AMI", "InvalidAMIID.NotFound", err)
	}
	_, err = as(nobody).ExportImage(t.Context(), &other)
	refused("without the permission", "UnauthorizedOperation", err)
	other.S3ExportLocation = &types.ExportTaskS3LocationRequest{S3Bucket: aws.String("..")}
	_, err = client.ExportImage(t.Context(), &other)
	refused("a bucket that cannot be", "InvalidParameterValue", err)
	other.S3ExportLocation = &types.ExportTaskS3LocationRequest{S3Bucket: aws.String("disks"), S3Prefix: aws.String("../outside/")}
	failing, err := client.ExportImage(t.Context(), &other)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		out, err := client.DescribeExportImageTasks(t.Context(), &ec2.DescribeExportImageTasksInput{ExportImageTaskIds: []string{*failing.ExportImageTaskId}})
		if err != nil {
			t.Fatal(err)
		}
		if shown = out.ExportImageTasks[0]; *shown.Status != "active" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if *shown.Status == "active" || *shown.Status == "completed" || !strings.Contains(*shown.StatusMessage, "key") {
		t.Errorf("an export out of its bucket: %s %s", *shown.Status, *shown.StatusMessage)
	}
}
