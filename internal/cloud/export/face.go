package export

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// EC2 adds the operations on export tasks to those of a face of EC2.
func (x *Exports) EC2(others ec2.Service) ec2.Service { return face{others, x} }

type face struct {
	ec2.Service
	exports *Exports
}

var (
	taskID = regexp.MustCompile(`^export-ami-[0-9a-f]{17}$`)
	amiID  = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
)

// defaultRole is the role of a request that names none (EC2 API Reference,
// ExportImage).
const defaultRole = "vmimport"

// ExportImage begins the export of an AMI of the caller's.
func (f face) ExportImage(ctx context.Context, in *ec2.ExportImageInput) (*ec2.ExportImageOutput, error) {
	x, caller := f.exports, identity.From(ctx)
	if !amiID.MatchString(text(in.ImageId)) {
		return nil, fault.New("InvalidAMIID.Malformed", "Invalid id: \"%.100s\"", text(in.ImageId))
	}
	to := in.S3ExportLocation
	if err := bucket.ValidName(text(to.S3Bucket)); err != nil {
		return nil, fault.New("InvalidParameterValue", "Value (%.100s) for parameter S3ExportLocation.S3Bucket is invalid: %v.", text(to.S3Bucket), err)
	}
	as := string(*in.DiskImageFormat)
	if !slices.Contains([]string{"RAW", "VHD", "VMDK"}, as) {
		return nil, fault.New("InvalidParameterValue", "Value (%.100s) for parameter DiskImageFormat is invalid. It must be VMDK, RAW or VHD.", as)
	}
	t := Task{
		ID: IDFor(rand.Text()), Account: caller.Account, Region: caller.Region, AMI: *in.ImageId, Format: as, Bucket: *to.S3Bucket, Prefix: text(to.S3Prefix), Role: defaultRole,
		Description: text(in.Description), Node: x.Node, Status: Active, Message: "validating", Created: time.Now(), Tags: map[string]string{},
	}
	if in.RoleName != nil {
		t.Role = *in.RoleName
	}
	if token := text(in.ClientToken); token != "" {
		t.ID = IDFor(caller.Account + " " + caller.Region + " token " + token)
	}
	for _, s := range in.TagSpecifications {
		for _, tag := range s.Tags {
			t.Tags[text(tag.Key)] = text(tag.Value)
		}
	}
	known := false
	err := x.Store.Write(ctx, func(tx *store.Tx) error {
		ami, ok, err := x.World.Visible(ctx, tx, caller.Account, caller.Region, t.AMI)
		if err != nil {
			return err
		}
		if !ok || ami.Account != caller.Account {
			return fault.New("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", t.AMI)
		}
		if in.DryRun != nil && *in.DryRun {
			return fault.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
		var earlier Task
		if earlier, known, err = Get(tx, t.Account, t.Region, t.ID); err != nil {
			return err
		}
		if known {
			if earlier.AMI != t.AMI || earlier.Format != t.Format || earlier.Bucket != t.Bucket || earlier.Prefix != t.Prefix {
				return fault.New("IdempotentParameterMismatch", "The client token has already been used with other parameters.")
			}
			t = earlier
			return nil
		}
		return Put(tx, t)
	})
	if err != nil {
		return nil, err
	}
	if !known {
		x.begin(t)
	}
	shown := t.shape()
	return &ec2.ExportImageOutput{
		Description: shown.Description, DiskImageFormat: in.DiskImageFormat, ExportImageTaskId: shown.ExportImageTaskId, ImageId: shown.ImageId, RoleName: &t.Role, Progress: shown.Progress,
		S3ExportLocation: shown.S3ExportLocation, Status: shown.Status, StatusMessage: shown.StatusMessage, Tags: shown.Tags,
	}, nil
}

// DescribeExportImageTasks lists the caller's tasks, also those of Image Builder's
// distributions.
func (f face) DescribeExportImageTasks(ctx context.Context, in *ec2.DescribeExportImageTasksInput) (*ec2.DescribeExportImageTasksOutput, error) {
	caller := identity.From(ctx)
	if in.DryRun != nil && *in.DryRun {
		return nil, fault.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	states, err := wantedStates(in.Filters)
	if err != nil {
		return nil, err
	}
	q := store.Query{Kind: taskKind, Account: caller.Account, Region: caller.Region, Limit: 501}
	if in.MaxResults != nil {
		q.Limit = int(*in.MaxResults) + 1
	}
	after, err := base64.RawURLEncoding.DecodeString(text(in.NextToken))
	if err != nil || len(after) > 0 && !taskID.Match(after) {
		return nil, fault.New("InvalidParameterValue", "The token '%.40s' for the parameter NextToken is invalid", text(in.NextToken))
	}
	q.After.Name = string(after)
	var all []Task
	err = f.exports.Store.Read(ctx, func(tx *store.Tx) error {
		if len(in.ExportImageTaskIds) > 0 {
			all, err = named(tx, caller, in.ExportImageTaskIds)
			return err
		}
		rows, err := tx.List(q)
		for _, row := range rows {
			t, err := read(row)
			if err != nil {
				return err
			}
			all = append(all, t)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeExportImageTasksOutput{}
	if len(in.ExportImageTaskIds) == 0 && len(all) == q.Limit {
		all = all[:q.Limit-1]
		token := base64.RawURLEncoding.EncodeToString([]byte(all[len(all)-1].ID))
		out.NextToken = &token
	}
	for _, t := range all {
		if states == nil || slices.Contains(states, t.Status) {
			out.ExportImageTasks = append(out.ExportImageTasks, t.shape())
		}
	}
	return out, nil
}

// wantedStates reads the one filter that there is; nil: all states.
func wantedStates(filters []ec2.Filter) (states []string, err error) {
	for _, f := range filters {
		if text(f.Name) != "task-state" {
			return nil, fault.New("InvalidParameterValue", "The filter '%.100s' is invalid", text(f.Name))
		}
		states = append(states, f.Values...)
	}
	return states, nil
}

// named gives the tasks of a list of IDs.
func named(tx *store.Tx, caller identity.Caller, ids []string) ([]Task, error) {
	var all []Task
	for _, id := range ids {
		if !taskID.MatchString(id) {
			return nil, fault.New("InvalidExportTaskID.Malformed", "The ID \"%.100s\" is not that of an export image task", id)
		}
		t, ok, err := Get(tx, caller.Account, caller.Region, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.New("InvalidExportTaskID.NotFound", "The export task ID '%s' does not exist", id)
		}
		all = append(all, t)
	}
	return all, nil
}

// CancelExportTask ends a task that is active, and removes what it sent. One of a
// distribution ends with its image.
func (f face) CancelExportTask(ctx context.Context, in *ec2.CancelExportTaskInput) (*ec2.CancelExportTaskOutput, error) {
	x, caller := f.exports, identity.From(ctx)
	var t Task
	err := x.Store.Write(ctx, func(tx *store.Tx) error {
		all, err := named(tx, caller, []string{text(in.ExportTaskId)})
		if err != nil {
			return err
		}
		t = all[0]
		if t.Status != Active {
			return fault.New("IncorrectState", "The export task %s is %s and cannot be canceled.", t.ID, t.Status)
		}
		if t.Image != "" {
			return fault.New("IncorrectState", "The export task %s is part of the image %s. Cancel that with CancelImageCreation.", t.ID, t.Image)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !x.cancel(t.ID) {
		return nil, fault.New("IncorrectState", "The export task %s is worked on by another server.", t.ID)
	}
	return &ec2.CancelExportTaskOutput{}, nil
}

// shape is the task as EC2 shows it.
func (t *Task) shape() ec2.ExportImageTask {
	out := ec2.ExportImageTask{
		ExportImageTaskId: &t.ID, ImageId: &t.AMI, Status: &t.Status, S3ExportLocation: &ec2.ExportTaskS3Location{S3Bucket: &t.Bucket, S3Prefix: some(t.Prefix)},
		Description: some(t.Description), StatusMessage: some(t.Message),
	}
	if t.Status == Active {
		progress := strconv.Itoa(t.Progress)
		out.Progress = &progress
	}
	for key, value := range t.Tags {
		out.Tags = append(out.Tags, ec2.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(out.Tags, func(a, b ec2.Tag) int {
		if *a.Key < *b.Key {
			return -1
		}
		return 1
	})
	return out
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
