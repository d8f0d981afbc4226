package cloud

import (
	"maps"
	"slices"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// describeImage is an AMI in EC2's shape. Members that EC2 leaves out when they
// are empty are left out.
func describeImage(a AMI) ec2.Image {
	image := ec2.Image{
		Architecture: ptr(ec2.ArchitectureValues(a.Architecture)), CreationDate: ptr(date(a.Created)), ImageId: ptr(a.ID), ImageLocation: ptr(location(a)),
		ImageType: ptr(ec2.ImageTypeValues("machine")), Public: ptr(a.Public()), OwnerId: ptr(a.Account), ImageOwnerAlias: some(a.OwnerAlias),
		PlatformDetails: ptr(platformDetails(a)), UsageOperation: ptr("RunInstances"), State: ptr(ec2.ImageState(a.State)), Description: some(a.Description),
		EnaSupport: ptr(true), Hypervisor: ptr(ec2.HypervisorType("xen")), Name: ptr(a.Name), RootDeviceName: some(a.RootDevice), RootDeviceType: ptr(ec2.DeviceType("ebs")),
		SriovNetSupport: ptr("simple"), Tags: describeTags(a.Tags), VirtualizationType: ptr(ec2.VirtualizationType("hvm")), ImageAllowed: ptr(true),
		SourceImageId: some(a.Source.ID), SourceImageRegion: some(a.Source.Region),
	}
	if a.Platform == "Windows" {
		image.Platform = ptr(ec2.PlatformValues("windows"))
		image.UsageOperation = ptr("RunInstances:0002")
	}
	if a.BootMode != "" {
		image.BootMode = ptr(ec2.BootModeValues(a.BootMode))
	}
	if a.Reason != "" {
		image.StateReason = &ec2.StateReason{Code: ptr("Client.CopyFailed"), Message: ptr(a.Reason)}
	}
	if !a.DeprecationTime.IsZero() {
		image.DeprecationTime = ptr(date(a.DeprecationTime))
	}
	image.BlockDeviceMappings = make([]ec2.BlockDeviceMapping, 0, len(a.Devices))
	for _, d := range a.Devices {
		image.BlockDeviceMappings = append(image.BlockDeviceMappings, describeDevice(d))
	}
	return image
}

func describeDevice(d BlockDevice) ec2.BlockDeviceMapping {
	m := ec2.BlockDeviceMapping{DeviceName: ptr(d.DeviceName)}
	switch {
	case d.NoDevice:
		m.NoDevice = ptr("")
		return m
	case d.VirtualName != "":
		m.VirtualName = ptr(d.VirtualName)
		return m
	}
	m.Ebs = &ec2.EbsBlockDevice{DeleteOnTermination: ptr(d.DeleteOnTermination), SnapshotId: some(d.SnapshotID), KmsKeyId: some(d.KMSKeyID), Encrypted: ptr(d.Encrypted)}
	if d.SizeGiB > 0 {
		m.Ebs.VolumeSize = ptr(int32(d.SizeGiB))
	}
	if d.VolumeType != "" {
		m.Ebs.VolumeType = ptr(ec2.VolumeType(d.VolumeType))
	}
	if d.IOPS > 0 {
		m.Ebs.Iops = ptr(int32(d.IOPS))
	}
	if d.Throughput > 0 {
		m.Ebs.Throughput = ptr(int32(d.Throughput))
	}
	return m
}

func describeTags(tags map[string]string) []ec2.Tag {
	var all []ec2.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, ec2.Tag{Key: ptr(key), Value: ptr(tags[key])})
	}
	return all
}

// describeSnapshot is a snapshot in EC2's shape. The volume is long gone, as
// that of a copied snapshot is at EC2, which shows this ID for it.
func describeSnapshot(s Snapshot) ec2.Snapshot {
	return ec2.Snapshot{
		SnapshotId: ptr(s.ID), OwnerId: ptr(s.Account), OwnerAlias: some(s.OwnerAlias), Description: ptr(s.Description), Encrypted: ptr(s.Encrypted), KmsKeyId: some(s.KMSKeyID),
		Progress: ptr("100%"), StartTime: shape.At(s.Created), CompletionTime: shape.At(s.Created), State: ptr(ec2.SnapshotState("completed")), VolumeId: ptr(goneVolume),
		VolumeSize: ptr(int32(s.SizeGiB)), Tags: describeTags(s.Tags), StorageTier: ptr(ec2.StorageTier("standard")),
	}
}

const goneVolume = "vol-ffffffffffffffff0"
