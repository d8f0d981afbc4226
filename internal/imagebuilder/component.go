package imagebuilder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/toe"
)

// componentSize is the most bytes that a component's document can have (General
// Reference, quotas); inline, the model allows 16,000 characters of it.
const componentSize = 64 << 10

// CreateComponent stores a component. The same name and version again, with
// other content, is the version's next build.
func (s *Service) CreateComponent(ctx context.Context, in *api.CreateComponentInput) (*api.CreateComponentOutput, error) {
	r := s.request(ctx, "CreateComponent")
	v, err := parseVersion(text(in.SemanticVersion))
	if err == nil {
		err = exact(v)
	}
	if err != nil {
		return nil, err
	}
	if (in.Data == nil) == (in.Uri == nil) {
		return nil, combination("You must specify either data or uri, and not both.")
	}
	member, data := "data", []byte(text(in.Data))
	if in.Uri != nil {
		member = "uri"
		if data, err = s.fetch(ctx, member, *in.Uri, componentSize); err != nil {
			return nil, err
		}
	}
	doc, err := checkDocument(member, data, or(in.Platform, ""))
	if err != nil {
		return nil, err
	}
	shape := &api.Component{
		Name: in.Name, Version: in.SemanticVersion, Description: in.Description, ChangeDescription: in.ChangeDescription, Type: ptr(documentType(doc)), Platform: in.Platform,
		SupportedOsVersions: in.SupportedOsVersions, KmsKeyId: in.KmsKeyId, Tags: in.Tags,
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.CreateComponentOutput, error) {
		a, err := s.addComponent(tx, r, shape, v, data, doc, in.DryRun)
		if err != nil {
			return nil, err
		}
		return &api.CreateComponentOutput{ClientToken: in.ClientToken, ComponentBuildVersionArn: shape.Arn, LatestVersionReferences: latest(a)}, nil
	})
}

// addComponent adds a component's next build, of which shape has what the
// request says.
func (s *Service) addComponent(tx *store.Tx, r request, shape *api.Component, v store.Version, data []byte, doc *toe.Document, dry *bool) (arn, error) {
	shape.State, shape.Parameters = &api.ComponentState{Status: ptr(api.ComponentStatusActive)}, documentParameters(doc)
	shape.Owner, shape.Encrypted, shape.DateCreated = ptr(r.Account), ptr(true), date(r.now)
	if !within(len(doc.Parameters), s.quotas.ComponentParameters) {
		return arn{}, quotaExceeded("parameters per component", s.quotas.ComponentParameters)
	}
	digest, err := contentDigest(data, shape)
	if err != nil {
		return arn{}, err
	}
	a := newARN(store.Key{Kind: component, Account: r.Account, Region: r.Region, Name: normalise(*shape.Name)}, buildForm, v)
	if err := s.newBuild(tx, r, a, digest); err != nil {
		return arn{}, err
	}
	if err := dryRun(dry); err != nil {
		return arn{}, err
	}
	if a.version.Build, err = tx.NextBuild(a.Key, v); err != nil {
		return arn{}, err
	}
	shape.Arn = ptr(a.String())
	return a, s.add(tx, r, a, store.Resource{Digest: digest, Content: data}, shape)
}

// contentDigest is what two builds of a component must differ in: the document
// and what the recipe's rules look at. What only describes does not count.
func contentDigest(data []byte, c *api.Component) (string, error) {
	encoded, err := json.Marshal([]any{string(data), c.Platform, c.SupportedOsVersions, c.Description, c.KmsKeyId})
	if err != nil {
		return "", fmt.Errorf("encoding a component: %w", err)
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:]), nil
}

// component reads the component that an ARN names or selects, Amazon's too.
func (s *Service) component(tx *store.Tx, a arn) (*api.Component, arn, error) {
	if a.Account == amazon {
		e, err := managedComponent(a)
		if err != nil {
			return nil, arn{}, err
		}
		return e.shape, newARN(e.row.Key, buildForm, e.row.Version), nil
	}
	shape, row, err := resolve[api.Component](tx, a)
	if err != nil {
		return nil, arn{}, err
	}
	shape.Data = ptr(string(row.Content))
	return shape, newARN(row.Key, buildForm, row.Version), nil
}

// GetComponent gives the build that the ARN names, or the latest it selects.
func (s *Service) GetComponent(ctx context.Context, in *api.GetComponentInput) (*api.GetComponentOutput, error) {
	r := s.request(ctx, "GetComponent")
	a, err := r.usable("componentBuildVersionArn", in.ComponentBuildVersionArn, component, versionForm, buildForm)
	if err != nil {
		return nil, err
	}
	out := &api.GetComponentOutput{}
	err = s.read(ctx, func(tx *store.Tx) error {
		if err := s.granted(tx, r, a); err != nil {
			return err
		}
		shape, at, err := s.component(tx, a)
		if err != nil {
			return err
		}
		out.Component, out.LatestVersionReferences = shape, latest(at)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

var componentFilters = filters[api.Component]{
	"description":        func(c *api.Component) []string { return []string{text(c.Description)} },
	"name":               func(c *api.Component) []string { return []string{text(c.Name)} },
	"platform":           func(c *api.Component) []string { return []string{text(c.Platform)} },
	"supportedOsVersion": func(c *api.Component) []string { return c.SupportedOsVersions },
	"type":               func(c *api.Component) []string { return []string{text(c.Type)} },
	"version":            func(c *api.Component) []string { return []string{text(c.Version)} },
}

// ListComponents lists versions, each with its latest build, or names.
func (s *Service) ListComponents(ctx context.Context, in *api.ListComponentsInput) (*api.ListComponentsOutput, error) {
	r := s.request(ctx, "ListComponents")
	keep, err := componentFilters.test(in.Filters)
	if err != nil {
		return nil, err
	}
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.Owner, in.Filters, in.ByName)
	if err != nil {
		return nil, err
	}
	out := &api.ListComponentsOutput{ComponentVersionList: []api.ComponentVersion{}}
	var page []entry[api.Component]
	switch or(in.Owner, api.OwnershipSelf) {
	case api.OwnershipSelf:
		q := store.Query{Kind: component, Account: r.Account, Region: r.Region, Scope: scope(in.ByName), Name: filteredName(in.Filters)}
		page, out.NextToken, err = list(ctx, s, q, at, limit, keep)
	case api.OwnershipShared:
		page, out.NextToken, err = listShared(ctx, s, r, component, in.ByName, at, limit, keep)
	case api.OwnershipAmazon:
		page, out.NextToken = given(newestOnly(managedComponents(r.Region), in.ByName), at, limit, keep)
	}
	if err != nil {
		return nil, err
	}
	for _, e := range page {
		c := e.shape
		out.ComponentVersionList = append(out.ComponentVersionList, api.ComponentVersion{
			Arn: listedARN(e.row, in.ByName), Name: c.Name, Version: c.Version, Description: c.Description, Platform: c.Platform, SupportedOsVersions: c.SupportedOsVersions,
			Type: c.Type, Owner: c.Owner, DateCreated: c.DateCreated, Status: status(c.State),
		})
	}
	return out, nil
}

func status(state *api.ComponentState) *api.ComponentStatus {
	if state == nil {
		return nil
	}
	return state.Status
}

// ListComponentBuildVersions lists the builds of a version.
func (s *Service) ListComponentBuildVersions(ctx context.Context, in *api.ListComponentBuildVersionsInput) (*api.ListComponentBuildVersionsOutput, error) {
	r := s.request(ctx, "ListComponentBuildVersions")
	limit, at, err := r.begin(in.MaxResults, in.NextToken, in.ComponentVersionArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListComponentBuildVersionsOutput{ComponentSummaryList: []api.ComponentSummary{}}
	var page []entry[api.Component]
	all := func(*api.Component) bool { return true }
	q := store.Query{Kind: component, Account: r.Account, Region: r.Region}
	if in.ComponentVersionArn != nil {
		a, err := r.reachable("componentVersionArn", in.ComponentVersionArn, component, versionForm)
		if err != nil {
			return nil, err
		}
		if a.Account == amazon {
			builds := slices.DeleteFunc(managedComponents(r.Region), func(e entry[api.Component]) bool { return e.row.Name != a.Name || !e.row.Version.Matches(a.version) })
			page, out.NextToken = given(builds, at, limit, all)
			out.ComponentSummaryList = summarise(page)
			return out, nil
		}
		q.Name, q.Pattern = a.Name, &a.version
	}
	if page, out.NextToken, err = list(ctx, s, q, at, limit, all); err != nil {
		return nil, err
	}
	out.ComponentSummaryList = summarise(page)
	return out, nil
}

func summarise(page []entry[api.Component]) []api.ComponentSummary {
	summaries := []api.ComponentSummary{}
	for _, e := range page {
		c := e.shape
		summaries = append(summaries, api.ComponentSummary{
			Arn: c.Arn, Name: c.Name, Version: c.Version, Platform: c.Platform, SupportedOsVersions: c.SupportedOsVersions, State: c.State, Type: c.Type, Owner: c.Owner,
			Description: c.Description, ChangeDescription: c.ChangeDescription, DateCreated: c.DateCreated, Tags: c.Tags, Publisher: c.Publisher, Obfuscate: c.Obfuscate,
		})
	}
	return summaries
}

// DeleteComponent deletes a build that no recipe needs.
func (s *Service) DeleteComponent(ctx context.Context, in *api.DeleteComponentInput) (*api.DeleteComponentOutput, error) {
	r := s.request(ctx, "DeleteComponent")
	a, err := r.own("componentBuildVersionArn", in.ComponentBuildVersionArn, component, buildForm)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, func(tx *store.Tx) error { return s.remove(tx, a) }); err != nil {
		return nil, err
	}
	return &api.DeleteComponentOutput{ComponentBuildVersionArn: in.ComponentBuildVersionArn}, nil
}
