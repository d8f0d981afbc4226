package imagebuilder

import (
	"cmp"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Quotas are the limits of an account in a region (General Reference, "EC2
// Image Builder endpoints and quotas"). A member that is zero means Amazon's
// default, a negative one no limit.
type Quotas struct {
	Components        int // versions; 1,000
	ImageRecipes      int // 1,000
	ContainerRecipes  int // 1,000
	Distributions     int // 1,000
	Infrastructures   int // 1,000
	Workflows         int // versions; 1,000
	Pipelines         int // 75
	LifecyclePolicies int // 50
	Builds            int // images that are not finished; 100

	ComponentParameters   int // of a component; 25
	ComponentsPerRecipe   int // 20
	WorkflowsPerImage     int // 10
	AccountsPerConfig     int // target accounts of a distribution configuration; 50
	TemplatesPerRegion    int // launch templates of a region; 5
	SSMParametersPerEntry int // SSM parameters of a region; 10
}

func (q Quotas) withDefaults() Quotas {
	return Quotas{
		Components: cmp.Or(q.Components, 1000), ImageRecipes: cmp.Or(q.ImageRecipes, 1000), ContainerRecipes: cmp.Or(q.ContainerRecipes, 1000), Distributions: cmp.Or(q.Distributions, 1000),
		Infrastructures: cmp.Or(q.Infrastructures, 1000), Workflows: cmp.Or(q.Workflows, 1000), Pipelines: cmp.Or(q.Pipelines, 75),
		LifecyclePolicies: cmp.Or(q.LifecyclePolicies, 50), Builds: cmp.Or(q.Builds, 100),
		ComponentParameters: cmp.Or(q.ComponentParameters, 25), ComponentsPerRecipe: cmp.Or(q.ComponentsPerRecipe, 20), WorkflowsPerImage: cmp.Or(q.WorkflowsPerImage, 10), AccountsPerConfig: cmp.Or(q.AccountsPerConfig, 50),
		TemplatesPerRegion: cmp.Or(q.TemplatesPerRegion, 5), SSMParametersPerEntry: cmp.Or(q.SSMParametersPerEntry, 10),
	}
}

// room refuses another resource of a kind when the account has its fill.
func (s *Service) room(tx *store.Tx, r request, kind store.Kind) error {
	limits := map[store.Kind]int{
		component: s.quotas.Components, imageRecipe: s.quotas.ImageRecipes, containerRecipe: s.quotas.ContainerRecipes, distribution: s.quotas.Distributions,
		infrastructure: s.quotas.Infrastructures, workflowKind: s.quotas.Workflows, pipeline: s.quotas.Pipelines, lifecyclePolicy: s.quotas.LifecyclePolicies,
	}
	limit := limits[kind]
	if limit < 0 {
		return nil
	}
	n, err := tx.Count(kind, r.Account, r.Region)
	if err != nil {
		return err
	}
	if n >= int64(limit) {
		return quotaExceeded(plurals(kind), limit)
	}
	return nil
}

// plurals names the resources of a kind, as the table of quotas does.
func plurals(kind store.Kind) string {
	switch kind {
	case lifecyclePolicy:
		return "lifecycle policies"
	case workflowKind:
		return "image workflows"
	}
	return strings.ReplaceAll(string(kind), "-", " ") + "s"
}

// within reports whether n things are allowed under a limit.
func within(n, limit int) bool { return limit < 0 || n <= limit }
