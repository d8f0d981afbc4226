package parameter

import (
	"context"

	"github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// SSM is the face that Systems Manager's clients see.
func (s *Store) SSM() ssm.Service { return face{parameters: s} }

type face struct {
	ssm.Unimplemented
	parameters *Store
}

// PutParameter creates a parameter, or with Overwrite a version of it.
func (f face) PutParameter(ctx context.Context, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	overwrite := or(in.Overwrite, false)
	if overwrite && len(in.Tags) > 0 {
		return nil, invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	}
	if in.Policies != nil && *in.Policies != "[]" {
		return nil, fault.New("InvalidPolicyTypeException", "Parameter policies are not supported by this server.")
	}
	tags, err := tagged(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	p := Parameter{
		Account: caller.Account, Region: caller.Region, Name: *in.Name, Type: string(or(in.Type, "")), Value: or(in.Value, ""), Description: or(in.Description, ""), KeyID: or(in.KeyId, ""),
		AllowedPattern: or(in.AllowedPattern, ""), Tier: string(or(in.Tier, "")), DataType: or(in.DataType, ""), User: caller.ARN, Tags: tags,
	}
	err = f.parameters.store.Write(ctx, func(tx *store.Tx) error {
		var err error
		p, err = f.parameters.Put(ctx, tx, p, overwrite)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ssm.PutParameterOutput{Version: &p.Version, Tier: ptr(ssm.ParameterTier(p.Tier))}, nil
}

// GetParameter gives a value.
func (f face) GetParameter(ctx context.Context, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	caller := identity.From(ctx)
	var out ssm.Parameter
	err := f.parameters.store.Read(ctx, func(tx *store.Tx) error {
		p, selector, err := f.parameters.find(tx, caller.Account, caller.Region, *in.Name)
		if err == nil {
			out, err = f.parameters.show(p, selector, or(in.WithDecryption, false))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ssm.GetParameterOutput{Parameter: &out}, nil
}

// GetParameters gives several values, and the names of those that are not there.
func (f face) GetParameters(ctx context.Context, in *ssm.GetParametersInput) (*ssm.GetParametersOutput, error) {
	caller := identity.From(ctx)
	seen := map[string]bool{}
	out := &ssm.GetParametersOutput{Parameters: []ssm.Parameter{}, InvalidParameters: []string{}}
	err := f.parameters.store.Read(ctx, func(tx *store.Tx) error {
		for _, name := range in.Names {
			if seen[name] {
				continue
			}
			seen[name] = true
			p, selector, err := f.parameters.find(tx, caller.Account, caller.Region, name)
			if fault.Code(err) != "" {
				out.InvalidParameters = append(out.InvalidParameters, name)
				continue
			}
			if err != nil {
				return err
			}
			shown, err := f.parameters.show(p, selector, or(in.WithDecryption, false))
			if err != nil {
				return err
			}
			out.Parameters = append(out.Parameters, shown)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteParameter deletes a parameter with all its versions.
func (f face) DeleteParameter(ctx context.Context, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	caller := identity.From(ctx)
	err := f.parameters.store.Write(ctx, func(tx *store.Tx) error {
		found, err := f.parameters.remove(tx, caller.Account, caller.Region, *in.Name)
		if err == nil && !found {
			err = missing(*in.Name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ssm.DeleteParameterOutput{}, nil
}

// DeleteParameters deletes those of some parameters that are there.
func (f face) DeleteParameters(ctx context.Context, in *ssm.DeleteParametersInput) (*ssm.DeleteParametersOutput, error) {
	caller := identity.From(ctx)
	var out *ssm.DeleteParametersOutput
	err := f.parameters.store.Write(ctx, func(tx *store.Tx) error {
		out = &ssm.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
		for _, name := range in.Names {
			found, err := f.parameters.remove(tx, caller.Account, caller.Region, name)
			switch {
			case err != nil:
				return err
			case found:
				out.DeletedParameters = append(out.DeletedParameters, name)
			default:
				out.InvalidParameters = append(out.InvalidParameters, name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// show is a parameter in the API's shape. A secret value is readable only if
// that was asked for.
func (s *Store) show(p Parameter, selector string, decrypt bool) (ssm.Parameter, error) {
	if decrypt {
		var err error
		if p, err = s.open(p); err != nil {
			return ssm.Parameter{}, err
		}
	}
	return ssm.Parameter{
		Name: &p.Name, Type: ptr(ssm.ParameterType(p.Type)), Value: &p.Value, Version: &p.Version, Selector: some(selector), LastModifiedDate: shape.At(p.Modified), ARN: ptr(p.ARN()),
		DataType: &p.DataType,
	}, nil
}

func ptr[T any](v T) *T { return &v }

// some gives a member for a string, absent for an empty one.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// or gives a member's value, or another if it is absent.
func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
