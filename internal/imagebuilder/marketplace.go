package imagebuilder

import (
	"context"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// GetMarketplaceResource gives the data of a product that the account has a
// subscription to. This server has no Marketplace, and so no one has any.
func (s *Service) GetMarketplaceResource(ctx context.Context, in *api.GetMarketplaceResourceInput) (*api.GetMarketplaceResourceOutput, error) {
	r := s.request(ctx, "GetMarketplaceResource")
	resource := text(in.ResourceArn)
	if !soldBy(resource) {
		return nil, invalid("resourceArn", "'%s' is not the ARN of a resource of the Marketplace.", fault.Clip(resource))
	}
	if or(in.ResourceType, "") == api.MarketplaceResourceTypeComponentArtifact && in.ResourceLocation == nil {
		return nil, invalid("resourceLocation", "It is required when resourceType is COMPONENT_ARTIFACT.")
	}
	return nil, fault.New(api.CodeForbidden, "The account %s has no subscription to the product of '%s': this server has no Marketplace.", r.Account, resource)
}
