package imagebuilder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// CreateWorkflow stores a workflow. The same name and version again, with other
// content, is the version's next build.
func (s *Service) CreateWorkflow(ctx context.Context, in *api.CreateWorkflowInput) (*api.CreateWorkflowOutput, error) {
	r := s.request(ctx, "CreateWorkflow")
	v, err := parseVersion(text(in.SemanticVersion))
	if err == nil {
		err = exact(v)
	}
	if err != nil {
		return nil, err
	}
	data, doc, err := s.workflowDocument(ctx, in)
	if err != nil {
		return nil, err
	}
	shape := &api.Workflow{
		Name: in.Name, Version: in.SemanticVersion, Description: in.Description, ChangeDescription: in.ChangeDescription, Type: in.Type, Owner: ptr(r.Account), KmsKeyId: in.KmsKeyId,
		DateCreated: date(r.now), Tags: in.Tags, Parameters: workflowParameters(doc),
	}
	encoded, err := json.Marshal([]any{string(data), in.Description, in.KmsKeyId})
	if err != nil {
		return nil, fmt.Errorf("encoding a workflow: %w", err)
	}
	sum := sha256.Sum256(encoded)
	digest := hex.EncodeToString(sum[:])
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateWorkflowOutput, error) {
		a := newARN(store.Key{Kind: workflowKind, Account: r.Account, Region: r.Region, Name: workflow.Type(*in.Type).ARN() + "/" + normalise(*in.Name)}, buildForm, v)
		if err := s.newBuild(tx, r, a, digest); err != nil {
			return nil, err
		}
		if err := dryRun(in.DryRun); err != nil {
			return nil, err
		}
		if a.version.Build, err = tx.NextBuild(a.Key, v); err != nil {
			return nil, err
		}
		shape.Arn = ptr(a.String())
		if err := s.add(tx, r, a, store.Resource{Digest: digest, Content: data}, shape); err != nil {
			return nil, err
		}
		return &api.CreateWorkflowOutput{ClientToken: in.ClientToken, WorkflowBuildVersionArn: shape.Arn, LatestVersionReferences: latest(a)}, nil
	})
}

// newBuild refuses a build whose content is that of the latest build of its
// version, and one of a new version when the account has its fill of versions.
func (s *Service) newBuild(tx *store.Tx, r request, a arn, digest string) error {
	pattern := a.version
	pattern.Build = store.Any
	last, ok, err := tx.Match(a.Key, pattern)
	switch {
	case err != nil:
		return err
	case ok && last.Digest == digest:
		return alreadyExists(a.Kind, last.ARN)
	case !ok:
		return s.room(tx, r, a.Kind)
	}
	return nil
}

// workflowDocument gives the document of a request, parsed and held to the type
// of the workflow.
func (s *Service) workflowDocument(ctx context.Context, in *api.CreateWorkflowInput) ([]byte, *workflow.Document, error) {
	if (in.Data == nil) == (in.Uri == nil) {
		return nil, nil, combination("You must specify either data or uri, and not both.")
	}
	member, data := "data", []byte(text(in.Data))
	if in.Uri != nil {
		member = "uri"
		var err error
		if data, err = s.fetch(ctx, member, *in.Uri, int64(workflow.DefaultLimits.Bytes)); err != nil {
			return nil, nil, err
		}
	}
	doc, problems := workflow.Parse("", data)
	if doc != nil {
		problems = doc.CheckType(workflow.Type(or(in.Type, "")), s.functions)
	}
	if len(problems) > 0 {
		return nil, nil, invalid(member, "The workflow document has %s: %s", plural(len(problems), "problem"), describeProblems(problems))
	}
	return data, doc, nil
}

func workflowParameters(doc *workflow.Document) []api.WorkflowParameterDetail {
	var all []api.WorkflowParameterDetail
	for _, p := range doc.Parameters {
		all = append(all, api.WorkflowParameterDetail{Name: ptr(p.Name), Type: ptr(string(p.Type)), DefaultValue: p.DefaultStrings(), Description: some(p.Description)})
	}
	return all
}

// workflow reads the workflow that an ARN names or selects, Amazon's too, with
// its document.
func (s *Service) workflow(tx *store.Tx, a arn) (*api.Workflow, arn, error) {
	if a.Account == amazon {
		e, err := managedWorkflow(a)
		return e.shape, newARN(e.row.Key, buildForm, e.row.Version), err
	}
	shape, row, err := resolve[api.Workflow](tx, a)
	if err != nil {
		return nil, arn{}, err
	}
	shape.Data = ptr(string(row.Content))
	return shape, newARN(row.Key, buildForm, row.Version), nil
}

// GetWorkflow gives the build that the ARN names, or the latest it selects.
func (s *Service) GetWorkflow(ctx context.Context, in *api.GetWorkflowInput) (*api.GetWorkflowOutput, error) {
	r := s.request(ctx, "GetWorkflow")
	a, err := r.reachable("workflowBuildVersionArn", in.WorkflowBuildVersionArn, workflowKind, versionForm, buildForm)
	if err != nil {
		return nil, err
	}
	out := &api.GetWorkflowOutput{}
	err = s.read(ctx, func(tx *store.Tx) error {
		shape, at, err := s.workflow(tx, a)
		if err != nil {
			return err
		}
		out.Workflow, out.LatestVersionReferences = shape, latest(at)
		if a.Account == amazon { // they are used at their latest version only
			out.LatestVersionReferences = &api.LatestVersionReferences{LatestVersionArn: out.LatestVersionReferences.LatestVersionArn}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var workflowFilters = filters[api.Workflow]{
	"description": func(x *api.Workflow) []string { return []string{text(x.Description)} },
	"name":        func(x *api.Workflow) []string { return []string{text(x.Name)} },
	"type":        func(x *api.Workflow) []string { return []string{text(x.Type)} },
	"version":     func(x *api.Workflow) []string { return []string{text(x.Version)} },
}

// ListWorkflows lists versions, each with its latest build, or names, in the
// order of type and name.
func (s *Service) ListWorkflows(ctx context.Context, in *api.ListWorkflowsInput) (*api.ListWorkflowsOutput, error) {
	r := s.request(ctx, "ListWorkflows")
	keep, err := workflowFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Owner, in.Filters, in.ByName)
	if err != nil {
		return nil, err
	}
	out := &api.ListWorkflowsOutput{WorkflowVersionList: []api.WorkflowVersion{}}
	var page []entry[api.Workflow]
	switch or(in.Owner, api.OwnershipSelf) {
	case api.OwnershipSelf:
		page, out.NextToken, err = list(ctx, s, store.Query{Kind: workflowKind, Account: r.Account, Region: r.Region, Scope: scope(in.ByName)}, at, limit, keep)
	case api.OwnershipAmazon:
		page, out.NextToken = given(managedWorkflows(r.Region), at, limit, keep)
	}
	if err != nil {
		return nil, err
	}
	for _, e := range page {
		x := e.shape
		out.WorkflowVersionList = append(out.WorkflowVersionList, api.WorkflowVersion{
			Arn: listedARN(e.row, in.ByName), Name: x.Name, Version: x.Version, Description: x.Description, Type: x.Type, Owner: x.Owner, DateCreated: x.DateCreated,
		})
	}
	return out, nil
}

// ListWorkflowBuildVersions lists the builds of a version, which may have
// wildcards, or all builds.
func (s *Service) ListWorkflowBuildVersions(ctx context.Context, in *api.ListWorkflowBuildVersionsInput) (*api.ListWorkflowBuildVersionsOutput, error) {
	r := s.request(ctx, "ListWorkflowBuildVersions")
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.WorkflowVersionArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListWorkflowBuildVersionsOutput{WorkflowSummaryList: []api.WorkflowSummary{}}
	all := func(*api.Workflow) bool { return true }
	q := store.Query{Kind: workflowKind, Account: r.Account, Region: r.Region}
	var page []entry[api.Workflow]
	if in.WorkflowVersionArn != nil {
		a, err := r.reachable("workflowVersionArn", in.WorkflowVersionArn, workflowKind, versionForm)
		if err != nil {
			return nil, err
		}
		if a.Account == amazon {
			e, err := managedWorkflow(a)
			if err == nil {
				page = append(page, e)
			}
			out.WorkflowSummaryList = summariseWorkflows(page)
			return out, nil
		}
		q.Name, q.Pattern = a.Name, &a.version
	}
	if page, out.NextToken, err = list(ctx, s, q, at, limit, all); err != nil {
		return nil, err
	}
	out.WorkflowSummaryList = summariseWorkflows(page)
	return out, nil
}

func summariseWorkflows(page []entry[api.Workflow]) []api.WorkflowSummary {
	summaries := []api.WorkflowSummary{}
	for _, e := range page {
		x := e.shape
		summaries = append(summaries, api.WorkflowSummary{
			Arn: x.Arn, Name: x.Name, Version: x.Version, Description: x.Description, ChangeDescription: x.ChangeDescription, Type: x.Type, Owner: x.Owner, State: x.State,
			DateCreated: x.DateCreated, Tags: x.Tags,
		})
	}
	return summaries
}

// DeleteWorkflow deletes a build that no pipeline needs.
func (s *Service) DeleteWorkflow(ctx context.Context, in *api.DeleteWorkflowInput) (*api.DeleteWorkflowOutput, error) {
	r := s.request(ctx, "DeleteWorkflow")
	a, err := r.own("workflowBuildVersionArn", in.WorkflowBuildVersionArn, workflowKind, buildForm)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteWorkflowOutput{WorkflowBuildVersionArn: in.WorkflowBuildVersionArn}, nil
}
