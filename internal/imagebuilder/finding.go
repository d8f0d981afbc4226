package imagebuilder

import (
	"context"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// Nothing scans images in this version, and so nothing is ever found. The lists
// check what is asked, so that a client that asks wrongly learns it.

func none[T any](*T) []string { return nil }

var findingFilters = filters[api.ImageScanFinding]{
	"imageBuildVersionArn": none[api.ImageScanFinding], "imagePipelineArn": none[api.ImageScanFinding], "severity": none[api.ImageScanFinding], "vulnerabilityId": none[api.ImageScanFinding],
}

// ListImageScanFindings lists the vulnerabilities that were found in images.
func (s *Service) ListImageScanFindings(ctx context.Context, in *api.ListImageScanFindingsInput) (*api.ListImageScanFindingsOutput, error) {
	r := s.request(ctx, "ListImageScanFindings")
	asked := make([]api.Filter, 0, len(in.Filters))
	for _, f := range in.Filters {
		asked = append(asked, api.Filter(f))
	}
	if _, err := findingFilters.test(asked); err != nil {
		return nil, err
	}
	if _, _, err := r.begin(in.MaxResults, in.NextToken, in.Filters); err != nil {
		return nil, err
	}
	return &api.ListImageScanFindingsOutput{Findings: []api.ImageScanFinding{}}, nil
}

var aggregationFilters = filters[api.ImageScanFindingAggregation]{
	"accountId": none[api.ImageScanFindingAggregation], "imageBuildVersionArn": none[api.ImageScanFindingAggregation], "imagePipelineArn": none[api.ImageScanFindingAggregation],
	"vulnerabilityId": none[api.ImageScanFindingAggregation],
}

// ListImageScanFindingAggregations counts what was found, by account if nothing
// else is asked.
func (s *Service) ListImageScanFindingAggregations(ctx context.Context, in *api.ListImageScanFindingAggregationsInput) (*api.ListImageScanFindingAggregationsOutput, error) {
	r := s.request(ctx, "ListImageScanFindingAggregations")
	by := "accountId"
	if in.Filter != nil {
		if _, ok := aggregationFilters[text(in.Filter.Name)]; !ok {
			return nil, invalid("filter.name", "'%s' is not one of the filters of this operation: accountId, imageBuildVersionArn, imagePipelineArn, vulnerabilityId.", fault.Clip(text(in.Filter.Name)))
		}
		by = *in.Filter.Name
	}
	if _, _, err := r.begin(nil, in.NextToken, in.Filter); err != nil {
		return nil, err
	}
	return &api.ListImageScanFindingAggregationsOutput{AggregationType: ptr(by), Responses: []api.ImageScanFindingAggregation{}}, nil
}
