package imagebuilder

import (
	"context"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// CreateContainerRecipe stores a recipe of container images. Its version may
// have one "x", like an image recipe's.
func (s *Service) CreateContainerRecipe(ctx context.Context, in *api.CreateContainerRecipeInput) (*api.CreateContainerRecipeOutput, error) {
	r := s.request(ctx, "CreateContainerRecipe")
	v, err := parseVersion(text(in.SemanticVersion))
	if err != nil {
		return nil, err
	}
	if err := s.checkContainerRecipe(in); err != nil {
		return nil, err
	}
	template, err := s.dockerfile(ctx, in)
	if err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateContainerRecipeOutput, error) {
		a, err := newVersion(tx, r, containerRecipe, *in.Name, v)
		if err != nil {
			return nil, err
		}
		parent, err := s.containerParent(ctx, tx, r, in)
		if err != nil {
			return nil, err
		}
		uses, err := s.recipeComponents(tx, r, in.Components, parent)
		if err != nil {
			return nil, err
		}
		if parent.image != nil {
			uses = append(uses, target(*parent.image))
		}
		if err := s.room(tx, r, containerRecipe); err != nil {
			return nil, err
		}
		if err := dryRun(in.DryRun); err != nil {
			return nil, err
		}
		shape := &api.ContainerRecipe{
			Arn: ptr(a.String()), ContainerType: in.ContainerType, Name: in.Name, Description: in.Description, Platform: ptr(parent.platform), Owner: ptr(r.Account), Version: ptr(versionText(a.version)),
			Components: in.Components, InstanceConfiguration: in.InstanceConfiguration, KmsKeyId: in.KmsKeyId, Encrypted: ptr(true), ParentImage: in.ParentImage, DateCreated: date(r.now),
			Tags: in.Tags, WorkingDirectory: in.WorkingDirectory, TargetRepository: in.TargetRepository,
		}
		if err := s.add(tx, r, a, store.Resource{Content: template}, shape); err != nil {
			return nil, err
		}
		if err := tx.SetReferences(a.String(), uses...); err != nil {
			return nil, err
		}
		return &api.CreateContainerRecipeOutput{ClientToken: in.ClientToken, ContainerRecipeArn: shape.Arn, LatestVersionReferences: latest(a)}, nil
	})
}

// newVersion names a new recipe: "x" in its version becomes the next number. A
// version that is taken is a fault ResourceAlreadyExistsException.
func newVersion(tx *store.Tx, r request, kind store.Kind, name string, v store.Version) (arn, error) {
	a := newARN(store.Key{Kind: kind, Account: r.Account, Region: r.Region, Name: normalise(name)}, versionForm, v)
	var err error
	a.version, err = increment(v, func(pattern store.Version) (store.Version, bool, error) {
		row, ok, err := tx.Match(a.Key, pattern)
		return row.Version, ok, err
	})
	if err != nil {
		return arn{}, err
	}
	_, taken, err := tx.Resource(a.String())
	if err == nil && taken {
		err = alreadyExists(kind, a.String())
	}
	return a, err
}

// containerRecipe reads the recipe that an ARN names or selects, with its
// template.
func (s *Service) containerRecipe(tx *store.Tx, a arn) (*api.ContainerRecipe, arn, error) {
	shape, row, err := resolve[api.ContainerRecipe](tx, a)
	if err != nil {
		return nil, arn{}, err
	}
	shape.DockerfileTemplateData = ptr(string(row.Content))
	return shape, newARN(row.Key, versionForm, row.Version), nil
}

// GetContainerRecipe gives the version that the ARN names, or the latest it
// selects.
func (s *Service) GetContainerRecipe(ctx context.Context, in *api.GetContainerRecipeInput) (*api.GetContainerRecipeOutput, error) {
	r := s.request(ctx, "GetContainerRecipe")
	a, err := r.usable("containerRecipeArn", in.ContainerRecipeArn, containerRecipe, versionForm)
	if err != nil {
		return nil, err
	}
	out := &api.GetContainerRecipeOutput{}
	err = s.read(ctx, func(tx *store.Tx) error {
		if err := s.granted(tx, r, a); err != nil {
			return err
		}
		shape, at, err := s.containerRecipe(tx, a)
		if err != nil {
			return err
		}
		out.ContainerRecipe, out.LatestVersionReferences = shape, latest(at)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var containerRecipeFilters = filters[api.ContainerRecipe]{
	"containerType": func(x *api.ContainerRecipe) []string { return []string{text(x.ContainerType)} },
	"name":          func(x *api.ContainerRecipe) []string { return []string{text(x.Name)} },
	"parentImage":   func(x *api.ContainerRecipe) []string { return []string{text(x.ParentImage)} },
	"platform":      func(x *api.ContainerRecipe) []string { return []string{text(x.Platform)} },
}

// ListContainerRecipes lists the versions of recipes.
func (s *Service) ListContainerRecipes(ctx context.Context, in *api.ListContainerRecipesInput) (*api.ListContainerRecipesOutput, error) {
	r := s.request(ctx, "ListContainerRecipes")
	keep, err := containerRecipeFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Owner, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &api.ListContainerRecipesOutput{ContainerRecipeSummaryList: []api.ContainerRecipeSummary{}}
	var page []entry[api.ContainerRecipe]
	switch or(in.Owner, api.OwnershipSelf) { // Amazon has no recipes
	case api.OwnershipSelf:
		q := store.Query{Kind: containerRecipe, Account: r.Account, Region: r.Region, Name: filteredName(in.Filters)}
		page, out.NextToken, err = list(ctx, s, q, at, limit, keep)
	case api.OwnershipShared:
		page, out.NextToken, err = listShared(ctx, s, r, containerRecipe, nil, at, limit, keep)
	}
	if err != nil {
		return nil, err
	}
	for _, e := range page {
		x := e.shape
		summary := api.ContainerRecipeSummary{
			Arn: x.Arn, ContainerType: x.ContainerType, Name: x.Name, Platform: x.Platform, Owner: x.Owner, ParentImage: x.ParentImage, DateCreated: x.DateCreated, Tags: x.Tags,
		}
		if x.InstanceConfiguration != nil {
			summary.InstanceImage = x.InstanceConfiguration.Image
		}
		out.ContainerRecipeSummaryList = append(out.ContainerRecipeSummaryList, summary)
	}
	return out, nil
}

// DeleteContainerRecipe deletes a recipe that no pipeline needs.
func (s *Service) DeleteContainerRecipe(ctx context.Context, in *api.DeleteContainerRecipeInput) (*api.DeleteContainerRecipeOutput, error) {
	r := s.request(ctx, "DeleteContainerRecipe")
	a, err := r.own("containerRecipeArn", in.ContainerRecipeArn, containerRecipe, versionForm)
	if err != nil {
		return nil, err
	}
	if wildcards(a.version) > 0 {
		return nil, invalid("containerRecipeArn", "'%s' names more than one recipe.", text(in.ContainerRecipeArn))
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteContainerRecipeOutput{ContainerRecipeArn: in.ContainerRecipeArn}, nil
}
