package engine

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// registration is what RegisterImage is given, in EC2's terms.
type registration struct {
	Architecture   string         `json:"architecture"`
	Devices        []mappedDevice `json:"blockDeviceMapping"`
	BootMode       string         `json:"bootMode"`
	Description    string         `json:"description"`
	IncludeTags    bool           `json:"includeSnapshotTags"`
	RootDevice     string         `json:"rootDeviceName"`
	Virtualization string         `json:"virtualizationType"`
}

// mappedDevice is an entry of blockDeviceMapping.
type mappedDevice struct {
	DeviceName  string
	VirtualName string
	NoDevice    *string
	Ebs         *struct {
		SnapshotID string `json:"SnapshotId"`
		VolumeSize int64
		VolumeType string
		Iops       int64
		Throughput int64
		Encrypted  bool
		KmsKeyID   string `json:"KmsKeyId"`
		Delete     *bool  `json:"DeleteOnTermination"`
	}
}

// unregistered are inputs that would make another image than the one that is
// registered here.
var unregistered = []string{"imageLocation", "kernelId", "ramdiskId", "imdsSupport", "tpmSupport", "uefiData"}

// registerImage is the action RegisterImage: an AMI of snapshots that there are.
func registerImage(_ context.Context, c *call) (result, error) {
	for _, name := range unregistered {
		if c.str(name) != "" {
			return result{}, fmt.Errorf("%s is not available in this version", name)
		}
	}
	var in registration
	if err := convert(c.inputs, &in); err != nil {
		return result{}, fmt.Errorf("reading the inputs: %w", err)
	}
	if in.Virtualization == "paravirtual" {
		return result{}, fmt.Errorf("virtualizationType paravirtual is not available; AMIs are hvm")
	}
	ami := c.describeAMI(c.plan.Parent, "")
	ami.Devices, ami.RootDevice = nil, orText(in.RootDevice, c.plan.Parent.RootDevice)
	ami.Architecture = orText(in.Architecture, ami.Architecture)
	ami.BootMode, ami.Description = orText(in.BootMode, ami.BootMode), orText(in.Description, ami.Description)
	return result{
		outputs: map[string]any{"imageId": ami.ID},
		commit: func(tx *store.Tx) error {
			if err := c.mapDevices(tx, &ami, in); err != nil {
				return err
			}
			if _, err := c.engine.Cloud.Register(tx, ami); err != nil {
				return fmt.Errorf("registering %s: %w", ami.ID, err)
			}
			return nil
		},
		after: func() { c.log.printf("Registered %s (%s) in %s", ami.ID, ami.Name, ami.Region) },
	}, nil
}

// mapDevices gives an AMI the devices of a registration. Their snapshots are new
// ones of the same blocks, as those of a copy are.
func (c *call) mapDevices(tx *store.Tx, ami *cloud.AMI, in registration) error {
	tagged := !in.IncludeTags
	for i, d := range in.Devices {
		device := cloud.BlockDevice{DeviceName: d.DeviceName, VirtualName: d.VirtualName, NoDevice: d.NoDevice != nil, DeleteOnTermination: true}
		if e := d.Ebs; e != nil {
			device.SizeGiB, device.VolumeType, device.IOPS, device.Throughput = e.VolumeSize, orText(e.VolumeType, "gp3"), e.Iops, e.Throughput
			device.Encrypted, device.KMSKeyID = e.Encrypted || e.KmsKeyID != "", e.KmsKeyID
			if e.SnapshotID != "" && device.Encrypted {
				return fmt.Errorf("blockDeviceMapping[%d]: Encrypted and KmsKeyId cannot be given for a device with a snapshot: it is encrypted as its snapshot is", i)
			}
			if device.Encrypted {
				key, err := c.engine.Cloud.Key(c.plan.Image.Account, c.plan.Image.Region, e.KmsKeyID)
				if err != nil {
					return fmt.Errorf("blockDeviceMapping[%d]: %w", i, err)
				}
				device.KMSKeyID = key
			}
			if e.Delete != nil {
				device.DeleteOnTermination = *e.Delete
			}
			if e.SnapshotID != "" {
				from, ok, err := c.engine.Cloud.Snapshot(tx, e.SnapshotID)
				if err != nil {
					return fmt.Errorf("reading %s: %w", e.SnapshotID, err)
				}
				if !ok || from.Account != c.plan.Image.Account || from.Region != c.plan.Image.Region {
					return fmt.Errorf("blockDeviceMapping[%d]: the snapshot '%s' does not exist in %s", i, e.SnapshotID, c.plan.Image.Region)
				}
				if device.SizeGiB != 0 && device.SizeGiB < from.SizeGiB {
					return fmt.Errorf("blockDeviceMapping[%d]: the volume of %d GiB is smaller than its snapshot of %d GiB", i, device.SizeGiB, from.SizeGiB)
				}
				device.Manifest, device.SizeGiB = from.Manifest, max(device.SizeGiB, from.SizeGiB)
				device.Encrypted, device.KMSKeyID = from.Encrypted, from.KMSKeyID
				if !tagged {
					tagged = true
					ami.Tags = joinTags(from.Tags, ami.Tags)
				}
			}
		}
		ami.Devices = append(ami.Devices, device)
	}
	if root, ok := ami.Root(); !ok || root.Manifest == "" {
		return fmt.Errorf("blockDeviceMapping has no entry with a snapshot for the root device %s", ami.RootDevice)
	}
	return nil
}

// joinTags puts an AMI's own tags over those of a snapshot.
func joinTags(snapshot, own map[string]string) map[string]string {
	tags := map[string]string{}
	for key, value := range snapshot {
		if !strings.HasPrefix(key, "aws:") {
			tags[key] = value
		}
	}
	maps.Copy(tags, own)
	return tags
}
