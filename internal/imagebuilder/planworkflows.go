package imagebuilder

import (
	"fmt"
	"slices"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// stageOrder is the order in which workflows run, whatever that of their list
// (User Guide, "Manage image workflows").
var stageOrder = []workflow.Type{workflow.Build, workflow.Test, workflow.Distribution}

// planWorkflows resolves the workflows of an image to builds and their
// documents. An image that names none has Amazon's; one that names none to
// distribute has the service's own where there is anything to distribute.
func (s *Service) planWorkflows(tx *store.Tx, r request, shape *api.Image) ([]engine.Workflow, error) {
	start, err := readStartParameters(shape.Tags, workflowParameterTag)
	if err != nil {
		return nil, err
	}
	all, err := s.selectWorkflows(tx, r, shape)
	if err != nil {
		return nil, err
	}
	return all, start.ontoWorkflows(all)
}

// selectWorkflows resolves the workflows that an image names, or that stand for
// none.
func (s *Service) selectWorkflows(tx *store.Tx, r request, shape *api.Image) ([]engine.Workflow, error) {
	if len(shape.Workflows) == 0 {
		return engine.DefaultWorkflows(r.Region, tested(shape.ImageTestsConfiguration, nil)), nil
	}
	byType := map[workflow.Type][]engine.Workflow{}
	for i, use := range shape.Workflows {
		w, err := s.planWorkflow(tx, r, fmt.Sprintf("workflows[%d]", i), use)
		if err != nil {
			return nil, err
		}
		byType[workflow.Type(w.Type)] = append(byType[workflow.Type(w.Type)], w)
	}
	if len(byType[workflow.Distribution]) == 0 && (len(byType[workflow.Build]) > 0 || shape.DistributionConfiguration != nil) {
		if w, ok := engine.ManagedWorkflow(r.Region, workflow.Distribution, workflow.DistributeImage); ok {
			byType[workflow.Distribution] = append(byType[workflow.Distribution], w)
		}
	}
	var all []engine.Workflow
	for _, t := range stageOrder {
		all = append(all, byType[t]...)
	}
	return all, nil
}

// planWorkflow resolves one workflow and checks that it can be run.
func (s *Service) planWorkflow(tx *store.Tx, r request, path string, use api.WorkflowConfiguration) (engine.Workflow, error) {
	a, err := r.reachable(path+".workflowArn", use.WorkflowArn, workflowKind, versionForm, buildForm)
	if err != nil {
		return engine.Workflow{}, err
	}
	found, at, err := s.workflow(tx, a)
	if fault.Code(err) == api.CodeResourceNotFound {
		return engine.Workflow{}, fault.New(api.CodeClient, "The workflow '%s' does not exist any more.", a)
	}
	if err != nil {
		return engine.Workflow{}, err
	}
	t := workflow.Type(or(found.Type, ""))
	doc, problems := workflow.Parse("", []byte(text(found.Data)))
	if doc != nil {
		problems = doc.CheckType(t, s.functions)
	}
	if len(problems) > 0 {
		return engine.Workflow{}, fault.New(api.CodeClient, "The workflow '%s' cannot be run: %s", at, describeProblems(problems))
	}
	w := engine.NewWorkflow(at.String(), text(found.Name), t, text(found.Data))
	w.Group, w.OnFailure = text(use.ParallelGroup), string(or(use.OnFailure, api.OnWorkflowFailureAbort))
	for _, p := range use.Parameters {
		w.Parameters = append(w.Parameters, engine.WorkflowParameter{Name: text(p.Name), Value: p.Value})
	}
	return w, nil
}

// wantsScan reports whether an image is to be scanned for vulnerabilities.
func wantsScan(shape *api.Image) bool {
	c := shape.ImageScanningConfiguration
	return c != nil && or(c.ImageScanningEnabled, false)
}

// logGroup is the CloudWatch log group of an image (User Guide, "Monitor with
// CloudWatch Logs").
func logGroup(a arn, shape *api.Image) string {
	if l := shape.LoggingConfiguration; l != nil && l.LogGroupName != nil {
		return *l.LogGroupName
	}
	return "/aws/imagebuilder/" + a.Name
}

// omissions are what an image's making leaves out, and why.
func omissions(shape *api.Image) []engine.Omission {
	var all []engine.Omission
	omit := func(what, why string, args ...any) {
		all = append(all, engine.Omission{What: what, Why: fmt.Sprintf(why, args...)})
	}
	has := func(kind string) bool {
		return len(shape.Workflows) == 0 || slices.ContainsFunc(shape.Workflows, func(w api.WorkflowConfiguration) bool {
			a, ok := parseARN(text(w.WorkflowArn))
			return ok && a.Kind == workflowKind && len(a.Name) > len(kind) && a.Name[:len(kind)+1] == kind+"/"
		})
	}
	if !has("build") {
		omit("build stage", "there is no BUILD workflow among the image's workflows: the parent image is tested and distributed as it is")
	}
	if t := shape.ImageTestsConfiguration; t != nil && !or(t.ImageTestsEnabled, true) {
		omit("test stage", "imageTestsEnabled is false")
	} else if !has("test") {
		omit("test stage", "there is no TEST workflow among the image's workflows")
	}
	if !or(shape.EnhancedImageMetadataEnabled, true) {
		omit("list of packages", "enhancedImageMetadataEnabled is false")
	}
	if wantsScan(shape) {
		omit("scan for vulnerabilities", "images are not scanned in this version")
	}
	return all
}
