package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// Permit implements cloud.Provider: it adds whom the row names, and removes
// whom it does not.
func (a *Accounts) Permit(ctx context.Context, ami cloud.AMI) error {
	const step = "MODIFY_IMAGE_ATTRIBUTES"
	doing := "opening " + ami.ID
	s, err := a.in(ctx, ami.Account, ami.Region)
	if err != nil {
		return failed(ctx, step, "getting access", err)
	}
	out, err := s.ec2.DescribeImageAttribute(ctx, &ec2.DescribeImageAttributeInput{ImageId: &ami.ID, Attribute: types.ImageAttributeNameLaunchPermission})
	if err != nil {
		return failed(ctx, step, doing, err)
	}
	want := permissions(ami.Permissions)
	change := &types.LaunchPermissionModifications{Add: without(want, out.LaunchPermissions), Remove: without(out.LaunchPermissions, want)}
	if len(change.Add)+len(change.Remove) == 0 {
		return nil
	}
	_, err = s.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &ami.ID, LaunchPermission: change})
	return failed(ctx, step, doing, err)
}

// permissions are those of a row in EC2's terms.
func permissions(p cloud.Permissions) (all []types.LaunchPermission) {
	for _, id := range p.UserIDs {
		all = append(all, types.LaunchPermission{UserId: sdk.String(id)})
	}
	for _, name := range p.Groups {
		all = append(all, types.LaunchPermission{Group: types.PermissionGroup(name)})
	}
	for _, arn := range p.Organizations {
		all = append(all, types.LaunchPermission{OrganizationArn: sdk.String(arn)})
	}
	for _, arn := range p.Units {
		all = append(all, types.LaunchPermission{OrganizationalUnitArn: sdk.String(arn)})
	}
	return all
}

// without gives those of a list that are not in another.
func without(all, but []types.LaunchPermission) []types.LaunchPermission {
	name := func(p types.LaunchPermission) string {
		return strings.Join([]string{sdk.ToString(p.UserId), string(p.Group), sdk.ToString(p.OrganizationArn), sdk.ToString(p.OrganizationalUnitArn)}, " ")
	}
	return slices.DeleteFunc(slices.Clone(all), func(p types.LaunchPermission) bool {
		return slices.ContainsFunc(but, func(q types.LaunchPermission) bool { return name(p) == name(q) })
	})
}

// imageBuilder is the tag that lets Image Builder change a launch template.
const imageBuilder = "EC2 Image Builder"

// Launch implements cloud.Provider.
func (a *Accounts) Launch(ctx context.Context, account, region, template, ami string, isDefault bool) error {
	const step = "UPDATE_LAUNCH_TEMPLATES"
	s, err := a.in(ctx, account, region)
	if err != nil {
		return failed(ctx, step, "getting access", err)
	}
	return failed(ctx, step, "adding a version to the launch template "+template, s.launch(ctx, template, ami, isDefault))
}

func (s *session) launch(ctx context.Context, template, ami string, isDefault bool) error {
	found, err := s.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{LaunchTemplateIds: []string{template}})
	if err != nil {
		return err
	}
	if len(found.LaunchTemplates) == 0 || untagged(found.LaunchTemplates[0].Tags)["CreatedBy"] != imageBuilder {
		return fault.New("UnauthorizedOperation", "The launch template %s does not have the tag CreatedBy: %s, which lets its versions be made.", template, imageBuilder)
	}
	newest, err := s.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &template, Versions: []string{"$Latest"}})
	if err != nil {
		return err
	}
	var number *int64
	for _, v := range newest.LaunchTemplateVersions {
		if v.LaunchTemplateData != nil && sdk.ToString(v.LaunchTemplateData.ImageId) == ami {
			number = v.VersionNumber
		}
	}
	if number == nil {
		token := digest(template, ami)
		made, err := s.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: &template, SourceVersion: sdk.String("$Latest"), ClientToken: &token, LaunchTemplateData: &types.RequestLaunchTemplateData{ImageId: &ami},
		})
		if err != nil {
			return err
		}
		number = made.LaunchTemplateVersion.VersionNumber
	}
	if !isDefault || sdk.ToInt64(found.LaunchTemplates[0].DefaultVersionNumber) == sdk.ToInt64(number) {
		return nil
	}
	version := strconv.FormatInt(sdk.ToInt64(number), 10)
	_, err = s.ec2.ModifyLaunchTemplate(ctx, &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &template, DefaultVersion: &version})
	return err
}

// PutParameter implements cloud.Provider.
func (a *Accounts) PutParameter(ctx context.Context, account, region, name, dataType, ami, description string) error {
	const step = "PUT_SSM_PARAMETERS"
	s, err := a.in(ctx, account, region)
	if err != nil {
		return failed(ctx, step, "getting access", err)
	}
	return failed(ctx, step, "setting the parameter "+name, s.put(ctx, name, dataType, ami, description))
}

func (s *session) put(ctx context.Context, name, dataType, value, description string) error {
	old, err := s.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	switch {
	case code(err) == "ParameterNotFound":
	case err != nil:
		return err
	case sdk.ToString(old.Parameter.Value) == value:
		return nil // an earlier attempt made this version
	}
	if dataType == "" {
		dataType = "text"
	}
	_, err = s.ssm.PutParameter(ctx, &ssm.PutParameterInput{
		Name: &name, Value: &value, Type: ssmtypes.ParameterTypeString, DataType: &dataType, Description: &description, Overwrite: sdk.Bool(true),
	})
	return err
}

// digest makes a client token of what is asked for: 64 characters.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}
