package imagebuilder

import (
	"fmt"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// checkWorkflows holds the workflows of a pipeline or an image to the rules of
// the User Guide ("Manage image workflows") and gives the references to the
// caller's own: one to build and one to distribute at most, parallel groups and
// failure modes only for tests, and parameters as the documents declare them.
func (s *Service) checkWorkflows(tx *store.Tx, r request, uses []api.WorkflowConfiguration, role *string) ([]store.Target, error) {
	if !within(len(uses), s.quotas.WorkflowsPerImage) {
		return nil, quotaExceeded("image workflows per image", s.quotas.WorkflowsPerImage)
	}
	var targets []store.Target
	count := make(map[workflow.Type]int)
	outputs := make(map[string]int)
	for i, use := range uses {
		path := fmt.Sprintf("workflows[%d]", i)
		a, err := r.usedWorkflow(path, use, role)
		if err != nil {
			return nil, err
		}
		found, _, err := s.workflow(tx, a)
		if fault.Code(err) == api.CodeResourceNotFound {
			return nil, invalid(path+".workflowArn", "The workflow '%s' does not exist.", a)
		}
		if err != nil {
			return nil, err
		}
		kind := workflow.Type(or(found.Type, ""))
		if kind != workflow.Test {
			if use.ParallelGroup != nil || use.OnFailure != nil {
				return nil, combination("%s: parallelGroup and onFailure can only be specified for test workflows.", path)
			}
			if count[kind]++; count[kind] > 1 {
				return nil, combination("You can specify at most one %s workflow.", kind)
			}
		}
		if err := checkWorkflowUse(path, i, found, use, outputs); err != nil {
			return nil, err
		}
		if a.Account != amazon {
			targets = append(targets, target(a))
		}
	}
	return targets, nil
}

// usedWorkflow reads the ARN of a workflow that is to be used. Amazon's are used
// at their latest version; one's own need a role that runs their steps.
func (r request) usedWorkflow(path string, use api.WorkflowConfiguration, role *string) (arn, error) {
	a, err := r.refers(path+".workflowArn", use.WorkflowArn, workflowKind, versionForm, buildForm)
	switch {
	case err != nil:
		return arn{}, err
	case a.Account == amazon && (a.form != versionForm || wildcards(a.version) != 3):
		return arn{}, invalid("workflows", "AWS managed workflows must have latest version 'x.x.x' for '%s'", text(use.WorkflowArn))
	case a.Account != amazon && role == nil:
		return arn{}, combination("You must specify an executionRole when you specify workflows of your own.")
	}
	return a, nil
}

// checkWorkflowUse holds the parameters of a use to what the workflow declares,
// and the names of outputs to being unique among all workflows of an image.
func checkWorkflowUse(path string, i int, found *api.Workflow, use api.WorkflowConfiguration, outputs map[string]int) error {
	doc, problems := workflow.Parse("", []byte(text(found.Data)))
	if doc == nil {
		return invalid(path+".workflowArn", "The document of the workflow '%s' is not valid any more: %s", text(found.Arn), describeProblems(problems))
	}
	var given []workflow.Given
	for _, p := range use.Parameters {
		given = append(given, workflow.Given{Name: text(p.Name), Value: p.Value})
	}
	if _, problems := doc.Values(given); len(problems) > 0 {
		var why []string
		for _, p := range problems {
			why = append(why, p.Text())
		}
		return invalid(path+"."+problems[0].Path, "%s", strings.Join(why, " "))
	}
	for _, o := range doc.Outputs {
		if other, taken := outputs[o.Name]; taken {
			return invalid(path+".workflowArn", "The workflow '%s' has an output '%s', and so has workflows[%d]: names of outputs must be unique.", text(found.Arn), o.Name, other)
		}
		outputs[o.Name] = i
	}
	return nil
}
