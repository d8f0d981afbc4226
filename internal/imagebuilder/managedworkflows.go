package imagebuilder

import (
	"slices"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// managedWorkflows gives Amazon's workflows as they are in a region, by type and
// name.
func managedWorkflows(region string) []entry[api.Workflow] {
	var all []entry[api.Workflow]
	for _, m := range workflow.ManagedWorkflows() {
		v, err := parseVersion(m.Version)
		if err != nil {
			panic("imagebuilder: the version of the managed workflow " + m.Name + ": " + err.Error())
		}
		v.Build = 1
		a := newARN(store.Key{Kind: workflowKind, Account: amazon, Region: region, Name: m.Type.ARN() + "/" + m.Name}, buildForm, v)
		all = append(all, entry[api.Workflow]{store.Resource{Key: a.Key, Version: v, ARN: a.String()}, &api.Workflow{
			Arn: ptr(a.String()), Name: ptr(m.Name), Version: ptr(m.Version), Description: some(m.Document.Description), Type: ptr(api.WorkflowType(m.Type)), Owner: ptr("Amazon"), Data: ptr(m.Data),
			DateCreated: date(managedSince), Parameters: workflowParameters(m.Document),
		}})
	}
	slices.SortFunc(all, func(a, b entry[api.Workflow]) int { return strings.Compare(a.row.Name, b.row.Name) })
	return all
}

// managedWorkflow finds the one that an ARN selects.
func managedWorkflow(a arn) (entry[api.Workflow], error) {
	pattern := a.version
	if a.form != buildForm {
		pattern.Build = store.Any
	}
	for _, e := range managedWorkflows(a.Region) {
		if e.row.Name == a.Name && e.row.Version.Matches(pattern) {
			return e, nil
		}
	}
	return entry[api.Workflow]{}, notFound(a.String())
}
