package imagebuilder

import (
	"context"
	"slices"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// GetImage gives the build that the ARN names, or the latest it selects.
func (s *Service) GetImage(ctx context.Context, in *api.GetImageInput) (*api.GetImageOutput, error) {
	r := s.request(ctx, "GetImage")
	a, err := r.usable("imageBuildVersionArn", in.ImageBuildVersionArn, image, versionForm, buildForm)
	if err != nil {
		return nil, err
	}
	if a.Account == amazon {
		m, err := s.managedImage(ctx, a)
		if err != nil {
			return nil, err
		}
		return &api.GetImageOutput{Image: m.describe(r), LatestVersionReferences: latest(m.arn(r))}, nil
	}
	out := &api.GetImageOutput{}
	err = s.read(ctx, func(tx *store.Tx) error {
		if err := s.granted(tx, r, a); err != nil {
			return err
		}
		shape, row, err := resolve[api.Image](tx, a)
		out.Image, out.LatestVersionReferences = shape, latest(newARN(row.Key, buildForm, row.Version))
		if err != nil || row.Status != string(api.ImageStatusPending) || s.queue == nil {
			return err
		}
		why, err := s.queue.Standing(tx, row.ARN)
		shape.State.Reason = limited(why, 1024)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var imageFilters = filters[api.Image]{
	"name":      func(x *api.Image) []string { return []string{text(x.Name)} },
	"osVersion": func(x *api.Image) []string { return []string{text(x.OsVersion)} },
	"platform":  func(x *api.Image) []string { return []string{text(x.Platform)} },
	"type":      func(x *api.Image) []string { return []string{text(x.Type)} },
	"version":   imageVersions,
}

// imageVersions are the forms in which a version may be asked for: with and
// without its build.
func imageVersions(x *api.Image) []string {
	a, ok := parseARN(text(x.Arn))
	if !ok {
		return []string{text(x.Version)}
	}
	return []string{text(x.Version), versionText(a.version)}
}

// ListImages lists versions, each with its latest build, or names.
func (s *Service) ListImages(ctx context.Context, in *api.ListImagesInput) (*api.ListImagesOutput, error) {
	r := s.request(ctx, "ListImages")
	test, err := imageFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	keep := func(x *api.Image) bool {
		deprecated := x.State != nil && or(x.State.Status, "") == api.ImageStatusDeprecated
		return (or(in.IncludeDeprecated, false) || !deprecated) && test(x)
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Owner, in.Filters, in.ByName, in.IncludeDeprecated)
	if err != nil {
		return nil, err
	}
	out := &api.ListImagesOutput{ImageVersionList: []api.ImageVersion{}}
	var page []entry[api.Image]
	owner := r.Account
	switch or(in.Owner, api.OwnershipSelf) {
	case api.OwnershipSelf:
		q := store.Query{Kind: image, Account: r.Account, Region: r.Region, Scope: scope(in.ByName), Name: filteredName(in.Filters)}
		page, out.NextToken, err = list(ctx, s, q, at, limit, keep)
	case api.OwnershipShared:
		page, out.NextToken, err = listShared(ctx, s, r, image, in.ByName, at, limit, keep)
	case api.OwnershipAmazon:
		owner = "Amazon"
		var all []entry[api.Image]
		if all, err = s.managedImageEntries(ctx, r); err == nil {
			page, out.NextToken = given(newestOnly(latestBuilds(all), in.ByName), at, limit, keep)
		}
	}
	if err != nil {
		return nil, err
	}
	for _, e := range page {
		x := e.shape
		if or(in.Owner, "") == api.OwnershipShared {
			owner = e.row.Account
		}
		out.ImageVersionList = append(out.ImageVersionList, api.ImageVersion{
			Arn: listedARN(e.row, in.ByName), Name: x.Name, Type: x.Type, Version: ptr(versionText(e.row.Version)), Platform: x.Platform, OsVersion: x.OsVersion, Owner: ptr(owner),
			DateCreated: x.DateCreated, BuildType: x.BuildType, ImageSource: x.ImageSource,
		})
	}
	return out, nil
}

// managedImageEntries gives Amazon's images as rows of a list.
func (s *Service) managedImageEntries(ctx context.Context, r request) ([]entry[api.Image], error) {
	images, err := s.managedImages(ctx)
	if err != nil {
		return nil, err
	}
	var all []entry[api.Image]
	for _, m := range images {
		a := m.arn(r)
		all = append(all, entry[api.Image]{store.Resource{Key: a.Key, Version: a.version, ARN: a.String()}, m.describe(r)})
	}
	return all, nil
}

// latestBuilds keeps the last build of every version of a sorted list.
func latestBuilds[T any](all []entry[T]) []entry[T] {
	var versions []entry[T]
	for i, e := range all {
		if i+1 < len(all) && all[i+1].row.Key == e.row.Key && versionText(all[i+1].row.Version) == versionText(e.row.Version) {
			continue
		}
		versions = append(versions, e)
	}
	return versions
}

// ListImageBuildVersions lists the builds of a version, or all builds.
func (s *Service) ListImageBuildVersions(ctx context.Context, in *api.ListImageBuildVersionsInput) (*api.ListImageBuildVersionsOutput, error) {
	r := s.request(ctx, "ListImageBuildVersions")
	keep, err := imageFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.ImageVersionArn, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &api.ListImageBuildVersionsOutput{ImageSummaryList: []api.ImageSummary{}}
	q := store.Query{Kind: image, Account: r.Account, Region: r.Region, Name: filteredName(in.Filters)}
	if in.ImageVersionArn != nil {
		a, err := r.reachable("imageVersionArn", in.ImageVersionArn, image, versionForm)
		if err != nil {
			return nil, err
		}
		if a.Account == amazon {
			all, err := s.managedImageEntries(ctx, r)
			if err != nil {
				return nil, err
			}
			all = slices.DeleteFunc(all, func(e entry[api.Image]) bool { return e.row.Name != a.Name || !e.row.Version.Matches(a.version) })
			page, next := given(all, at, limit, keep)
			out.ImageSummaryList, out.NextToken = summariseImages(page, "Amazon"), next
			return out, nil
		}
		q.Name, q.Pattern = a.Name, &a.version
	}
	page, next, err := list(ctx, s, q, at, limit, keep)
	if err != nil {
		return nil, err
	}
	out.ImageSummaryList, out.NextToken = summariseImages(page, r.Account), next
	return out, nil
}

func summariseImages(page []entry[api.Image], owner string) []api.ImageSummary {
	summaries := []api.ImageSummary{}
	for _, e := range page {
		x := e.shape
		summaries = append(summaries, api.ImageSummary{
			Arn: x.Arn, Name: x.Name, Type: x.Type, Version: x.Version, Platform: x.Platform, OsVersion: x.OsVersion, State: x.State, Owner: ptr(owner), DateCreated: x.DateCreated,
			OutputResources: x.OutputResources, Tags: x.Tags, BuildType: x.BuildType, ImageSource: x.ImageSource, DeprecationTime: x.DeprecationTime,
			LifecycleExecutionId: x.LifecycleExecutionId, LoggingConfiguration: x.LoggingConfiguration,
		})
	}
	return summaries
}

var pipelineImageFilters = filters[api.Image]{
	"name":    func(x *api.Image) []string { return []string{text(x.Name)} },
	"version": imageVersions,
}

// ListImagePipelineImages lists the images of a pipeline in the order in which
// they were started.
func (s *Service) ListImagePipelineImages(ctx context.Context, in *api.ListImagePipelineImagesInput) (*api.ListImagePipelineImagesOutput, error) {
	r := s.request(ctx, "ListImagePipelineImages")
	a, err := r.own("imagePipelineArn", in.ImagePipelineArn, pipeline, nameOnly)
	if err != nil {
		return nil, err
	}
	keep, err := pipelineImageFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.ImagePipelineArn, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &api.ListImagePipelineImagesOutput{}
	err = s.read(ctx, func(tx *store.Tx) error {
		if _, ok, err := tx.Resource(a.String()); err != nil || !ok {
			if err == nil {
				err = notFound(a.String())
			}
			return err
		}
		page, next, err := collect(at, limit, keep, func(after store.Cursor, n int) ([]store.Resource, error) { return tx.Children(a.String(), after, n) })
		out.ImageSummaryList, out.NextToken = summariseImages(page, r.Account), next
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CancelImageCreation asks for an image that is being made to end. It is
// CANCELLED once what it used is cleared away.
func (s *Service) CancelImageCreation(ctx context.Context, in *api.CancelImageCreationInput) (*api.CancelImageCreationOutput, error) {
	r := s.request(ctx, "CancelImageCreation")
	a, err := r.own("imageBuildVersionArn", in.ImageBuildVersionArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	params := *in
	params.ClientToken = nil
	out, err := once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CancelImageCreationOutput, error) {
		row, ok, err := tx.Resource(a.String())
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, notFound(a.String())
		}
		if !slices.Contains(unfinished, row.Status) {
			return nil, fault.New(api.CodeInvalidRequest, "The image '%s' is in state %s and can no longer be cancelled.", a, row.Status)
		}
		if err := tx.RequestCancel(a.String(), r.now); err != nil {
			return nil, err
		}
		return &api.CancelImageCreationOutput{ClientToken: in.ClientToken, ImageBuildVersionArn: in.ImageBuildVersionArn}, nil
	})
	if err == nil && s.queue != nil {
		s.queue.Interrupt(a.String())
	}
	return out, err
}

// DeleteImage deletes the record of an image that is not being made and that no
// recipe needs. AMIs that were made of it stay.
func (s *Service) DeleteImage(ctx context.Context, in *api.DeleteImageInput) (*api.DeleteImageOutput, error) {
	r := s.request(ctx, "DeleteImage")
	a, err := r.own("imageBuildVersionArn", in.ImageBuildVersionArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *store.Tx) error {
		row, ok, err := tx.Resource(a.String())
		if err != nil {
			return err
		}
		if ok && slices.Contains(unfinished, row.Status) {
			return inUse("The image '%s' is in state %s. Cancel its creation first.", a, row.Status)
		}
		if err := s.remove(tx, a); err != nil {
			return err
		}
		return tx.DeleteImageRecords(a.String())
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteImageOutput{ImageBuildVersionArn: in.ImageBuildVersionArn}, nil
}
