package engine

import (
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// PlannedStep is a step of a workflow, as far as it is known before it runs.
type PlannedStep struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	Runs   string `json:"runs"` // "yes", "no", or "depends" on what earlier steps give
	Cached bool   `json:"cached"`
}

// Whether a step runs.
const (
	runsYes     = "yes"
	runsNo      = "no"
	runsDepends = "depends"
)

// Settle completes a plan: workflows where it names none, and the steps of each,
// with the conditions decided that depend on the plan alone. Two plans of the
// same inputs stay equal.
func (p *Plan) Settle() error {
	if len(p.Workflows) == 0 {
		p.Workflows = DefaultWorkflows(p.Image.Region, p.Tests)
	}
	flows, err := p.read()
	if err != nil {
		return err
	}
	for i, f := range flows {
		w := &p.Workflows[i]
		known := p.variables(w.Type)
		delete(known, "dateTime")
		scope := &workflow.Scope{Parameters: f.values, ImageBuilder: known}
		w.Steps = make([]PlannedStep, 0, len(f.document.Steps))
		for j := range f.document.Steps {
			step := &f.document.Steps[j]
			planned := PlannedStep{Name: step.Name, Action: step.Action.Name, Runs: runsYes}
			if step.If != nil {
				switch holds, err := step.If.Holds(scope); {
				case err != nil:
					planned.Runs = runsDepends
				case !holds:
					planned.Runs = runsNo
				}
			}
			if w.Type == string(workflow.Test) && !p.Tests {
				planned.Runs = runsNo
			}
			w.Steps = append(w.Steps, planned)
		}
	}
	p.markSteps()
	return nil
}

// variables are the values of $.imagebuilder that the plan settles (User Guide,
// "Use dynamic variables"): all but dateTime.
func (p *Plan) variables(kind string) map[string]any {
	groups := make([]any, 0, len(p.Infrastructure.SecurityGroups))
	for _, g := range p.Infrastructure.SecurityGroups {
		groups = append(groups, g)
	}
	logs := map[string]any{}
	if p.Infrastructure.LogBucket != "" {
		logs = map[string]any{"s3Logs": map[string]any{"s3BucketName": p.Infrastructure.LogBucket, "s3KeyPrefix": p.Infrastructure.LogPrefix}}
	}
	return map[string]any{
		"cloudWatchLogGroup":         p.LogGroup,
		"cloudWatchLogStream":        fmt.Sprintf("%s/%d", p.Image.Version, p.Image.Build),
		"collectImageMetadata":       p.Metadata,
		"collectImageScanFindings":   p.Scan,
		"imageBuildNumber":           p.Image.Build,
		"imageId":                    p.Parent.AMI,
		"imageName":                  p.Image.Name,
		"imageType":                  "AMI",
		"imageVersionNumber":         p.Image.Version,
		"instanceProfileName":        p.Infrastructure.InstanceProfile,
		"platform":                   p.Parent.Platform,
		"s3Logs":                     logs,
		"securityGroups":             groups,
		"sourceImageARN":             p.Parent.ARN,
		"subnetId":                   p.Infrastructure.Subnet,
		"terminateInstanceOnFailure": p.Infrastructure.TerminateOnFailure,
		"workflowPhase":              map[string]string{"BUILD": "Build", "TEST": "Test", "DISTRIBUTION": "Distribution"}[kind],
		"workingDirectory":           p.WorkingDir,
	}
}
