package aws_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws/awstest"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// change changes rows, and sends what follows of it.
func (f *fixture) change(do func(tx *store.Tx) error) {
	f.Helper()
	f.outbox.all = nil
	if err := f.store.Write(f.Context(), do); err != nil {
		f.Fatal(err)
	}
	if len(f.outbox.all) == 0 {
		f.Fatal("nothing follows")
	}
	for _, d := range f.outbox.all {
		if d.Target != "aws:"+awstest.Account+":"+region || d.Lane == "" {
			f.Errorf("the row of the outbox is %+v", d)
		}
		if _, err := f.process().Send(f.Context(), d); err != nil {
			f.Errorf("%s: %v", d.Body, err)
		}
	}
}

func TestAWSFollowsTheRow(t *testing.T) {
	t.Parallel()
	f := open(t)
	made := f.publish(f.publication("web 1", f.disk(blocks{0: content()})))
	at := time.Date(2027, 1, 2, 3, 4, 0, 0, time.UTC)
	f.change(func(tx *store.Tx) error {
		_, err := f.world.Modify(tx, made.ID, func(a *cloud.AMI) {
			a.Tags = map[string]string{"Role": "old", "Team": "web"}
			a.Permissions = cloud.Permissions{Groups: []string{"all"}, Organizations: []string{"arn:aws:organizations::111122223333:organization/o-exampleorg1"}, Units: []string{"arn:aws:organizations::111122223333:ou/o-exampleorg1/ou-ab12-11111111"}}
			a.Description, a.DeprecationTime = "the old one", at
		})
		return err
	})
	got := f.aws.Images[made.ID]
	if diff := cmp.Diff(map[string]string{"Role": "old", "Team": "web"}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	want := []string{"group=all", "organizationArn=arn:aws:organizations::111122223333:organization/o-exampleorg1", "organizationalUnitArn=arn:aws:organizations::111122223333:ou/o-exampleorg1/ou-ab12-11111111"}
	if diff := cmp.Diff(want, got.Permissions); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
	if got.Description != "the old one" || got.Deprecation != "2027-01-02T03:04:00Z" {
		t.Errorf("the AMI is %+v", got)
	}
	// Once more changes nothing.
	f.calls("EnableImageDeprecation")
	f.calls("CreateTags")
	f.change(func(tx *store.Tx) error {
		_, err := f.world.Modify(tx, made.ID, func(*cloud.AMI) {})
		return err
	})
	if n := f.calls("EnableImageDeprecation") + f.calls("CreateTags"); n != 0 {
		t.Errorf("%d changes of what was the same", n)
	}
	f.change(func(tx *store.Tx) error { return f.world.Disable(tx, made.ID) })
	if got.State != "disabled" {
		t.Errorf("the state is %s, want disabled", got.State)
	}
	f.change(func(tx *store.Tx) error { return f.world.Enable(tx, made.ID) })
	if got.State != "available" {
		t.Errorf("the state is %s, want available", got.State)
	}
	f.change(func(tx *store.Tx) error {
		_, err := f.world.Deregister(tx, made.ID)
		return err
	})
	if len(f.aws.Images)+len(f.aws.Snapshots) != 0 {
		t.Errorf("AWS still has %v %v", f.aws.Images, f.aws.Snapshots)
	}
}
