package imagebuilder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// heard keeps what the service tells.
type heard struct {
	messages []string // "TOPIC LANE" and the message
	events   []string // "LANE KIND RESOURCES DETAIL"
	fail     error
}

func (h *heard) Announce(_ context.Context, _ *store.Tx, topic, lane, message string) error {
	h.messages = append(h.messages, topic+" "+lane, message)
	return h.fail
}

func (h *heard) Put(_ context.Context, _ *store.Tx, lane string, e event.Event) error {
	detail, err := json.Marshal(e.Detail)
	h.events = append(h.events, fmt.Sprint(lane, " ", e.Kind, " ", e.Account, " ", e.Region, " ", e.Resources, " ", string(detail)))
	return err
}

// told is a fixture whose infrastructure has a topic, with an image of it.
func told(t *testing.T) (*fixture, *heard, string) {
	h := &heard{}
	f := open(t, func(c *imagebuilder.Config) { c.Topics, c.Events = h, h })
	infra := must(f.CreateInfrastructureConfiguration(f.ctx, &api.CreateInfrastructureConfigurationInput{
		Name: p("demo"), ClientToken: f.token(), InstanceProfileName: p("p"), SnsTopicArn: p("arn:aws:sns:us-east-1:" + alice + ":images"),
	}))(t).InfrastructureConfigurationArn
	dist := must(f.CreateDistributionConfiguration(f.ctx, &api.CreateDistributionConfigurationInput{
		Name: p("demo"), ClientToken: f.token(), Distributions: []api.Distribution{{Region: p(home), AmiDistributionConfiguration: &api.AmiDistributionConfiguration{}}},
	}))(t).DistributionConfigurationArn
	recipe := f.recipe("demo", "1.0.0")
	image := *must(f.CreateImage(f.ctx, &api.CreateImageInput{ImageRecipeArn: &recipe, InfrastructureConfigurationArn: infra, DistributionConfigurationArn: dist, ClientToken: f.token(), Tags: map[string]string{"team": "web"}}))(t).ImageBuildVersionArn
	f.write(func(tx *store.Tx) error {
		return tx.PutWorkflowExecution(store.WorkflowExecution{ID: "wf-00000000-0000-4000-8000-000000000001", ImageARN: image, Type: "BUILD", Start: start})
	})
	return f, h, image
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	var text bytes.Buffer
	if err := json.Indent(&text, []byte(got), "", "  "); err != nil {
		t.Fatal(err)
	}
	text.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text.String()); diff != "" {
		t.Errorf("%s (-want +got; go test -update rewrites it):\n%s", name, diff)
	}
}

func TestTheMessageOfAnAvailableImage(t *testing.T) {
	t.Parallel()
	f, h, image := told(t)
	f.write(func(tx *store.Tx) error {
		return errors.Join(
			f.Transition(f.ctx, tx, image, engine.Building, "", nil),
			tx.PutWorkflowExecution(store.WorkflowExecution{ID: "wf-00000000-0000-4000-8000-000000000002", ImageARN: image, Type: "TEST", Start: start, Ordinal: 1}),
			tx.PutWorkflowExecution(store.WorkflowExecution{ID: "wf-00000000-0000-4000-8000-000000000003", ImageARN: image, Type: "DISTRIBUTION", Start: start, Ordinal: 2}),
			f.Metadata(f.ctx, tx, image, "Debian 12", nil),
			f.Outputs(f.ctx, tx, image, []engine.OutputAMI{{Region: home, Account: alice, AMI: "ami-0fedcba9876543210", Name: "demo 2026-11-21T10-00-00.000Z", Description: "kept out"}}),
			f.Transition(f.ctx, tx, image, engine.Available, "", nil),
		)
	})
	if len(h.messages) != 2 || h.messages[0] != "arn:aws:sns:us-east-1:"+alice+":images "+image {
		t.Fatalf("messages %v", h.messages)
	}
	golden(t, "message-available.json", h.messages[1])
	want := []string{
		image + ` EC2 Image Builder Image State Change ` + alice + ` us-east-1 [` + image + `] {"state":{"status":"PENDING"}}`,
		image + ` EC2 Image Builder Image State Change ` + alice + ` us-east-1 [` + image + `] {"previous-state":{"status":"PENDING"},"state":{"status":"BUILDING"}}`,
		image + ` EC2 Image Builder Image State Change ` + alice + ` us-east-1 [` + image + `] {"previous-state":{"status":"BUILDING"},"state":{"status":"AVAILABLE"}}`,
	}
	if diff := cmp.Diff(want, h.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestTheMessageOfAFailedImage(t *testing.T) {
	t.Parallel()
	f, h, image := told(t)
	f.write(func(tx *store.Tx) error {
		return errors.Join(
			f.Outputs(f.ctx, tx, image, []engine.OutputAMI{{Region: home, Account: alice, AMI: "ami-0fedcba9876543210"}}),
			f.Transition(f.ctx, tx, image, engine.Failed, "Workflow step failed.", nil),
		)
	})
	golden(t, "message-failed.json", h.messages[1])
}

// TestAMessageAndItsStateAreOne fails to announce: the image stays as it was.
func TestAMessageAndItsStateAreOne(t *testing.T) {
	t.Parallel()
	f, h, image := told(t)
	h.fail = errors.New("no space")
	err := f.store.Write(f.ctx, func(tx *store.Tx) error { return f.Transition(f.ctx, tx, image, engine.Failed, "why", nil) })
	if !errors.Is(err, h.fail) {
		t.Errorf("the transition gives %v", err)
	}
	if status := must(f.Status(f.ctx, image))(t); status != engine.Pending {
		t.Errorf("the image is %s", status)
	}
	h.messages, h.fail = nil, nil
	f.write(func(tx *store.Tx) error { return f.Transition(f.ctx, tx, image, engine.Cancelled, "asked", nil) })
	if h.messages != nil {
		t.Errorf("a cancelled image has the message %v", h.messages)
	}
}
