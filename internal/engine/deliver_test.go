package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

const owner = "123456789012"

// versions counts the versions of a parameter and gives the newest value.
func (w *world) versions(region, name string) (n int64, value string) {
	w.t.Helper()
	err := w.store.Read(context.Background(), func(tx *store.Tx) (err error) {
		value, err = w.params.Value(tx, owner, region, name)
		for err == nil {
			if _, gone := w.params.Value(tx, owner, region, fmt.Sprintf("%s:%d", name, n+1)); gone != nil {
				return nil
			}
			n++
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n, value
}

// take registers an AMI, so that its name is in use, and gives its ID.
func (w *world) take(region, name string) (id string) {
	w.t.Helper()
	err := w.store.Write(context.Background(), func(tx *store.Tx) error {
		made, err := w.cloud.Register(tx, cloud.AMI{Account: owner, Region: region, Name: name, RootDevice: "/dev/xvda"})
		id = made.ID
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) release(id string) {
	w.t.Helper()
	err := w.store.Write(context.Background(), func(tx *store.Tx) error {
		_, err := w.cloud.Deregister(tx, id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// regions are the failed regions and steps.
func (w *world) regions() (all []string) {
	if w.failure == nil || w.failure.Distribution == nil {
		return nil
	}
	for _, r := range w.failure.Distribution.Regions {
		all = append(all, r.Region+" "+r.Account+" "+r.Step)
	}
	return all
}

// TestRegionsThatSucceededStay lets a copy fail and then what the copies are put
// into: each time the image names what is missing, what was made is there, and a
// retry makes the rest and nothing twice.
func TestRegionsThatSucceededStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const taken, template = "spread 1", "lt-0123456789abcdef0"
	w.plan.Destinations = []Destination{
		{Region: "us-east-1", Name: "demo {{ imagebuilder:buildDate }}", Parameters: []SSMParameter{{Name: "/golden"}}},
		{Region: "eu-west-1", Name: "spread {{ imagebuilder:buildVersion }}", LaunchTemplates: []LaunchTemplate{{ID: template}}, Parameters: []SSMParameter{{Name: "/golden"}}},
		{Region: "ap-south-1", Name: "spread {{ imagebuilder:buildVersion }}", TargetAccounts: []string{"111122223333"}, Parameters: []SSMParameter{{Name: "/bad name"}, {Name: "/golden"}}, Licenses: []string{"arn:license"}},
	}
	first := w.take("eu-west-1", taken)
	second := w.take("ap-south-1", taken)
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), managedFlow(t, workflow.Distribution, workflow.DistributeImage)}
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.waitEnd()
	if diff := cmp.Diff([]string{"eu-west-1 " + owner + " COPY_AMI", "ap-south-1 " + owner + " COPY_AMI"}, w.regions()); diff != "" || w.last() != Failed {
		t.Fatalf("image %s (%s), failed regions (-want +got):\n%s", w.last(), w.reason, diff)
	}
	if len(w.outputs) != 2 || w.outputs[0].Region != "us-east-1" || w.outputs[1].Account != "111122223333" {
		t.Fatalf("the outputs of the failed image are %+v", w.outputs)
	}
	kept := slices.Clone(w.outputs)

	w.release(first)
	w.release(second)
	w.retry()
	w.waitEnd()
	if diff := cmp.Diff([]string{"eu-west-1 " + owner + " UPDATE_LAUNCH_TEMPLATES", "ap-south-1 " + owner + " PUT_SSM_PARAMETERS"}, w.regions()); diff != "" || w.last() != Failed {
		t.Fatalf("after the first retry: image %s (%s), failed regions (-want +got):\n%s", w.last(), w.reason, diff)
	}
	for _, part := range []string{"In region 'eu-west-1'", template, "In region 'ap-south-1'", "/bad name"} {
		if !strings.Contains(w.reason, part) {
			t.Errorf("the reason %q does not say %q", w.reason, part)
		}
	}
	if len(w.outputs) != 4 || !slices.Contains(w.outputs, kept[0]) || !slices.Contains(w.outputs, kept[1]) {
		t.Errorf("outputs %+v, want those of before, %+v, and two more", w.outputs, kept)
	}
	for _, region := range []string{"us-east-1", "eu-west-1", "ap-south-1"} {
		n, value := w.versions(region, "/golden")
		if n != 1 || !slices.ContainsFunc(w.outputs, func(o OutputAMI) bool { return o.Region == region && o.Account == owner && o.AMI == value }) {
			t.Errorf("/golden in %s has %d versions and the value %q", region, n, value)
		}
	}

	// The plan is kept: what a person can mend is the world around it.
	w.retry()
	w.waitEnd()
	if got := w.regions(); len(got) != 2 || w.last() != Failed {
		t.Errorf("after the second retry: %s, %v", w.last(), got)
	}
	for _, region := range []string{"us-east-1", "eu-west-1", "ap-south-1"} {
		if n, _ := w.versions(region, "/golden"); n != 1 {
			t.Errorf("/golden in %s has %d versions: it was made twice", region, n)
		}
	}
	var licensed cloud.AMI
	w.store.Read(context.Background(), func(tx *store.Tx) (err error) {
		_, id := w.versions("ap-south-1", "/golden")
		licensed, _, err = w.cloud.AMI(tx, id)
		return err
	})
	if !slices.Equal(licensed.Licenses, []string{"arn:license"}) {
		t.Errorf("the AMI's licences are %v", licensed.Licenses)
	}
}

// TestConfigurationsOfAStep applies what a step asks for, and not what the
// distribution configuration does; a region without a copy is named.
func TestConfigurationsOfAStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Destinations[1].Parameters = []SSMParameter{{Name: "/attached"}}
	w.plan.Workflows = []Workflow{flowOf(workflow.Build, "mine", quickBuild), flowOf(workflow.Distribution, "spread", `steps:
  - name: Copy
    action: DistributeImage
  - name: Apply
    action: ApplyImageConfigurations
    inputs:
      distributedImages.$: $.stepOutputs.Copy.distributedImages
      configurations:
        - region: eu-west-1
          licenseConfigurationArns: [arn:license]
          ssmParameterConfigurations: {parameterName: /own, dataType: text}
  - name: Nowhere
    action: ApplyImageConfigurations
    onFailure: Continue
    inputs:
      distributedImages.$: $.stepOutputs.Copy.distributedImages
      configurations: [{region: sa-east-1, ssmParameterConfigurations: [{parameterName: /own}]}]
`)}
	w.build()
	if w.last() != Available {
		t.Fatalf("image %s (%s)", w.last(), w.reason)
	}
	n, own := w.versions("eu-west-1", "/own")
	if attached, _ := w.versions("eu-west-1", "/attached"); n != 1 || attached != 0 || !strings.HasPrefix(own, "ami-") {
		t.Errorf("/own has %d versions (%q), /attached %d", n, own, attached)
	}
	_, rows, _ := w.steps()
	for _, r := range rows {
		switch {
		case r.Name == "Nowhere" && (r.Status != stepFailed || !strings.Contains(r.Message, "not distributed to sa-east-1")):
			t.Errorf("the step for a region without a copy: %s, %s", r.Status, r.Message)
		case r.Name == "Apply":
			for _, part := range []string{`"ASSOCIATE_LICENSES"`, `"arn:license"`, `"PUT_SSM_PARAMETERS"`, `"/own"`, own} {
				if !strings.Contains(r.Outputs, part) {
					t.Errorf("the outputs of the step do not say %s: %s", part, r.Outputs)
				}
			}
		}
	}
}

// deliveries of a step of an image that is under way.
func (w *world) delivering() *call {
	w.t.Helper()
	run := &run{plan: w.plan, arn: testARN, log: discardLog(), engine: &Engine{Config: Config{Store: w.store, Cloud: w.cloud, Params: w.params, Now: time.Now}}}
	row := &store.StepExecution{ID: "step-1", WorkflowExecutionID: "wf-1", ImageARN: testARN, Name: "Apply", Action: "ApplyImageConfigurations", Status: stepRunning}
	return &call{flow: &flow{run: run}, row: row}
}

func notes(made []delivered) map[string]any { return map[string]any{"configurations": asList(made)} }

// TestLongDeliveries go on side by side; a step that takes too long names what
// is missing, and what was done before that stays noted.
func TestLongDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.delivering()
	ctx, cancel := context.WithCancelCause(t.Context())
	var at, most atomic.Int32
	gate := make(chan struct{})
	all := make([]delivery, 3*sideBySide)
	for i := range all {
		all[i] = delivery{
			target: target{Region: fmt.Sprint("region-", i), Step: "EXPORT_AMI"}, commit: func(context.Context, *store.Tx) (string, error) { return "there", nil },
			work: func(ctx context.Context) error {
				defer at.Add(-1)
				most.Store(max(most.Load(), at.Add(1)))
				if i == 0 {
					return errors.New("the bucket is gone")
				}
				if i < sideBySide {
					return nil
				}
				if at.Load() == sideBySide {
					close(gate)
				}
				<-ctx.Done()
				return ctx.Err()
			},
		}
	}
	go func() {
		<-gate
		cancel(errors.New("the step took longer than its 3 seconds"))
	}()
	_, err := c.deliver(ctx, all, nil, notes)
	var failed *distributionError
	if !errors.As(err, &failed) || len(failed.Regions) != 1+2*sideBySide {
		t.Fatalf("the error is %v", err)
	}
	if got := failed.Regions[0]; got.Region != "region-0" || got.Status != "FAILED" || got.ErrorMessage != "the bucket is gone" {
		t.Errorf("the first failure is %+v", got)
	}
	if got := failed.Regions[1]; got.Status != "TIMED_OUT" || !strings.Contains(got.ErrorMessage, "3 seconds") {
		t.Errorf("the second failure is %+v", got)
	}
	if most.Load() != sideBySide {
		t.Errorf("%d went on at once, want %d", most.Load(), sideBySide)
	}
	if n := strings.Count(c.row.Outputs, `"there"`); n != sideBySide-1 {
		t.Errorf("%d deliveries are noted, want %d: %s", n, sideBySide-1, c.row.Outputs)
	}
}

// TestDeliveriesAreNotedWithWhatTheyMade refuses a few of many rows: the others
// and their notes are there, each once.
func TestDeliveriesAreNotedWithWhatTheyMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.delivering()
	refused := func(i int) bool { return i == 3 || i == 4 || i == 17 }
	var all []delivery
	for i := range 20 {
		all = append(all, delivery{target: target{Region: fmt.Sprint("region-", i)}, commit: func(ctx context.Context, tx *store.Tx) (string, error) {
			if refused(i) {
				return "", fmt.Errorf("no %d", i)
			}
			_, err := w.params.Put(ctx, tx, parameter.Parameter{Account: owner, Region: "us-east-1", Name: fmt.Sprint("/p", i), Type: parameter.String, Value: "v"}, true)
			return "", err
		}})
	}
	_, err := c.deliver(t.Context(), all, nil, notes)
	var failed *distributionError
	if !errors.As(err, &failed) || len(failed.Regions) != 3 {
		t.Fatalf("the error is %v", err)
	}
	for i := range all {
		want := int64(1)
		if refused(i) {
			want = 0
		}
		if n, _ := w.versions("us-east-1", fmt.Sprint("/p", i)); n != want {
			t.Errorf("/p%d has %d versions, want %d", i, n, want)
		}
	}
	if n := strings.Count(c.row.Outputs, `"region"`); n != 17 {
		t.Errorf("%d are noted, want 17", n)
	}
	w.store.Close()
	if _, err := c.deliver(t.Context(), all[:1], nil, notes); err == nil || errors.As(err, &failed) {
		t.Errorf("a closed database: %v, want an error that is no region's", err)
	}
}
