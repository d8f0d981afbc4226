package imagebuilder

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// sharedPolicy is the kind of the rows that hold resource policies. A row is
// named for its resource, and refers to every account that its policy names, so
// that what is shared with an account is found without looking at the rest.
const sharedPolicy store.Kind = "resource-policy"

// everyone is the account in references of policies that name no account.
const everyone = "*"

// shareable are the kinds that other accounts may use, with the actions that a
// policy can grant (User Guide, "Share Image Builder resources"). The first is
// what using one takes.
var shareable = map[store.Kind][]string{
	component:       {"imagebuilder:GetComponent", "imagebuilder:ListComponents"},
	image:           {"imagebuilder:GetImage", "imagebuilder:ListImages"},
	imageRecipe:     {"imagebuilder:GetImageRecipe", "imagebuilder:ListImageRecipes"},
	containerRecipe: {"imagebuilder:GetContainerRecipe", "imagebuilder:ListContainerRecipes"},
}

// policyDocument is the document of a row: the policy as it was sent.
type policyDocument struct {
	Policy   string `json:"policy"`
	Resource string `json:"resource"` // ARN
}

// policyKey names the row of a resource's policy.
func policyKey(a arn) (key store.Key, rowARN string) {
	resource := strings.SplitN(a.String(), ":", 6)[5]
	return store.Key{Kind: sharedPolicy, Account: a.Account, Region: a.Region, Name: resource}, "policy:" + a.String()
}

// grantees is what a policy's row refers to for each account that it names.
func grantees(kind store.Kind, region string, accounts []string) []store.Target {
	var all []store.Target
	for _, account := range accounts {
		all = append(all, store.Target{Key: store.Key{Kind: "shared-" + kind, Account: account, Region: region, Name: "shared"}})
	}
	return all
}

// putPolicy stores the policy of a resource of the caller's.
func (s *Service) putPolicy(ctx context.Context, operation, member string, resource, policy *string, kind store.Kind, f form) error {
	r := s.request(ctx, operation)
	a, err := r.own(member, resource, kind, f)
	if err != nil {
		return err
	}
	if wildcards(a.version) > 0 {
		return invalid(member, "'%s' names more than one resource.", a)
	}
	parsed, err := access.Parse(access.ResourceBased, text(policy))
	if err == nil {
		err = parsed.Concerns(a.String(), shareable[kind])
	}
	if err != nil {
		why := strings.TrimSuffix(err.Error(), ".")
		return invalid("policy", "%s.", strings.ToUpper(why[:1])+why[1:])
	}
	doc, err := json.Marshal(policyDocument{Policy: text(policy), Resource: a.String()})
	if err != nil {
		return fmt.Errorf("encoding the policy of %s: %w", a, err)
	}
	return s.write(ctx, func(tx *store.Tx) error {
		if _, ok, err := tx.Resource(a.String()); err != nil || !ok {
			return orNotFound(err, a)
		}
		key, name := policyKey(a)
		row, ok, err := tx.Resource(name)
		if err != nil {
			return err
		}
		if ok {
			row.Doc, row.Updated = doc, r.now
			err = tx.Update(row)
		} else {
			err = tx.Insert(store.Resource{Key: key, ARN: name, Created: r.now, Doc: doc})
		}
		if err != nil {
			return err
		}
		return tx.SetReferences(name, grantees(kind, a.Region, parsed.Grantees())...)
	})
}

func orNotFound(err error, a arn) error {
	if err != nil {
		return err
	}
	return notFound(a.String())
}

// getPolicy gives the policy of a resource of the caller's.
func (s *Service) getPolicy(ctx context.Context, operation, member string, resource *string, kind store.Kind, f form) (*string, error) {
	r := s.request(ctx, operation)
	a, err := r.own(member, resource, kind, f)
	if err != nil {
		return nil, err
	}
	var doc policyDocument
	err = s.read(ctx, func(tx *store.Tx) error {
		if _, ok, err := tx.Resource(a.String()); err != nil || !ok {
			return orNotFound(err, a)
		}
		var ok bool
		if doc, ok, err = loadPolicy(tx, a); err == nil && !ok {
			return fault.New(api.CodeResourceNotFound, "The resource '%s' has no policy.", a)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &doc.Policy, nil
}

// loadPolicy reads the policy of a resource.
func loadPolicy(tx *store.Tx, a arn) (doc policyDocument, ok bool, err error) {
	_, name := policyKey(a)
	row, ok, err := tx.Resource(name)
	if err != nil || !ok {
		return doc, false, err
	}
	if err := json.Unmarshal(row.Doc, &doc); err != nil {
		return doc, false, fmt.Errorf("decoding the policy of %s: %w", a, err)
	}
	return doc, true, nil
}

// parsedPolicy is loadPolicy for decisions; nil if the resource has none.
func parsedPolicy(tx *store.Tx, a arn) (*access.Policy, error) {
	if _, ok := shareable[a.Kind]; !ok {
		return nil, nil
	}
	doc, ok, err := loadPolicy(tx, a)
	if err != nil || !ok {
		return nil, err
	}
	p, err := access.Parse(access.ResourceBased, doc.Policy)
	if err != nil {
		return nil, fmt.Errorf("reading the policy of %s: %w", a, err)
	}
	return p, nil
}

// removePolicy deletes the policy of a resource that is deleted.
func removePolicy(tx *store.Tx, row store.Resource) error {
	a, ok := parseARN(row.ARN)
	if _, share := shareable[row.Kind]; !ok || !share {
		return nil
	}
	_, name := policyKey(a)
	if _, ok, err := tx.Resource(name); err != nil || !ok {
		return err
	}
	return tx.Delete(name)
}

// Resource gives what an ARN names or selects, for decisions about who may use
// it; ok is false for what is not there and for what is managed by Amazon.
func (s *Service) Resource(ctx context.Context, text string) (r access.Resource, ok bool, err error) {
	a, ok := parseARN(text)
	if !ok || a.Account == amazon {
		return access.Resource{}, false, nil
	}
	err = s.read(ctx, func(tx *store.Tx) error {
		var row store.Resource
		if row, ok, err = find(tx, a); err != nil || !ok {
			return err
		}
		doc, err := decode[struct {
			Tags map[string]string `json:"tags"`
		}](row)
		if err != nil {
			return err
		}
		r.ARN, r.Tags = row.ARN, doc.Tags
		at, _ := parseARN(row.ARN)
		r.Policy, err = parsedPolicy(tx, at)
		return err
	})
	return r, ok, err
}

// find reads the row that an ARN names, or the highest that it selects.
func find(tx *store.Tx, a arn) (store.Resource, bool, error) {
	if a.form == nameOnly {
		return tx.Resource(a.String())
	}
	pattern := a.version
	if a.form == versionForm {
		pattern.Build = store.Any
	}
	return tx.Match(a.Key, pattern)
}

// PutComponentPolicy shares a component.
func (s *Service) PutComponentPolicy(ctx context.Context, in *api.PutComponentPolicyInput) (*api.PutComponentPolicyOutput, error) {
	if err := s.putPolicy(ctx, "PutComponentPolicy", "componentArn", in.ComponentArn, in.Policy, component, buildForm); err != nil {
		return nil, err
	}
	return &api.PutComponentPolicyOutput{ComponentArn: in.ComponentArn}, nil
}

// GetComponentPolicy gives the policy of a component.
func (s *Service) GetComponentPolicy(ctx context.Context, in *api.GetComponentPolicyInput) (*api.GetComponentPolicyOutput, error) {
	policy, err := s.getPolicy(ctx, "GetComponentPolicy", "componentArn", in.ComponentArn, component, buildForm)
	if err != nil {
		return nil, err
	}
	return &api.GetComponentPolicyOutput{Policy: policy}, nil
}

// PutImagePolicy shares an image.
func (s *Service) PutImagePolicy(ctx context.Context, in *api.PutImagePolicyInput) (*api.PutImagePolicyOutput, error) {
	if err := s.putPolicy(ctx, "PutImagePolicy", "imageArn", in.ImageArn, in.Policy, image, buildForm); err != nil {
		return nil, err
	}
	return &api.PutImagePolicyOutput{ImageArn: in.ImageArn}, nil
}

// GetImagePolicy gives the policy of an image.
func (s *Service) GetImagePolicy(ctx context.Context, in *api.GetImagePolicyInput) (*api.GetImagePolicyOutput, error) {
	policy, err := s.getPolicy(ctx, "GetImagePolicy", "imageArn", in.ImageArn, image, buildForm)
	if err != nil {
		return nil, err
	}
	return &api.GetImagePolicyOutput{Policy: policy}, nil
}

// PutImageRecipePolicy shares an image recipe.
func (s *Service) PutImageRecipePolicy(ctx context.Context, in *api.PutImageRecipePolicyInput) (*api.PutImageRecipePolicyOutput, error) {
	if err := s.putPolicy(ctx, "PutImageRecipePolicy", "imageRecipeArn", in.ImageRecipeArn, in.Policy, imageRecipe, versionForm); err != nil {
		return nil, err
	}
	return &api.PutImageRecipePolicyOutput{ImageRecipeArn: in.ImageRecipeArn}, nil
}

// GetImageRecipePolicy gives the policy of an image recipe.
func (s *Service) GetImageRecipePolicy(ctx context.Context, in *api.GetImageRecipePolicyInput) (*api.GetImageRecipePolicyOutput, error) {
	policy, err := s.getPolicy(ctx, "GetImageRecipePolicy", "imageRecipeArn", in.ImageRecipeArn, imageRecipe, versionForm)
	if err != nil {
		return nil, err
	}
	return &api.GetImageRecipePolicyOutput{Policy: policy}, nil
}

// PutContainerRecipePolicy shares a container recipe.
func (s *Service) PutContainerRecipePolicy(ctx context.Context, in *api.PutContainerRecipePolicyInput) (*api.PutContainerRecipePolicyOutput, error) {
	if err := s.putPolicy(ctx, "PutContainerRecipePolicy", "containerRecipeArn", in.ContainerRecipeArn, in.Policy, containerRecipe, versionForm); err != nil {
		return nil, err
	}
	return &api.PutContainerRecipePolicyOutput{ContainerRecipeArn: in.ContainerRecipeArn}, nil
}

// GetContainerRecipePolicy gives the policy of a container recipe.
func (s *Service) GetContainerRecipePolicy(ctx context.Context, in *api.GetContainerRecipePolicyInput) (*api.GetContainerRecipePolicyOutput, error) {
	policy, err := s.getPolicy(ctx, "GetContainerRecipePolicy", "containerRecipeArn", in.ContainerRecipeArn, containerRecipe, versionForm)
	if err != nil {
		return nil, err
	}
	return &api.GetContainerRecipePolicyOutput{Policy: policy}, nil
}
