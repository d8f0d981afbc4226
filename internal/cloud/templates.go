package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// pick finds the launch template that a request names by one of ID and name.
func (f face) pick(ctx context.Context, tx *store.Tx, id, name *string) (Template, error) {
	caller := identity.From(ctx)
	switch {
	case (id == nil) == (name == nil):
		return Template{}, fault.New("MissingParameter", "You must specify either the launch template ID or the launch template name, and not both.")
	case name != nil:
		return f.world.templateNamed(tx, caller.Account, caller.Region, *name)
	case !templateID.MatchString(*id):
		return Template{}, fault.New("InvalidLaunchTemplateId.Malformed", "Invalid launch template ID: %.64s", *id)
	}
	return f.world.Template(tx, caller.Account, caller.Region, *id)
}

// data is launch template data as it is kept.
func data(in *ec2.RequestLaunchTemplateData) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encoding launch template data: %w", err)
	}
	var all map[string]json.RawMessage
	return all, json.Unmarshal(text, &all)
}

// CreateLaunchTemplate makes a launch template with its first version.
func (f face) CreateLaunchTemplate(ctx context.Context, in *ec2.CreateLaunchTemplateInput) (*ec2.CreateLaunchTemplateOutput, error) {
	if !templateName.MatchString(*in.LaunchTemplateName) {
		return nil, fault.New("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	tags, err := specifiedTags(in.TagSpecifications, "launch-template")
	if err != nil {
		return nil, err
	}
	first, err := data(in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	var t Template
	err = f.world.store.Write(ctx, func(tx *store.Tx) error {
		err := f.once(tx, caller, "CreateLaunchTemplate", in.ClientToken, in, &t.ID, func() error {
			var err error
			t, err = f.world.addTemplate(tx, Template{Account: caller.Account, Region: caller.Region, Name: *in.LaunchTemplateName, Tags: tags, By: caller.ARN}, TemplateVersion{Description: text(in.VersionDescription), Data: first, By: caller.ARN})
			return err
		})
		if err == nil && t.Name == "" { // a repetition
			t, err = f.world.Template(tx, caller.Account, caller.Region, t.ID)
		}
		if err == nil {
			err = refuseDryRun(in.DryRun)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CreateLaunchTemplateOutput{LaunchTemplate: describeTemplate(t)}, nil
}

func describeTemplate(t Template) *ec2.LaunchTemplate {
	return &ec2.LaunchTemplate{
		LaunchTemplateId: &t.ID, LaunchTemplateName: &t.Name, CreateTime: shape.At(t.Created), CreatedBy: &t.By, DefaultVersionNumber: &t.Default, LatestVersionNumber: &t.Latest, Tags: describeTags(t.Tags),
	}
}

func describeVersion(t Template, v TemplateVersion) (*ec2.LaunchTemplateVersion, error) {
	text, err := json.Marshal(v.Data)
	if err != nil {
		return nil, fmt.Errorf("encoding version %d of %s: %w", v.Number, t.ID, err)
	}
	out := &ec2.LaunchTemplateVersion{
		LaunchTemplateId: &t.ID, LaunchTemplateName: &t.Name, VersionNumber: &v.Number, VersionDescription: some(v.Description), CreateTime: shape.At(v.Created), CreatedBy: &v.By,
		DefaultVersion: ptr(v.Number == t.Default), LaunchTemplateData: &ec2.ResponseLaunchTemplateData{},
	}
	if err := json.Unmarshal(text, out.LaunchTemplateData); err != nil {
		return nil, fmt.Errorf("decoding version %d of %s: %w", v.Number, t.ID, err)
	}
	return out, nil
}

// CreateLaunchTemplateVersion adds a version: what it leaves out it has from the
// source version, if one is named.
func (f face) CreateLaunchTemplateVersion(ctx context.Context, in *ec2.CreateLaunchTemplateVersionInput) (*ec2.CreateLaunchTemplateVersionOutput, error) {
	given, err := data(in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	var out *ec2.LaunchTemplateVersion
	err = f.world.store.Write(ctx, func(tx *store.Tx) error {
		t, err := f.pick(ctx, tx, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		v := TemplateVersion{Description: text(in.VersionDescription), Data: given, By: caller.ARN}
		if in.SourceVersion != nil {
			source, err := f.world.templateVersion(tx, t, *in.SourceVersion)
			if err != nil {
				return err
			}
			v.Data = maps.Clone(source.Data)
			maps.Copy(v.Data, given)
		}
		var number string
		err = f.once(tx, caller, "CreateLaunchTemplateVersion", in.ClientToken, in, &number, func() error {
			t, v, err = f.world.addTemplateVersion(tx, t, v, false)
			number = strconv.FormatInt(v.Number, 10)
			return err
		})
		if err == nil {
			v, err = f.world.templateVersion(tx, t, number)
		}
		if err == nil {
			err = refuseDryRun(in.DryRun)
		}
		if err == nil {
			out, err = describeVersion(t, v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CreateLaunchTemplateVersionOutput{LaunchTemplateVersion: out}, nil
}

var templateAttributes = attributes[Template]{
	"create-time":          func(t Template) []string { return []string{date(t.Created)} },
	"launch-template-name": func(t Template) []string { return []string{t.Name} },
}

// DescribeLaunchTemplates lists the caller's launch templates in its region.
func (f face) DescribeLaunchTemplates(ctx context.Context, in *ec2.DescribeLaunchTemplatesInput) (*ec2.DescribeLaunchTemplatesOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	filters, err := templateAttributes.compile(in.Filters, func(t Template) map[string]string { return t.Tags })
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	limit, at, err := limits(in.MaxResults, in.NextToken, false, "templates", caller.Account, caller.Region, in.Filters, in.LaunchTemplateIds, in.LaunchTemplateNames)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeLaunchTemplatesOutput{LaunchTemplates: []ec2.LaunchTemplate{}}
	err = f.world.store.Read(ctx, func(tx *store.Tx) error {
		for _, id := range in.LaunchTemplateIds {
			if _, err := f.pick(ctx, tx, &id, nil); err != nil {
				return err
			}
		}
		for _, name := range in.LaunchTemplateNames {
			if _, err := f.pick(ctx, tx, nil, &name); err != nil {
				return err
			}
		}
		some := len(in.LaunchTemplateIds)+len(in.LaunchTemplateNames) > 0
		return f.world.eachTemplate(tx, caller, func(t Template) error {
			switch {
			case t.Name <= at.After, !pass(filters, t), some && !slices.Contains(in.LaunchTemplateIds, t.ID) && !slices.Contains(in.LaunchTemplateNames, t.Name):
			case len(out.LaunchTemplates) < limit:
				out.LaunchTemplates = append(out.LaunchTemplates, *describeTemplate(t))
			case out.NextToken == nil:
				out.NextToken = at.token(*out.LaunchTemplates[limit-1].LaunchTemplateName)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeLaunchTemplateVersions lists versions of a launch template.
func (f face) DescribeLaunchTemplateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	if len(in.Filters) > 0 {
		return nil, fault.New("InvalidParameterValue", "This server has no filters for versions of launch templates; name the versions")
	}
	caller := identity.From(ctx)
	limit, at, err := limits(in.MaxResults, in.NextToken, false, "template versions", caller.Account, caller.Region, in.LaunchTemplateId, in.LaunchTemplateName, in.Versions, in.MinVersion, in.MaxVersion)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeLaunchTemplateVersionsOutput{LaunchTemplateVersions: []ec2.LaunchTemplateVersion{}}
	err = f.world.store.Read(ctx, func(tx *store.Tx) error {
		if in.LaunchTemplateId == nil && in.LaunchTemplateName == nil {
			return f.acrossTemplates(tx, caller, in.Versions, out)
		}
		t, err := f.pick(ctx, tx, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		all, err := f.chosen(tx, t, in)
		if err != nil {
			return err
		}
		after, _ := strconv.ParseInt(at.After, 10, 64)
		for _, v := range all {
			if v.Number <= after {
				continue
			}
			if len(out.LaunchTemplateVersions) == limit {
				out.NextToken = at.token(strconv.FormatInt(*out.LaunchTemplateVersions[limit-1].VersionNumber, 10))
				break
			}
			shown, err := describeVersion(t, v)
			if err != nil {
				return err
			}
			out.LaunchTemplateVersions = append(out.LaunchTemplateVersions, *shown)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// acrossTemplates gives the newest or the default version of every template,
// which is all that can be asked for without naming one.
func (f face) acrossTemplates(tx *store.Tx, caller identity.Caller, which []string, out *ec2.DescribeLaunchTemplateVersionsOutput) error {
	if len(which) == 0 || slices.ContainsFunc(which, func(v string) bool { return v != "$Latest" && v != "$Default" }) {
		return fault.New("MissingParameter", "You must specify either the launch template ID, the launch template name, or the versions $Latest or $Default.")
	}
	return f.world.eachTemplate(tx, caller, func(t Template) error {
		for _, w := range which {
			v, err := f.world.templateVersion(tx, t, w)
			if err != nil {
				return err
			}
			shown, err := describeVersion(t, v)
			if err != nil {
				return err
			}
			out.LaunchTemplateVersions = append(out.LaunchTemplateVersions, *shown)
		}
		return nil
	})
}

// chosen gives the versions that a request wants, in their order.
func (f face) chosen(tx *store.Tx, t Template, in *ec2.DescribeLaunchTemplateVersionsInput) (all []TemplateVersion, err error) {
	for _, which := range in.Versions {
		v, err := f.world.templateVersion(tx, t, which)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all, func(o TemplateVersion) bool { return o.Number == v.Number }) {
			all = append(all, v)
		}
	}
	if len(in.Versions) > 0 {
		slices.SortFunc(all, func(a, b TemplateVersion) int { return int(a.Number - b.Number) })
		return all, nil
	}
	low, high := int64(0), t.Latest
	if in.MinVersion != nil {
		if low, err = t.number(*in.MinVersion); err != nil {
			return nil, err
		}
	}
	if in.MaxVersion != nil {
		if high, err = t.number(*in.MaxVersion); err != nil {
			return nil, err
		}
	}
	for after := max(low-1, 0); ; {
		some, err := f.world.templateVersions(tx, t, after, 500)
		if err != nil || len(some) == 0 {
			return all, err
		}
		for _, v := range some {
			after = v.Number
			if v.Number <= high {
				all = append(all, v)
			}
		}
	}
}

// ModifyLaunchTemplate makes another version the default.
func (f face) ModifyLaunchTemplate(ctx context.Context, in *ec2.ModifyLaunchTemplateInput) (*ec2.ModifyLaunchTemplateOutput, error) {
	var t Template
	err := f.world.store.Write(ctx, func(tx *store.Tx) (err error) {
		if t, err = f.pick(ctx, tx, in.LaunchTemplateId, in.LaunchTemplateName); err != nil {
			return err
		}
		if in.DefaultVersion == nil {
			return fault.New("MissingParameter", "The request must contain the parameter SetDefaultVersion")
		}
		v, err := f.world.templateVersion(tx, t, *in.DefaultVersion)
		if err == nil {
			t.Default = v.Number
			err = f.world.saveTemplate(tx, t)
		}
		if err == nil {
			err = refuseDryRun(in.DryRun)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ModifyLaunchTemplateOutput{LaunchTemplate: describeTemplate(t)}, nil
}

// DeleteLaunchTemplate deletes a launch template with its versions.
func (f face) DeleteLaunchTemplate(ctx context.Context, in *ec2.DeleteLaunchTemplateInput) (*ec2.DeleteLaunchTemplateOutput, error) {
	var t Template
	err := f.world.store.Write(ctx, func(tx *store.Tx) (err error) {
		if t, err = f.pick(ctx, tx, in.LaunchTemplateId, in.LaunchTemplateName); err != nil {
			return err
		}
		if err := refuseDryRun(in.DryRun); err != nil {
			return err
		}
		return f.world.removeTemplate(tx, t)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.DeleteLaunchTemplateOutput{LaunchTemplate: describeTemplate(t)}, nil
}

// DeleteLaunchTemplateVersions deletes versions; each succeeds or fails by
// itself. The default version stays.
func (f face) DeleteLaunchTemplateVersions(ctx context.Context, in *ec2.DeleteLaunchTemplateVersionsInput) (*ec2.DeleteLaunchTemplateVersionsOutput, error) {
	if len(in.Versions) > 200 {
		return nil, fault.New("InvalidParameterValue", "At most 200 versions can be deleted at once")
	}
	var out *ec2.DeleteLaunchTemplateVersionsOutput
	err := f.world.store.Write(ctx, func(tx *store.Tx) error {
		out = &ec2.DeleteLaunchTemplateVersionsOutput{}
		t, err := f.pick(ctx, tx, in.LaunchTemplateId, in.LaunchTemplateName)
		if err == nil {
			err = refuseDryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		for _, which := range in.Versions {
			v, err := f.world.templateVersion(tx, t, which)
			number, _ := strconv.ParseInt(which, 10, 64)
			code, why := ec2.LaunchTemplateErrorCode(""), ""
			switch {
			case fault.Code(err) != "":
				code, why = "launchTemplateVersionDoesNotExist", "The launch template version does not exist."
			case err != nil:
				return err
			case v.Number == t.Default:
				code, why, number = "unexpectedError", "The default version of a launch template cannot be deleted.", v.Number
			default:
				if err := tx.Delete(t.versionARN(v.Number)); err != nil {
					return err
				}
				out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions, ec2.DeleteLaunchTemplateVersionsResponseSuccessItem{
					LaunchTemplateId: &t.ID, LaunchTemplateName: &t.Name, VersionNumber: &v.Number,
				})
				continue
			}
			out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions, ec2.DeleteLaunchTemplateVersionsResponseErrorItem{
				LaunchTemplateId: &t.ID, LaunchTemplateName: &t.Name, VersionNumber: &number, ResponseError: &ec2.ResponseError{Code: &code, Message: &why},
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
