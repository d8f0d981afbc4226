package aws

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// madeFor is the tag by which an AMI is found again after a crash.
const madeFor = "Ec2ImageBuilderArn"

// Publish implements cloud.Provider. AMIs have names that are unique in an
// account and region, and carry what they were made for as a tag from their
// first moment on: one that is there was made by an earlier attempt.
func (a *Accounts) Publish(ctx context.Context, p cloud.Publication) (cloud.AMI, error) {
	step := "REGISTER_AMI"
	if p.Like != nil {
		step = "COPY_AMI"
	}
	if p.Tell == nil {
		p.Tell = func(string, ...any) {}
	}
	p.AMI.Tags = tagsFor(p)
	s, err := a.in(ctx, p.AMI.Account, p.AMI.Region)
	if err != nil {
		return cloud.AMI{}, failed(ctx, step, "getting access", err)
	}
	if err := a.prune(ctx, p.AMI.Account, p.AMI.Region); err != nil {
		return cloud.AMI{}, err
	}
	id, err := s.find(ctx, p)
	if err != nil {
		return cloud.AMI{}, failed(ctx, step, "looking for "+p.AMI.Name, err)
	}
	made := p.AMI
	made.Provider, made.Devices, made.Permissions = Provider, slices.Clone(p.AMI.Devices), cloud.Permissions{}
	if p.Like != nil {
		if id, err = s.copyFrom(ctx, id, p); err != nil {
			return cloud.AMI{}, failed(ctx, step, "copying "+p.Like.ID+" from "+p.Like.Region, err)
		}
	} else {
		if id, err = a.register(ctx, s, id, p, made.Devices); err != nil {
			return cloud.AMI{}, failed(ctx, step, "registering "+p.AMI.Name, err)
		}
	}
	made.ID = id
	if err := a.settle(ctx, s, &made, p); err != nil {
		return cloud.AMI{}, failed(ctx, step, "waiting for "+id, err)
	}
	made.Permissions = p.AMI.Permissions
	return made, a.Permit(ctx, made)
}

// tagsFor are the AMI's tags and the one that says what it is for.
func tagsFor(p cloud.Publication) map[string]string {
	tags := maps.Clone(p.AMI.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[madeFor] = p.For
	return tags
}

// find gives the AMI that an earlier attempt made, "" if there is none. A name
// that something else has is a fault InvalidAMIName.Duplicate.
func (s *session) find(ctx context.Context, p cloud.Publication) (string, error) {
	out, err := s.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{
		Owners: []string{"self"}, Filters: []types.Filter{{Name: sdk.String("name"), Values: []string{p.AMI.Name}}}, IncludeDisabled: sdk.Bool(true), IncludeDeprecated: sdk.Bool(true),
	})
	if err != nil {
		return "", err
	}
	for _, image := range out.Images {
		if untagged(image.Tags)[madeFor] == p.For {
			return sdk.ToString(image.ImageId), nil
		}
	}
	if len(out.Images) > 0 {
		image := out.Images[0]
		return "", fault.New("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s of account %s in %s", p.AMI.Name, sdk.ToString(image.ImageId), s.account, s.region)
	}
	return "", nil
}

// register uploads the disks of an AMI and registers it, unless it is there
// already; its devices get the IDs of their snapshots.
func (a *Accounts) register(ctx context.Context, s *session, id string, p cloud.Publication, devices []cloud.BlockDevice) (string, error) {
	for i := range devices {
		d := &devices[i]
		if p.Key != "" && d.VirtualName == "" && !d.NoDevice {
			d.Encrypted, d.KMSKeyID = true, p.Key
		}
		if d.SnapshotID = ""; d.Manifest == "" || id != "" {
			continue
		}
		var err error
		if d.SnapshotID, err = a.upload(ctx, s, p, *d); err != nil {
			return "", err
		}
	}
	if id != "" {
		return id, nil
	}
	out, err := s.ec2.RegisterImage(ctx, &ec2.RegisterImageInput{
		Name: &p.AMI.Name, Description: &p.AMI.Description, Architecture: types.ArchitectureValues(p.AMI.Architecture), BootMode: types.BootModeValues(p.AMI.BootMode),
		RootDeviceName: &p.AMI.RootDevice, VirtualizationType: sdk.String("hvm"), EnaSupport: sdk.Bool(true), BlockDeviceMappings: mappings(devices),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: ec2Tags(p.AMI.Tags)}},
	})
	if err != nil {
		return "", err
	}
	p.Tell("Registered %s (%s) in %s of account %s", sdk.ToString(out.ImageId), p.AMI.Name, s.region, s.account)
	return sdk.ToString(out.ImageId), nil
}

// mappings are devices in EC2's terms. What a volume is encrypted with is its
// snapshot's; only an empty one says it itself (API Reference, EbsBlockDevice).
func mappings(devices []cloud.BlockDevice) (all []types.BlockDeviceMapping) {
	for _, d := range devices {
		m := types.BlockDeviceMapping{DeviceName: sdk.String(d.DeviceName)}
		switch {
		case d.NoDevice:
			m.NoDevice = sdk.String("")
		case d.VirtualName != "":
			m.VirtualName = sdk.String(d.VirtualName)
		default:
			m.Ebs = &types.EbsBlockDevice{DeleteOnTermination: sdk.Bool(d.DeleteOnTermination), VolumeType: types.VolumeType(d.VolumeType)}
			if d.SizeGiB > 0 {
				m.Ebs.VolumeSize = sdk.Int32(int32(d.SizeGiB))
			}
			if d.IOPS > 0 {
				m.Ebs.Iops = sdk.Int32(int32(d.IOPS))
			}
			if d.Throughput > 0 {
				m.Ebs.Throughput = sdk.Int32(int32(d.Throughput))
			}
			if d.SnapshotID != "" {
				m.Ebs.SnapshotId = sdk.String(d.SnapshotID)
			} else if d.Encrypted || d.KMSKeyID != "" {
				m.Ebs.Encrypted = sdk.Bool(true)
				if d.KMSKeyID != "" {
					m.Ebs.KmsKeyId = sdk.String(d.KMSKeyID)
				}
			}
		}
		all = append(all, m)
	}
	return all
}

// copyFrom has AWS copy an AMI of another region, unless it did already.
func (s *session) copyFrom(ctx context.Context, id string, p cloud.Publication) (string, error) {
	if id != "" {
		return id, nil
	}
	token := digest(p.For, s.account, s.region, p.AMI.Name, p.Like.ID)
	in := &ec2.CopyImageInput{
		Name: &p.AMI.Name, Description: &p.AMI.Description, SourceImageId: &p.Like.ID, SourceRegion: &p.Like.Region, ClientToken: &token,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeImage, Tags: ec2Tags(p.AMI.Tags)}, {ResourceType: types.ResourceTypeSnapshot, Tags: ec2Tags(p.AMI.Tags)}},
	}
	if p.Key != "" {
		in.Encrypted, in.KmsKeyId = sdk.Bool(true), &p.Key
	}
	out, err := s.ec2.CopyImage(ctx, in)
	if err != nil {
		return "", err
	}
	p.Tell("Copying %s to %s in %s of account %s", p.Like.ID, sdk.ToString(out.ImageId), s.region, s.account)
	return sdk.ToString(out.ImageId), nil
}

// copyTime is how long AWS may take to copy an AMI: a large disk between two
// far regions takes hours.
const copyTime = 12 * time.Hour

// settle waits until an AMI can be launched, and takes over from AWS what only
// it knows: the snapshots and the date. One that failed is removed.
func (a *Accounts) settle(ctx context.Context, s *session, made *cloud.AMI, p cloud.Publication) error {
	ctx, cancel := context.WithTimeoutCause(ctx, copyTime, fmt.Errorf("it is not available after %v", copyTime))
	defer cancel()
	var image types.Image
	err := a.wait(ctx, made.ID, func() (bool, error) {
		out, err := s.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{made.ID}})
		if code(err) == "InvalidAMIID.NotFound" { // not known everywhere yet
			return false, nil
		}
		if err != nil || len(out.Images) == 0 {
			return false, err
		}
		image = out.Images[0]
		switch image.State {
		case types.ImageStateAvailable, types.ImageStateDisabled:
			return true, nil
		case types.ImageStatePending, types.ImageStateTransient:
			return false, nil
		}
		why := string(image.State)
		if image.StateReason != nil {
			why = sdk.ToString(image.StateReason.Message)
		}
		if err := s.deregister(ctx, made.ID); err != nil {
			a.Log.Warn("removing an AMI of AWS that failed", "ami", made.ID, "err", err)
		}
		return false, fault.New("InvalidAMIID.Unavailable", "%s in %s of account %s did not become available: %s", made.ID, s.region, s.account, why)
	})
	if err != nil {
		return err
	}
	if missing(image.Tags, made.Tags) {
		if _, err := s.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{made.ID}, Tags: ec2Tags(made.Tags)}); err != nil {
			return err
		}
	}
	if at, err := time.Parse(time.RFC3339, sdk.ToString(image.CreationDate)); err == nil {
		made.Created = at
	}
	if p.Like != nil {
		made.Source = cloud.Source{ID: p.Like.ID, Region: p.Like.Region}
	}
	for i := range made.Devices {
		d := &made.Devices[i]
		if d.Manifest == "" || p.Like == nil && d.SnapshotID != "" {
			continue
		}
		e := volumeOf(image.BlockDeviceMappings, d.DeviceName, len(made.Devices) == 1)
		if e == nil {
			return fmt.Errorf("AWS shows no snapshot for the device %s", d.DeviceName)
		}
		d.SnapshotID, d.Encrypted, d.KMSKeyID = sdk.ToString(e.SnapshotId), sdk.ToBool(e.Encrypted), sdk.ToString(e.KmsKeyId)
	}
	return nil
}

// volumeOf finds what an AMI has for a device. An only device is the only volume
// that is there, whatever its name: moto's server gives each AMI /dev/sda1.
func volumeOf(all []types.BlockDeviceMapping, device string, only bool) *types.EbsBlockDevice {
	var volumes []*types.EbsBlockDevice
	for _, m := range all {
		if m.Ebs == nil {
			continue
		}
		if sdk.ToString(m.DeviceName) == device {
			return m.Ebs
		}
		volumes = append(volumes, m.Ebs)
	}
	if only && len(volumes) == 1 {
		return volumes[0]
	}
	return nil
}

// missing reports whether any tag is not there.
func missing(there []types.Tag, wanted map[string]string) bool {
	have := untagged(there)
	for key, value := range wanted {
		if v, ok := have[key]; !ok || v != value {
			return true
		}
	}
	return false
}

func untagged(tags []types.Tag) map[string]string {
	all := make(map[string]string, len(tags))
	for _, t := range tags {
		all[sdk.ToString(t.Key)] = sdk.ToString(t.Value)
	}
	return all
}

func ec2Tags(tags map[string]string) (all []types.Tag) {
	for key, value := range sorted(tags) {
		all = append(all, types.Tag{Key: sdk.String(key), Value: sdk.String(value)})
	}
	return all
}

// sorted goes through a map by its keys, so that equal requests are equal.
func sorted(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}
