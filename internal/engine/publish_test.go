package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// elsewhere is a provider that notes what it is asked for.
type elsewhere struct {
	account string
	refuse  func(what string) bool

	mu    sync.Mutex
	asked []string
}

func (p *elsewhere) note(format string, args ...any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := fmt.Sprintf(format, args...)
	p.asked = append(p.asked, what)
	if p.refuse != nil && p.refuse(what) {
		return &cloud.Failure{Step: "REFUSED_STEP", Cause: fault.New("AccessDenied", "you may not")}
	}
	return nil
}

func (p *elsewhere) Has(account, _ string) bool { return account == p.account }

func (p *elsewhere) Publish(_ context.Context, what cloud.Publication) (cloud.AMI, error) {
	how := "upload"
	if what.Like != nil {
		how = "copy of " + what.Like.Region
	}
	if err := p.note("%s to %s key %q", how, what.AMI.Region, what.Key); err != nil {
		return cloud.AMI{}, err
	}
	made := what.AMI
	made.ID, made.Provider = "ami-0000"+strings.ReplaceAll(what.AMI.Region, "-", "")+"0", "aws"
	made.Devices = slices.Clone(made.Devices)
	for i := range made.Devices {
		made.Devices[i].SnapshotID = "" // a new one
	}
	return made, nil
}

func (p *elsewhere) Permit(_ context.Context, a cloud.AMI) error {
	return p.note("permit %s to %v", a.Region, a.Permissions.UserIDs)
}

func (p *elsewhere) Launch(_ context.Context, _, region, template, _ string, _ bool) error {
	return p.note("launch %s %s", region, template)
}

func (p *elsewhere) PutParameter(_ context.Context, _, region, name, _, ami, _ string) error {
	return p.note("put %s %s %s", region, name, ami)
}

func (p *elsewhere) Follow(context.Context, *store.Tx, string, string, string) error { return nil }

// TestAnOwnersAMIsAreElsewhere lets a provider have the AMIs of the image's own
// account: it is built here, uploaded once and copied from there; what fails is
// named with the provider's step, and a retry makes the rest from what is there.
func TestAnOwnersAMIsAreElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := &elsewhere{account: owner, refuse: func(what string) bool { return strings.HasPrefix(what, "copy of us-east-1 to eu-west-1") }}
	w.plan.Destinations = []Destination{
		{Region: "us-east-1", Name: "demo {{ imagebuilder:buildVersion }}", KMSKeyID: "key", LaunchPermissions: LaunchPermissions{UserIDs: []string{"111122223333"}}},
		{Region: "eu-west-1", Name: "demo {{ imagebuilder:buildVersion }}", KMSKeyID: "key", LaunchTemplates: []LaunchTemplate{{ID: "lt-1"}}, Parameters: []SSMParameter{{Name: "/golden"}}},
	}
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), managedFlow(t, workflow.Distribution, workflow.DistributeImage)}
	e, stop := w.start()
	defer stop()
	w.cloud.Provide(p)
	w.enqueue(e)
	w.waitEnd()
	if diff := cmp.Diff([]string{"eu-west-1 " + owner + " REFUSED_STEP"}, w.regions()); diff != "" || w.last() != Failed || !strings.Contains(w.reason, "you may not") {
		t.Fatalf("image %s (%s), failed regions (-want +got):\n%s", w.last(), w.reason, diff)
	}
	p.mu.Lock()
	p.refuse = nil
	p.mu.Unlock()
	w.retry()
	w.waitEnd()
	if w.last() != Available {
		t.Fatalf("image %s (%s)", w.last(), w.reason)
	}
	want := []string{
		`upload to us-east-1 key ""`, `copy of us-east-1 to eu-west-1 key "key"`, // and again:
		`copy of us-east-1 to eu-west-1 key "key"`, "permit us-east-1 to [111122223333]", "launch eu-west-1 lt-1", "put eu-west-1 /golden ami-0000euwest10",
	}
	slices.Sort(want[3:])
	slices.Sort(p.asked[3:])
	if diff := cmp.Diff(want, p.asked); diff != "" {
		t.Errorf("asked of the provider (-want +got):\n%s", diff)
	}
	var ids []string
	for _, out := range w.outputs {
		ids = append(ids, out.Region+" "+out.AMI+" "+out.Name)
	}
	if diff := cmp.Diff([]string{"us-east-1 ami-0000useast10 demo 1", "eu-west-1 ami-0000euwest10 demo 1"}, ids); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if n := w.amis(); n != 3 {
		t.Errorf("%d AMIs, want the one that was built here and the two rows of those elsewhere", n)
	}
}

// TestTheNextRegionUploadsWhereTheFirstCannot has the first of three fail.
func TestTheNextRegionUploadsWhereTheFirstCannot(t *testing.T) {
	t.Parallel()
	o := &origin{first: "a", tried: make(chan struct{}), turn: make(chan struct{}, 1)}
	var all sync.WaitGroup
	results := map[string]string{}
	var mu sync.Mutex
	for _, region := range []string{"b", "c", "a"} {
		all.Go(func() {
			ami, mine, err := o.get(t.Context(), region, func() (cloud.AMI, error) {
				if region == "a" {
					return cloud.AMI{}, errors.New("refused")
				}
				return cloud.AMI{ID: region}, nil
			})
			mu.Lock()
			defer mu.Unlock()
			results[region] = fmt.Sprint(ami.ID != "", mine, err)
		})
	}
	all.Wait()
	made := 0
	for _, region := range []string{"b", "c"} {
		switch results[region] {
		case "true true <nil>":
			made++
		case "true false <nil>":
		default:
			t.Errorf("%s: %s", region, results[region])
		}
	}
	if made != 1 || results["a"] != "false true refused" {
		t.Errorf("results %v, want one of b and c to have made it", results)
	}
}
