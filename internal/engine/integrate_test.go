package engine

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// TestIntegrationIsAllOrNothing asks for a parameter and for a launch template
// that is not there: the failure names region, account and step, and the
// parameter is not set either.
func TestIntegrationIsAllOrNothing(t *testing.T) {
	t.Parallel()
	const owner, other = "111111111111", "222222222222"
	rows, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	seal, err := parameter.NewSeal(make([]byte, parameter.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	world := cloud.New(rows, nil)
	params := parameter.New(rows, world, seal, nil)
	destination := Destination{Region: "eu-west-1", Parameters: []SSMParameter{{Name: "/golden", Account: other}}}
	plan := &Plan{Image: Image{ARN: "arn:image", Account: owner, Region: "us-east-1"}, Destinations: []Destination{destination}}
	c := &call{flow: &flow{run: &run{plan: plan, engine: &Engine{Config: Config{Cloud: world, Params: params}}}}}
	images := []distributed{{Region: "us-east-1", Account: owner, AMI: "ami-1"}, {Region: "eu-west-1", Account: owner, AMI: "ami-2"}, {Region: "eu-west-1", Account: other, AMI: "ami-3"}}
	integrate := func() error {
		return rows.Write(t.Context(), func(tx *store.Tx) error { return c.integrate(t.Context(), tx, images) })
	}
	value := func() (value string) {
		_ = rows.Read(t.Context(), func(tx *store.Tx) (err error) {
			value, err = params.Value(tx, other, "eu-west-1", "/golden")
			return err
		})
		return value
	}
	plan.Destinations = append(plan.Destinations, Destination{Region: "us-east-1", LaunchTemplates: []LaunchTemplate{{ID: "lt-0123456789abcdef0"}}})
	var failed *distributionError
	if err := integrate(); !errors.As(err, &failed) {
		t.Fatalf("a launch template that is not there: %v", err)
	}
	got := failed.Regions[0]
	if got.Region != "us-east-1" || got.Account != owner || got.Step != "UPDATE_LAUNCH_TEMPLATES" || !strings.Contains(got.ErrorMessage, "lt-0123456789abcdef0") {
		t.Errorf("the failure is %+v", got)
	}
	if v := value(); v != "" {
		t.Errorf("the parameter is %q after a failure", v)
	}
	plan.Destinations = plan.Destinations[:1]
	if err := integrate(); err != nil {
		t.Fatal(err)
	}
	if v := value(); v != "ami-3" {
		t.Errorf("the parameter is %q, want the AMI of its account", v)
	}
}
