package imagebuilder

import (
	"context"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// CreateImageRecipe stores a recipe. One node of the version may be "x": it is
// then the next after the highest there is.
func (s *Service) CreateImageRecipe(ctx context.Context, in *api.CreateImageRecipeInput) (*api.CreateImageRecipeOutput, error) {
	r := s.request(ctx, "CreateImageRecipe")
	v, err := parseVersion(text(in.SemanticVersion))
	if err != nil {
		return nil, err
	}
	if err := checkRecipe(in); err != nil {
		return nil, err
	}
	if err := s.checkUses(in.Components); err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateImageRecipeOutput, error) {
		a, err := newVersion(tx, r, imageRecipe, *in.Name, v)
		if err != nil {
			return nil, err
		}
		parent, err := s.recipeParent(ctx, tx, r, *in.ParentImage)
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
		if err := checkPlatform(in, parent.platform); err != nil {
			return nil, err
		}
		if err := s.room(tx, r, imageRecipe); err != nil {
			return nil, err
		}
		if err := dryRun(in.DryRun); err != nil {
			return nil, err
		}
		shape := &api.ImageRecipe{
			Arn: ptr(a.String()), Type: ptr(api.ImageTypeAmi), Name: in.Name, Description: in.Description, Platform: ptr(parent.platform), Owner: ptr(r.Account), Version: ptr(versionText(a.version)),
			Components: in.Components, ParentImage: in.ParentImage, BlockDeviceMappings: in.BlockDeviceMappings, DateCreated: date(r.now), Tags: in.Tags, WorkingDirectory: in.WorkingDirectory,
			AdditionalInstanceConfiguration: in.AdditionalInstanceConfiguration, AmiTags: in.AmiTags, AmiWatermarks: in.AmiWatermarks,
		}
		if err := s.add(tx, r, a, store.Resource{}, shape); err != nil {
			return nil, err
		}
		if err := tx.SetReferences(a.String(), uses...); err != nil {
			return nil, err
		}
		return &api.CreateImageRecipeOutput{ClientToken: in.ClientToken, ImageRecipeArn: shape.Arn, LatestVersionReferences: latest(a)}, nil
	})
}

// GetImageRecipe gives the version that the ARN names, or the latest it selects.
func (s *Service) GetImageRecipe(ctx context.Context, in *api.GetImageRecipeInput) (*api.GetImageRecipeOutput, error) {
	r := s.request(ctx, "GetImageRecipe")
	a, err := r.usable("imageRecipeArn", in.ImageRecipeArn, imageRecipe, versionForm)
	if err != nil {
		return nil, err
	}
	out := &api.GetImageRecipeOutput{}
	err = s.read(ctx, func(tx *store.Tx) error {
		if err := s.granted(tx, r, a); err != nil {
			return err
		}
		shape, row, err := resolve[api.ImageRecipe](tx, a)
		out.ImageRecipe, out.LatestVersionReferences = shape, latest(newARN(row.Key, versionForm, row.Version))
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var recipeFilters = filters[api.ImageRecipe]{
	"name":        func(x *api.ImageRecipe) []string { return []string{text(x.Name)} },
	"parentImage": func(x *api.ImageRecipe) []string { return []string{text(x.ParentImage)} },
	"platform":    func(x *api.ImageRecipe) []string { return []string{text(x.Platform)} },
}

// ListImageRecipes lists the versions of recipes.
func (s *Service) ListImageRecipes(ctx context.Context, in *api.ListImageRecipesInput) (*api.ListImageRecipesOutput, error) {
	r := s.request(ctx, "ListImageRecipes")
	keep, err := recipeFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Owner, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &api.ListImageRecipesOutput{ImageRecipeSummaryList: []api.ImageRecipeSummary{}}
	var page []entry[api.ImageRecipe]
	switch or(in.Owner, api.OwnershipSelf) { // Amazon has no recipes
	case api.OwnershipSelf:
		q := store.Query{Kind: imageRecipe, Account: r.Account, Region: r.Region, Name: filteredName(in.Filters)}
		page, out.NextToken, err = list(ctx, s, q, at, limit, keep)
	case api.OwnershipShared:
		page, out.NextToken, err = listShared(ctx, s, r, imageRecipe, nil, at, limit, keep)
	}
	if err != nil {
		return nil, err
	}
	for _, e := range page {
		x := e.shape
		out.ImageRecipeSummaryList = append(out.ImageRecipeSummaryList, api.ImageRecipeSummary{
			Arn: x.Arn, Name: x.Name, Platform: x.Platform, Owner: x.Owner, ParentImage: x.ParentImage, DateCreated: x.DateCreated, Tags: x.Tags,
		})
	}
	return out, nil
}

// DeleteImageRecipe deletes a recipe that no pipeline needs. Images that were
// made of it have a copy of it and stay.
func (s *Service) DeleteImageRecipe(ctx context.Context, in *api.DeleteImageRecipeInput) (*api.DeleteImageRecipeOutput, error) {
	r := s.request(ctx, "DeleteImageRecipe")
	a, err := r.own("imageRecipeArn", in.ImageRecipeArn, imageRecipe, versionForm)
	if err != nil {
		return nil, err
	}
	if wildcards(a.version) > 0 {
		return nil, invalid("imageRecipeArn", "'%s' names more than one recipe.", text(in.ImageRecipeArn))
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteImageRecipeOutput{ImageRecipeArn: in.ImageRecipeArn}, nil
}
