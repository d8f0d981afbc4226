package engine

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

var update = flag.Bool("update", false, "write the golden files anew")

// examplePlan has something of everything.
func examplePlan(t *testing.T) *Plan {
	t.Helper()
	test := flowOf(workflow.Test, "smoke", `parameters: [{name: url}, {name: deep, type: boolean, default: false}]
steps:
`+launchStep+runStepYAML("Probe", "probe {{ $.parameters.url }}", "")+runStepYAML("Deep", "deep", "    if: {booleanEquals: true, value: $.parameters.deep}\n")+
		runStepYAML("Report", "report", "    if: {stringEquals: Success, value: $.stepOutputs.Probe.status}\n"))
	test.Group, test.OnFailure, test.Parameters = "smoke", proceeds, []WorkflowParameter{{Name: "url", Value: []string{"http://localhost"}}}
	p := &Plan{
		Image: Image{ARN: testARN, Name: "demo", Slug: "demo", Version: "1.0.0", Build: 1, Account: "123456789012", Region: "us-east-1", Pipeline: "arn:aws:imagebuilder:us-east-1:123456789012:image-pipeline/demo"},
		Parent: Parent{Requested: "debian-12-x86", ARN: "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/2026.11.21/1", AMI: "ami-0123456789abcdef0", Snapshot: "sha256:0123456789abcdef", SizeGiB: 2, OSVersion: "Debian 12",
			Platform: "Linux", Architecture: "x86_64", RootDevice: "/dev/xvda", BootMode: "uefi-preferred"},
		Components: []Component{
			{ARN: "arn:aws:imagebuilder:us-east-1:123456789012:component/web/1.0.0/1", Name: "web", Digest: "abcdef0123456789", Data: "…", Parameters: []Parameter{{Name: "Port", Value: "80"}}, Phases: []string{"build", "validate"}},
			{ARN: "arn:aws:imagebuilder:us-east-1:123456789012:component/stamp/1.0.0/1", Name: "stamp", Digest: "0123456789abcdef", Data: "{{ context:date }}", Phases: []string{"build"}},
			{ARN: "arn:aws:imagebuilder:us-east-1:aws:component/simple-boot-test-linux/1.0.0/1", Name: "simple-boot-test-linux", Digest: "fedcba9876543210", Data: "…", Phases: []string{"test"}},
		},
		Volume: Volume{SizeGiB: 8, Devices: []BlockDevice{
			{DeviceName: "/dev/xvda", SizeGiB: 8, VolumeType: "gp3", Encrypted: true, DeleteOnTermination: true}, {DeviceName: "/dev/xvdb", VirtualName: "ephemeral0"}, {DeviceName: "/dev/xvdc", NoDevice: true},
		}},
		Infrastructure: Infrastructure{InstanceTypes: []string{"t3.micro", "t3.small"}},
		Tests:          true, Metadata: true, WorkingDir: "/tmp", LogGroup: "/aws/imagebuilder/demo",
		Workflows: []Workflow{managedFlow(t, workflow.Build, workflow.BuildImage), test, managedFlow(t, workflow.Distribution, workflow.DistributeImage)},
		Destinations: []Destination{
			{Region: "us-east-1", LaunchPermissions: LaunchPermissions{Groups: []string{"all"}}},
			{Region: "eu-west-1", Name: "demo {{ imagebuilder:buildDate }}", TargetAccounts: []string{"111122223333"}, LaunchPermissions: LaunchPermissions{UserIDs: []string{"444455556666"}}},
		},
		Cache:   true,
		Given:   []GivenParameter{{Kind: "component", Of: "web", Name: "Port", Value: "80"}, {Kind: "workflow", Of: "smoke", Name: "url", Value: "http://localhost"}},
		Omitted: []Omission{{What: "scan for vulnerabilities", Why: "images are not scanned in this version"}},
	}
	if err := p.Settle(); err != nil {
		t.Fatal(err)
	}
	p.markCached(p.stateKeys("sandbox", "executor"), 1)
	return p
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestPlanIsShown(t *testing.T) {
	t.Parallel()
	p := examplePlan(t)
	var text bytes.Buffer
	if err := p.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.txt", text.Bytes())
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", append(data, '\n'))
}

// TestSettlingTwiceChangesNothing: a plan that was stored is settled again when
// it is read.
func TestSettlingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	p := examplePlan(t)
	before := p.Digest()
	if again := examplePlan(t).Digest(); again != before {
		t.Errorf("the same inputs gave the digests %s and %s", before, again)
	}
	if err := p.Settle(); err != nil || p.Digest() != before {
		t.Errorf("settled again: %v, digest %s, was %s", err, p.Digest(), before)
	}
	if err := (&Plan{Workflows: []Workflow{{ARN: "x", Data: "nonsense"}}}).Settle(); err == nil {
		t.Error("a plan with a broken workflow was settled")
	}
}
