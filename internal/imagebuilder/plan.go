package imagebuilder

import (
	"context"
	"fmt"
	"maps"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/toe"
)

// defaultDirectory is where components work if the recipe does not say (API
// Reference, CreateImageRecipe).
const defaultDirectory = "/tmp"

// Plan resolves what an image is made of: the copies of its recipe and
// configurations, the component builds and the parent that these select now,
// and where the AMIs go.
func (s *Service) Plan(ctx context.Context, imageARN string) (*engine.Plan, error) {
	a, ok := parseARN(imageARN)
	if !ok || a.Kind != image || a.form != buildForm {
		return nil, fmt.Errorf("%q is not the ARN of an image", imageARN)
	}
	// The build acts for the image's owner.
	r := request{Caller: identity.Caller{Account: a.Account, Region: a.Region, ARN: "the build"}, operation: "GetComponent", now: s.now()}
	var plan *engine.Plan
	err := s.read(ctx, func(tx *store.Tx) error {
		shape, _, err := load[api.Image](tx, a)
		if err != nil {
			return err
		}
		plan, err = s.plan(ctx, tx, r, a, shape)
		return err
	})
	return plan, err
}

func (s *Service) plan(ctx context.Context, tx *store.Tx, r request, a arn, shape *api.Image) (*engine.Plan, error) {
	if shape.ContainerRecipe != nil {
		return nil, fault.New(api.CodeClient, "The recipe makes a container image, and container images are not built in this version.")
	}
	recipe, infra := shape.ImageRecipe, shape.InfrastructureConfiguration
	if recipe == nil || infra == nil {
		return nil, fmt.Errorf("the image %s has no recipe or no infrastructure configuration", a)
	}
	parent, devices, err := s.planParent(ctx, tx, r, text(recipe.ParentImage))
	if err != nil {
		return nil, err
	}
	volume, err := planVolume(recipe.BlockDeviceMappings, parent, devices)
	if err != nil {
		return nil, err
	}
	start, err := readStartParameters(shape.Tags, parameterTag)
	if err != nil {
		return nil, err
	}
	components, err := s.planComponents(tx, r, recipe.Components, start)
	if err != nil {
		return nil, err
	}
	destinations, err := planDestinations(r, shape.DistributionConfiguration)
	if err != nil {
		return nil, err
	}
	if err := s.planKeys(r, &volume, devices, destinations); err != nil {
		return nil, err
	}
	workflows, err := s.planWorkflows(tx, r, shape)
	if err != nil {
		return nil, err
	}
	infrastructure, err := s.planInfrastructure(tx, r, infra)
	if err != nil {
		return nil, err
	}
	tags := engine.Tags{"CreatedBy": "EC2 Image Builder", "Ec2ImageBuilderArn": a.String()}
	maps.Copy(tags, recipe.AmiTags)
	plan := &engine.Plan{
		Image: engine.Image{
			ARN: a.String(), Name: text(recipe.Name), Slug: a.Name, Version: versionText(a.version), Build: a.version.Build, Account: r.Account, Region: r.Region,
			Pipeline: text(shape.SourcePipelineArn), Recipe: text(recipe.Arn),
		},
		Parent: parent, Components: components, Volume: volume, Infrastructure: infrastructure, Workflows: workflows,
		Tests: tested(shape.ImageTestsConfiguration, shape.Workflows), Metadata: or(shape.EnhancedImageMetadataEnabled, true), Scan: wantsScan(shape), LogGroup: logGroup(a, shape),
		AMITags: tags, WorkingDir: or(recipe.WorkingDirectory, defaultDirectory), Destinations: destinations, Omitted: omissions(shape),
	}
	if c := recipe.AdditionalInstanceConfiguration; c != nil {
		plan.UserData = text(c.UserDataOverride)
	}
	flows, err := readStartParameters(shape.Tags, workflowParameterTag)
	if err != nil {
		return nil, err
	}
	plan.Given = givenAtStart(start, flows)
	plan.Cache = shape.Tags[cacheTag] == "on"
	if shape.Tags[onFailureTag] == "keep" {
		plan.Infrastructure.TerminateOnFailure = false
	}
	return plan, plan.Settle()
}

// onFailureTag is a tag of an image that says what becomes of its instances if
// it fails: "keep" overrides the infrastructure configuration for this one
// image.
const onFailureTag = "goldsmith:on-failure"

// cacheTag is a tag that says whether components whose results were kept need
// not run again: "on" or "off", of an image, or of a pipeline for all its images
// that do not say it themselves.
const cacheTag = "goldsmith:cache"

// planVolume puts the recipe's mappings over those of the parent, as EC2 does
// for a new instance: by device name.
func planVolume(mappings []api.InstanceBlockDeviceMapping, parent engine.Parent, inherited []cloud.BlockDevice) (engine.Volume, error) {
	root := engine.BlockDevice{DeviceName: parent.RootDevice, SizeGiB: parent.SizeGiB, VolumeType: "gp3", DeleteOnTermination: true}
	var others []engine.BlockDevice
	for _, d := range inherited {
		if d.DeviceName == parent.RootDevice {
			root.VolumeType, root.IOPS, root.Throughput, root.KMSKeyID, root.Encrypted = d.VolumeType, d.IOPS, d.Throughput, d.KMSKeyID, d.Encrypted
		}
	}
	for _, m := range mappings {
		if m.DeviceName == nil {
			return engine.Volume{}, fault.New(api.CodeClient, "The recipe has a block device mapping without a device name.")
		}
		if text(m.DeviceName) != parent.RootDevice {
			d := engine.BlockDevice{DeviceName: text(m.DeviceName), VirtualName: text(m.VirtualName), NoDevice: m.NoDevice != nil, DeleteOnTermination: true}
			if m.Ebs != nil && m.Ebs.SnapshotId != nil {
				return engine.Volume{}, fault.New(api.CodeClient, "The recipe maps the snapshot %s to %s; additional volumes with snapshots are not available in this version.", *m.Ebs.SnapshotId, d.DeviceName)
			}
			overlay(&d, m.Ebs)
			others = append(others, d)
			continue
		}
		if m.Ebs == nil {
			return engine.Volume{}, fault.New(api.CodeClient, "The recipe maps something else than a volume to the root device %s.", parent.RootDevice)
		}
		overlay(&root, m.Ebs)
	}
	if root.SizeGiB < parent.SizeGiB {
		return engine.Volume{}, fault.New(api.CodeClient, "The recipe's volume of %d GiB for %s is smaller than the parent image's snapshot of %d GiB.", root.SizeGiB, parent.RootDevice, parent.SizeGiB)
	}
	return engine.Volume{SizeGiB: root.SizeGiB, Devices: append([]engine.BlockDevice{root}, others...)}, nil
}

// overlay sets what a mapping says.
func overlay(d *engine.BlockDevice, ebs *api.EbsInstanceBlockDeviceSpecification) {
	if ebs == nil {
		return
	}
	if ebs.VolumeSize != nil {
		d.SizeGiB = int64(*ebs.VolumeSize)
	}
	if ebs.VolumeType != nil && string(*ebs.VolumeType) != d.VolumeType {
		d.VolumeType, d.IOPS, d.Throughput = string(*ebs.VolumeType), 0, 0
	}
	d.IOPS = int64(or(ebs.Iops, int32(d.IOPS)))
	d.Throughput = int64(or(ebs.Throughput, int32(d.Throughput)))
	d.KMSKeyID = or(ebs.KmsKeyId, d.KMSKeyID)
	d.Encrypted = or(ebs.Encrypted, d.Encrypted)
	d.DeleteOnTermination = or(ebs.DeleteOnTermination, d.DeleteOnTermination)
}

// planComponents resolves the components to builds and their parameters to
// values: those of the start before those of the recipe.
func (s *Service) planComponents(tx *store.Tx, r request, uses []api.ComponentConfiguration, start startParameters) ([]engine.Component, error) {
	var all []engine.Component
	var names []string
	used := map[string]bool{}
	for i, use := range uses {
		a, err := r.usable(fmt.Sprintf("components[%d].componentArn", i), use.ComponentArn, component, versionForm, buildForm)
		if err == nil {
			err = s.stillGranted(tx, r, a)
		}
		if err != nil {
			return nil, err
		}
		c, at, err := s.component(tx, a)
		if fault.Code(err) == api.CodeResourceNotFound {
			return nil, fault.New(api.CodeClient, "The component '%s' does not exist any more.", a)
		}
		if err != nil {
			return nil, err
		}
		if !hasDocument(c) {
			return nil, withoutDocument(at)
		}
		doc, problems := toe.Parse(at.String(), []byte(text(c.Data)))
		if err := problems.Err(); err != nil {
			return nil, fault.New(api.CodeClient, "The document of the component '%s' is not valid: %s", at, describeProblems(problems)).Because(err)
		}
		made := engine.Component{
			ARN: at.String(), Name: text(c.Name), Digest: doc.Hash(), Data: text(c.Data), Parameters: planParameters(c, use.Parameters), Phases: doc.PhaseNames(),
		}
		if err := start.onto(&made, doc, used); err != nil {
			return nil, err
		}
		all, names = append(all, made), append(names, made.Name)
	}
	return all, start.unused(used, "component", names)
}

func planParameters(c *api.Component, given []api.ComponentParameter) []engine.Parameter {
	var all []engine.Parameter
	for _, d := range c.Parameters {
		v := d.DefaultValue
		for _, p := range given {
			if text(p.Name) == text(d.Name) {
				v = p.Value
			}
		}
		if len(v) > 0 {
			all = append(all, engine.Parameter{Name: text(d.Name), Value: v[0]})
		}
	}
	return all
}

// planInfrastructure says how instances run. The key pair must be there, as for
// EC2 when it launches one.
func (s *Service) planInfrastructure(tx *store.Tx, r request, c *api.InfrastructureConfiguration) (engine.Infrastructure, error) {
	out := engine.Infrastructure{
		ARN: text(c.Arn), InstanceProfile: text(c.InstanceProfileName), InstanceTypes: c.InstanceTypes, SecurityGroups: c.SecurityGroupIds, Subnet: text(c.SubnetId), TerminateOnFailure: or(c.TerminateInstanceOnFailure, true), ResourceTags: c.ResourceTags, TopicARN: text(c.SnsTopicArn),
	}
	if c.Logging != nil && c.Logging.S3Logs != nil {
		out.LogBucket, out.LogPrefix = text(c.Logging.S3Logs.S3BucketName), text(c.Logging.S3Logs.S3KeyPrefix)
	}
	if m := c.InstanceMetadataOptions; m != nil {
		out.Metadata = engine.Metadata{TokenRequired: text(m.HttpTokens) == "required", HopLimit: int(or(m.HttpPutResponseHopLimit, 0))}
	}
	if c.Placement != nil {
		out.Zone = text(c.Placement.AvailabilityZone)
	}
	if name := text(c.KeyPair); name != "" {
		key, err := s.world.KeyPair(tx, r.Account, r.Region, name)
		if fault.Code(err) == "InvalidKeyPair.NotFound" {
			err = fault.New(api.CodeClient, "The key pair '%s' does not exist in %s. Import its public key: aws ec2 import-key-pair.", name, r.Region).Because(err)
		}
		if err != nil {
			return out, err
		}
		out.KeyName, out.PublicKey = key.Name, key.Key
	}
	return out, nil
}

// planDestinations gives the build region first, whether it was asked for or
// not, because the AMI is made there, and then the others in their order.
func planDestinations(r request, c *api.DistributionConfiguration) ([]engine.Destination, error) {
	all := []engine.Destination{{Region: r.Region}}
	if c == nil {
		return all, nil
	}
	for _, d := range c.Distributions {
		if err := undistributable(&d); err != nil {
			return nil, err
		}
		out := engine.Destination{Region: text(d.Region), Licenses: d.LicenseConfigurationArns}
		for _, t := range d.LaunchTemplateConfigurations {
			out.LaunchTemplates = append(out.LaunchTemplates, engine.LaunchTemplate{ID: text(t.LaunchTemplateId), Account: text(t.AccountId), SetDefault: or(t.SetDefaultVersion, false)})
		}
		for _, p := range d.SsmParameterConfigurations {
			out.Parameters = append(out.Parameters, engine.SSMParameter{Name: text(p.ParameterName), Account: text(p.AmiAccountId), DataType: text(p.DataType)})
		}
		if x := d.S3ExportConfiguration; x != nil {
			if err := bucket.ValidName(text(x.S3Bucket)); err != nil {
				return nil, fault.New(api.CodeClient, "The distribution configuration exports the image of %s to a bucket that there cannot be: %v.", out.Region, err)
			}
			out.Exports = []engine.S3Export{{Format: string(or(x.DiskImageFormat, "")), Bucket: text(x.S3Bucket), Prefix: text(x.S3Prefix), Role: text(x.RoleName)}}
		}
		fast, err := planFastLaunch(r, &d)
		if err != nil {
			return nil, err
		}
		out.FastLaunch = fast
		if ami := d.AmiDistributionConfiguration; ami != nil {
			out.Name, out.Description, out.Tags, out.KMSKeyID, out.TargetAccounts = text(ami.Name), text(ami.Description), ami.AmiTags, text(ami.KmsKeyId), ami.TargetAccountIds
			if p := ami.LaunchPermission; p != nil {
				out.LaunchPermissions = engine.LaunchPermissions{UserIDs: p.UserIds, Groups: p.UserGroups, Organizations: p.OrganizationArns, Units: p.OrganizationalUnitArns}
			}
		}
		if out.Region == r.Region {
			out.KMSKeyID = "" // it does not apply to the original AMI (User Guide, distribution settings)
			all[0] = out
			continue
		}
		all = append(all, out)
	}
	return all, nil
}

// planFastLaunch gives a region's fast launch settings, which are for the
// image's own account (User Guide, "EC2 Fast Launch").
func planFastLaunch(r request, d *api.Distribution) ([]engine.FastLaunch, error) {
	var all []engine.FastLaunch
	for _, f := range d.FastLaunchConfigurations {
		if account := text(f.AccountId); account != "" && account != r.Account {
			return nil, fault.New(api.CodeClient, "The distribution configuration asks for fast launch in the account %s in %s, and it is only available in the account of the image.", account, text(d.Region))
		}
		one := engine.FastLaunch{Enabled: or(f.Enabled, false), MaxParallel: int(or(f.MaxParallelLaunches, 0))}
		if c := f.SnapshotConfiguration; c != nil {
			one.Target = int(or(c.TargetResourceCount, 0))
		}
		if t := f.LaunchTemplate; t != nil {
			one.TemplateID, one.TemplateName, one.TemplateVersion = text(t.LaunchTemplateId), text(t.LaunchTemplateName), text(t.LaunchTemplateVersion)
		}
		all = append(all, one)
	}
	return all, nil
}

// undistributable refuses outputs that a configuration can hold and this version
// cannot make: better no image than one that lacks what was asked for.
func undistributable(d *api.Distribution) error {
	for _, output := range []struct {
		what  string
		asked bool
	}{
		{"container images", d.ContainerDistributionConfiguration != nil},
	} {
		if output.asked {
			return fault.New(api.CodeClient, "The distribution configuration asks for %s in %s, which are not available in this version.", output.what, text(d.Region))
		}
	}
	return nil
}
