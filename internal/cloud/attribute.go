package cloud

import (
	"context"
	"regexp"
	"slices"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

var (
	organizationARN = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:organization/o-[a-z0-9]{10,32}$`)
	unitARN         = regexp.MustCompile(`^arn:aws[a-z-]*:organizations::[0-9]{12}:ou/o-[a-z0-9]{10,32}/ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$`)
)

// grant is a launch permission: a list of Permissions, and who is in it.
type grant struct {
	to  func(*Permissions) *[]string
	who string
}

func users(p *Permissions) *[]string         { return &p.UserIDs }
func groups(p *Permissions) *[]string        { return &p.Groups }
func organizations(p *Permissions) *[]string { return &p.Organizations }
func units(p *Permissions) *[]string         { return &p.Units }

// newGrant checks a permission.
func newGrant(p ec2.LaunchPermission) (grant, error) {
	switch {
	case p.UserId != nil && accountID.MatchString(*p.UserId):
		return grant{users, *p.UserId}, nil
	case p.UserId != nil:
		return grant{}, fault.New("InvalidAMIAttributeItemValue", "Invalid attribute item value \"%.100s\" for userId item type.", *p.UserId)
	case p.Group != nil && *p.Group == "all":
		return grant{groups, "all"}, nil
	case p.Group != nil:
		return grant{}, fault.New("InvalidAMIAttributeItemValue", "Invalid attribute item value \"%.100s\" for group item type.", *p.Group)
	case p.OrganizationArn != nil && organizationARN.MatchString(*p.OrganizationArn):
		return grant{organizations, *p.OrganizationArn}, nil
	case p.OrganizationalUnitArn != nil && unitARN.MatchString(*p.OrganizationalUnitArn):
		return grant{units, *p.OrganizationalUnitArn}, nil
	}
	return grant{}, fault.New("InvalidAMIAttributeItemValue", "A launch permission must name a user, the group all, an organization or an organizational unit by its ARN")
}

// ModifyImageAttribute changes who may launch an AMI, or its description.
func (f face) ModifyImageAttribute(ctx context.Context, in *ec2.ModifyImageAttributeInput) (*ec2.ModifyImageAttributeOutput, error) {
	add, remove, err := permissions(in)
	if err != nil {
		return nil, err
	}
	description := in.Description
	if text(in.Attribute) == "description" && in.Value != nil {
		description = &ec2.AttributeValue{Value: in.Value}
	}
	switch {
	case in.ImdsSupport != nil, len(in.ProductCodes) > 0:
		return nil, fault.New("UnsupportedOperation", "This server changes launch permissions and descriptions of images only")
	case len(add)+len(remove) == 0 && description == nil:
		return nil, fault.New("InvalidParameterCombination", "No attributes specified.")
	}
	err = f.change(ctx, in.DryRun, *in.ImageId, func(a *AMI) error {
		p := a.Permissions.clone()
		for _, g := range add {
			if list := g.to(&p); !slices.Contains(*list, g.who) {
				*list = append(*list, g.who)
			}
		}
		for _, g := range remove {
			list := g.to(&p)
			*list = slices.DeleteFunc(*list, func(who string) bool { return who == g.who })
		}
		if a.State == Disabled && len(add) > 0 {
			return fault.New("InvalidAMIID.Unavailable", "The image ID '%s' is disabled and cannot be shared", a.ID)
		}
		a.Permissions = p
		if description != nil {
			a.Description = text(description.Value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ModifyImageAttributeOutput{}, nil
}

func (p Permissions) clone() Permissions {
	return Permissions{UserIDs: slices.Clone(p.UserIDs), Groups: slices.Clone(p.Groups), Organizations: slices.Clone(p.Organizations), Units: slices.Clone(p.Units)}
}

// permissions reads both ways to say what to add and what to remove.
func permissions(in *ec2.ModifyImageAttributeInput) (add, remove []grant, err error) {
	var plain []ec2.LaunchPermission
	for _, id := range in.UserIds {
		plain = append(plain, ec2.LaunchPermission{UserId: ptr(id)})
	}
	for _, g := range in.UserGroups {
		plain = append(plain, ec2.LaunchPermission{Group: ptr(ec2.PermissionGroup(g))})
	}
	for _, arn := range in.OrganizationArns {
		plain = append(plain, ec2.LaunchPermission{OrganizationArn: ptr(arn)})
	}
	for _, arn := range in.OrganizationalUnitArns {
		plain = append(plain, ec2.LaunchPermission{OrganizationalUnitArn: ptr(arn)})
	}
	toAdd, toRemove := plain, []ec2.LaunchPermission(nil)
	switch {
	case in.OperationType != nil && *in.OperationType == "remove":
		toAdd, toRemove = nil, plain
	case in.OperationType == nil && len(plain) > 0:
		return nil, nil, fault.New("MissingParameter", "The request must contain the parameter operationType")
	}
	if m := in.LaunchPermission; m != nil {
		toAdd, toRemove = append(toAdd, m.Add...), append(toRemove, m.Remove...)
	}
	if add, err = grants(toAdd); err != nil {
		return nil, nil, err
	}
	remove, err = grants(toRemove)
	return add, remove, err
}

func grants(all []ec2.LaunchPermission) (out []grant, err error) {
	for _, p := range all {
		g, err := newGrant(p)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

// DescribeImageAttribute shows one attribute of an AMI.
func (f face) DescribeImageAttribute(ctx context.Context, in *ec2.DescribeImageAttributeInput) (*ec2.DescribeImageAttributeOutput, error) {
	out := &ec2.DescribeImageAttributeOutput{ImageId: in.ImageId}
	err := f.world.store.Read(ctx, func(tx *store.Tx) error {
		a, err := f.world.mine(ctx, tx, *in.ImageId)
		if err == nil {
			err = refuseDryRun(in.DryRun)
		}
		if err != nil {
			return err
		}
		switch *in.Attribute {
		case "description":
			out.Description = &ec2.AttributeValue{Value: some(a.Description)}
		case "launchPermission":
			out.LaunchPermissions = a.Permissions.describe()
		case "blockDeviceMapping":
			for _, d := range a.Devices {
				out.BlockDeviceMappings = append(out.BlockDeviceMappings, describeDevice(d))
			}
		case "productCodes":
		case "sriovNetSupport":
			out.SriovNetSupport = &ec2.AttributeValue{Value: ptr("simple")}
		case "bootMode":
			out.BootMode = &ec2.AttributeValue{Value: some(a.BootMode)}
		default:
			return fault.New("InvalidRequest", "The image attribute %s is not known to this server", *in.Attribute)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (p Permissions) describe() []ec2.LaunchPermission {
	all := []ec2.LaunchPermission{}
	for _, id := range p.UserIDs {
		all = append(all, ec2.LaunchPermission{UserId: ptr(id)})
	}
	for _, g := range p.Groups {
		all = append(all, ec2.LaunchPermission{Group: ptr(ec2.PermissionGroup(g))})
	}
	for _, arn := range p.Organizations {
		all = append(all, ec2.LaunchPermission{OrganizationArn: ptr(arn)})
	}
	for _, arn := range p.Units {
		all = append(all, ec2.LaunchPermission{OrganizationalUnitArn: ptr(arn)})
	}
	return all
}

// ResetImageAttribute takes all launch permissions of an AMI back.
func (f face) ResetImageAttribute(ctx context.Context, in *ec2.ResetImageAttributeInput) (*ec2.ResetImageAttributeOutput, error) {
	err := f.change(ctx, in.DryRun, *in.ImageId, func(a *AMI) error {
		a.Permissions = Permissions{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ResetImageAttributeOutput{}, nil
}
