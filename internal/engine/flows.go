package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// Workflow is a workflow that an image runs, with its document as it was when
// the plan was made.
type Workflow struct {
	ARN        string              `json:"arn"`
	Name       string              `json:"name"`
	Type       string              `json:"type"`   // BUILD, TEST, DISTRIBUTION
	Digest     string              `json:"digest"` // SHA-256 of Data, hex
	Data       string              `json:"data"`   // the document
	Parameters []WorkflowParameter `json:"parameters,omitempty"`
	Group      string              `json:"parallelGroup,omitempty"` // tests of one group run side by side
	OnFailure  string              `json:"onFailure"`               // of a test: ABORT or CONTINUE
	Steps      []PlannedStep       `json:"steps"`                   // filled in by Settle
}

// WorkflowParameter is a value that the caller gave, as the API has it.
type WorkflowParameter struct {
	Name  string   `json:"name"`
	Value []string `json:"value"`
}

// What the failure of a workflow does to its image.
const (
	abort    = "ABORT"
	proceeds = "CONTINUE"
)

// NewWorkflow describes a workflow for a plan.
func NewWorkflow(arn, name string, t workflow.Type, data string) Workflow {
	sum := sha256.Sum256([]byte(data))
	return Workflow{ARN: arn, Name: name, Type: string(t), Digest: hex.EncodeToString(sum[:]), Data: data, OnFailure: abort}
}

// ManagedWorkflow describes one of Amazon's workflows for a plan in a region.
func ManagedWorkflow(region string, t workflow.Type, name string) (Workflow, bool) {
	m, ok := workflow.FindManaged(t, name)
	return NewWorkflow(m.ARN(region), m.Name, m.Type, m.Data), ok
}

// DefaultWorkflows are what an image runs that names no workflows: all are
// managed documents, run as any other.
func DefaultWorkflows(region string, tests bool) []Workflow {
	all := []Workflow{}
	for _, w := range []struct {
		t    workflow.Type
		name string
		run  bool
	}{{workflow.Build, workflow.BuildImage, true}, {workflow.Test, workflow.TestImage, tests}, {workflow.Distribution, workflow.DistributeImage, true}} {
		if m, ok := ManagedWorkflow(region, w.t, w.name); ok && w.run {
			all = append(all, m)
		}
	}
	return all
}

// generous are limits for documents that the service took: what it allowed
// then is run now.
var generous = workflow.Limits{Bytes: 1 << 20, Steps: 1000, Parameters: 1000, ParameterLength: 1 << 16, Outputs: 1000}

// definition is a workflow of the plan, read.
type definition struct {
	Workflow
	document *workflow.Document
	values   map[string]any // of $.parameters
}

// read parses the plan's workflows.
func (p *Plan) read() ([]definition, error) {
	all := make([]definition, 0, len(p.Workflows))
	for _, w := range p.Workflows {
		d := definition{Workflow: w}
		var problems workflow.Problems
		if d.document, problems = generous.Parse(w.Name, []byte(w.Data)); len(problems) > 0 {
			return nil, fmt.Errorf("the document of the workflow %s: %w", w.ARN, problems.Err())
		}
		given := make([]workflow.Given, 0, len(w.Parameters))
		for _, v := range w.Parameters {
			given = append(given, workflow.Given(v))
		}
		if d.values, problems = d.document.Values(given); len(problems) > 0 {
			return nil, fmt.Errorf("the parameters of the workflow %s: %w", w.ARN, problems.Err())
		}
		all = append(all, d)
	}
	return all, nil
}

// statusOf is the image's state while a workflow of a type runs.
var statusOf = map[string]Status{string(workflow.Build): Building, string(workflow.Test): Testing, string(workflow.Distribution): Distributing}

// batch is what runs side by side: indexes of the plan's workflows.
type batch []int

// batches puts the workflows in order: first the build, then the tests, last
// the distribution, whatever the order of the list. Tests of a group run side
// by side where the first of them stands (User Guide, "Manage image
// workflows").
func batches(workflows []Workflow) []batch {
	var all []batch
	for _, t := range []workflow.Type{workflow.Build, workflow.Test, workflow.Distribution} {
		groups := map[string]int{}
		for i, w := range workflows {
			if w.Type != string(t) {
				continue
			}
			at, known := groups[w.Group]
			if w.Group == "" || !known {
				at = len(all)
				all = append(all, nil)
				groups[w.Group] = at
			}
			all[at] = append(all[at], i)
		}
	}
	return all
}
