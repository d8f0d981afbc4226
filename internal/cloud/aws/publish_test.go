package aws_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws/awstest"
)

func TestAnAMIIsUploadedAndRegistered(t *testing.T) {
	t.Parallel()
	f := open(t)
	b := blocks{0: content(), 5: content(), 127: content()}
	made := f.publish(f.publication("web 1", f.disk(b)))
	f.holds(made.Devices[0].SnapshotID, b)
	got := f.aws.Images[made.ID]
	if got == nil {
		t.Fatalf("AWS has no %s", made.ID)
	}
	want := []awstest.Device{{Name: "/dev/xvda", Snapshot: made.Devices[0].SnapshotID, Type: "gp3", SizeGiB: 2}, {Name: "/dev/sdb", Type: "gp3", SizeGiB: 5}, {Name: "/dev/sdc"}}
	if diff := cmp.Diff(want, got.Devices); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"Role": "web", "Ec2ImageBuilderArn": image}, got.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"userId=444455556666"}, got.Permissions); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
	if got.Architecture != "x86_64" || got.BootMode != "uefi-preferred" || got.Root != "/dev/xvda" || got.Description != "the web server" {
		t.Errorf("the AMI is %+v", got)
	}
	if made.Provider != "aws" || made.Created.Year() != 2026 {
		t.Errorf("the row is %+v", made)
	}
	// Asked again, by a process that knows nothing of it: it is there.
	again, err := f.process().Publish(t.Context(), f.publication("web 1", f.disk(b)))
	if err != nil || again.ID != made.ID || again.Devices[0].SnapshotID != made.Devices[0].SnapshotID {
		t.Errorf("asked again: %s with %s, %v; want the same", again.ID, again.Devices[0].SnapshotID, err)
	}
	if n := f.calls("RegisterImage"); n != 1 {
		t.Errorf("it was registered %d times", n)
	}
}

func TestOnlyChangedBlocksAreSent(t *testing.T) {
	t.Parallel()
	f := open(t)
	first := blocks{}
	for i := range 40 {
		first[i] = content()
	}
	old := f.publish(f.publication("web 1", f.disk(first)))
	second := blocks{}
	for i, data := range first {
		second[i] = data
	}
	second[3], second[100] = content(), content()
	delete(second, 7) // was freed: AWS has to be told
	f.calls("PutSnapshotBlock")
	p := f.publication("web 2", f.disk(second))
	made := f.publish(p)
	f.holds(made.Devices[0].SnapshotID, second)
	if n := f.calls("PutSnapshotBlock"); n != 3 {
		t.Errorf("%d blocks were sent, want the 3 that changed", n)
	}
	if parent := f.aws.Snapshots[made.Devices[0].SnapshotID].Parent; parent == nil || parent.ID != old.Devices[0].SnapshotID {
		t.Errorf("the parent is %+v", parent)
	}
	// An encrypted copy cannot have a parent that is not, nor one that is gone.
	p = f.publication("web 3", f.disk(second))
	p.Key = "arn:aws:kms:eu-west-1:210987654321:key/1"
	made = f.publish(p)
	f.holds(made.Devices[0].SnapshotID, second)
	if s := f.aws.Snapshots[made.Devices[0].SnapshotID]; s.Parent != nil || !s.Encrypted || s.Key != p.Key {
		t.Errorf("the encrypted snapshot is %+v", s)
	}
	f.aws.Locked(func() {
		for id, i := range f.aws.Images {
			if i.Name != "web 3" {
				delete(f.aws.Images, id)
			}
		}
		for id, s := range f.aws.Snapshots {
			if !s.Encrypted {
				delete(f.aws.Snapshots, id)
			}
		}
	})
	made = f.publish(f.publication("web 4", f.disk(second)))
	f.holds(made.Devices[0].SnapshotID, second)
}

// cut fails the publication at the nth call of an operation, after AWS did what
// it was asked for or instead of it.
func (f *fixture) cut(p cloud.Publication, operation string, nth int, after bool) {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	n := 0
	f.aws.Fault = func(called, _ string) string {
		if called != operation {
			return ""
		}
		if n++; n < nth {
			return ""
		}
		cancel()
		if after {
			return ""
		}
		return "5xx"
	}
	_, err := f.process().Publish(ctx, p)
	if err == nil {
		f.Fatalf("the publication that was cut at %s came through", operation)
	}
	f.aws.Locked(func() { f.aws.Fault = nil })
}

// TestACutUploadGoesOn cuts a publication at every kind of request, before and
// after AWS took it; another process goes on and makes nothing twice.
func TestACutUploadGoesOn(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"StartSnapshot", "PutSnapshotBlock", "CompleteSnapshot", "RegisterImage", "ModifyImageAttribute"} {
		for _, after := range []bool{false, true} {
			t.Run(operation+map[bool]string{true: " taken", false: " lost"}[after], func(t *testing.T) {
				t.Parallel()
				f := open(t)
				b := blocks{}
				for i := range 100 {
					b[i] = content()
				}
				p := f.publication("web 1", f.disk(b))
				nth := 1
				if operation == "PutSnapshotBlock" {
					nth = 50
				}
				f.cut(p, operation, nth, after)
				made := f.publish(p)
				f.holds(made.Devices[0].SnapshotID, b)
				if len(f.aws.Snapshots) != 1 || len(f.aws.Images) != 1 {
					t.Errorf("AWS has %d snapshots and %d AMIs, want one of each", len(f.aws.Snapshots), len(f.aws.Images))
				}
				if diff := cmp.Diff([]string{"userId=444455556666"}, f.aws.Images[made.ID].Permissions); diff != "" {
					t.Errorf("permissions (-want +got):\n%s", diff)
				}
				// At most those under way when it was cut are sent again.
				if n := f.calls("PutSnapshotBlock"); n > 100+64+1 {
					t.Errorf("%d blocks were sent for 100", n)
				}
			})
		}
	}
}

func TestASnapshotThatAWSGaveUpIsUploadedAnew(t *testing.T) {
	t.Parallel()
	for name, give := range map[string]func(f *fixture){
		"it ended in an error": func(f *fixture) {
			for _, s := range f.aws.Snapshots {
				s.State = "error"
			}
		},
		"it is gone": func(f *fixture) { clear(f.aws.Snapshots) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			b := blocks{1: content(), 2: content(), 3: content()}
			p := f.publication("web 1", f.disk(b))
			f.cut(p, "PutSnapshotBlock", 2, false)
			f.aws.Locked(func() { give(f) })
			made := f.publish(p)
			f.holds(made.Devices[0].SnapshotID, b)
			if len(f.aws.Snapshots) != 1 {
				t.Errorf("AWS has %d snapshots, want one", len(f.aws.Snapshots))
			}
		})
	}
	t.Run("while it was written", func(t *testing.T) {
		t.Parallel()
		f := open(t)
		b := blocks{1: content(), 2: content()}
		n := 0
		f.aws.Fault = func(operation, _ string) string {
			if n++; operation == "PutSnapshotBlock" && n < 4 {
				for _, s := range f.aws.Snapshots {
					s.State = "error"
				}
			}
			return ""
		}
		made := f.publish(f.publication("web 1", f.disk(b)))
		f.holds(made.Devices[0].SnapshotID, b)
	})
}

func TestThrottledAndLateRequestsAreTriedAgain(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.aws.Late = 3
	n := 0
	f.aws.Fault = func(operation, _ string) string {
		if n++; operation == "PutSnapshotBlock" && n%7 == 0 {
			return "RequestThrottledException"
		}
		if n%11 == 0 {
			return "5xx"
		}
		return ""
	}
	b := blocks{}
	for i := range 30 {
		b[i] = content()
	}
	made := f.publish(f.publication("web 1", f.disk(b)))
	f.holds(made.Devices[0].SnapshotID, b)
}

func TestFurtherRegionsAreCopied(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.aws.Slow = 3
	b := blocks{0: content()}
	manifest := f.disk(b)
	first := f.publish(f.publication("web 1", manifest))
	p := f.publication("web 1", manifest)
	p.Like, p.AMI.Region, p.Key = &first, "us-west-2", "arn:aws:kms:us-west-2:210987654321:key/2"
	f.calls("PutSnapshotBlock")
	f.cut(p, "CopyImage", 1, true)
	made := f.publish(p)
	f.holds(made.Devices[0].SnapshotID, b)
	if n := f.calls("PutSnapshotBlock"); n != 0 {
		t.Errorf("%d blocks were sent for a copy", n)
	}
	if d := made.Devices[0]; !d.Encrypted || d.KMSKeyID != p.Key {
		t.Errorf("the copy's device is %+v", d)
	}
	if made.Source.ID != first.ID || len(f.aws.Images) != 2 || f.aws.Images[made.ID].Tags["Role"] != "web" {
		t.Errorf("the copy is %+v", made)
	}
	// A copy that fails at AWS is removed, and the error says why.
	f.aws.Fault = func(operation, region string) string {
		for _, i := range f.aws.Images {
			if i.State == "pending" {
				i.Why = "the key is disabled"
			}
		}
		return ""
	}
	p.AMI.Region = "us-west-1"
	_, err := f.process().Publish(t.Context(), p)
	failed(t, err, "COPY_AMI", "the key is disabled")
	if len(f.aws.Images) != 2 {
		t.Errorf("AWS has %d AMIs after a copy failed, want 2", len(f.aws.Images))
	}
	f.aws.Locked(func() { f.aws.Fault = nil })
	f.publish(p)
}

func failed(t *testing.T, err error, step, text string) {
	t.Helper()
	var f *cloud.Failure
	if !errors.As(err, &f) || f.Step != step || !strings.Contains(f.Message(), text) {
		t.Errorf("%v, want a failure in %s that says %q", err, step, text)
	}
}

func TestWhatAWSRefusesNamesTheStep(t *testing.T) {
	t.Parallel()
	for operation, step := range map[string]string{"StartSnapshot": "UPLOAD_SNAPSHOT", "PutSnapshotBlock": "UPLOAD_SNAPSHOT", "CompleteSnapshot": "UPLOAD_SNAPSHOT", "RegisterImage": "REGISTER_AMI", "ModifyImageAttribute": "MODIFY_IMAGE_ATTRIBUTES", "GetCallerIdentity": "REGISTER_AMI"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			f.aws.Fault = func(called, _ string) string {
				if called == operation {
					return "AccessDeniedException"
				}
				return ""
			}
			_, err := f.process().Publish(t.Context(), f.publication("web 1", f.disk(blocks{0: content()})))
			failed(t, err, step, "the test wants this to fail")
		})
	}
	t.Run("a name that is taken", func(t *testing.T) {
		t.Parallel()
		f := open(t)
		manifest := f.disk(blocks{0: content()})
		f.publish(f.publication("web 1", manifest))
		p := f.publication("web 1", manifest)
		p.For = "another image"
		_, err := f.process().Publish(t.Context(), p)
		failed(t, err, "REGISTER_AMI", "already in use")
	})
	t.Run("credentials of another account", func(t *testing.T) {
		t.Parallel()
		f := open(t)
		p := f.publication("web 1", f.disk(blocks{0: content()}))
		p.AMI.Account = "999988887777"
		a := aws.New(aws.Config{Accounts: []aws.Account{{ID: p.AMI.Account, Endpoint: f.aws.URL}}, Store: f.store, World: f.world, Blocks: f.disks, Outbox: f.outbox})
		_, err := a.Publish(t.Context(), p)
		failed(t, err, "REGISTER_AMI", "are those of the account "+awstest.Account)
	})
}
