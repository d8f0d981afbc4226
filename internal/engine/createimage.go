package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Disks makes volumes of snapshots and snapshots of volumes.
type Disks interface {
	// Volume writes the disk of a snapshot into a new raw file, its root
	// partition and file system enlarged to sizeGiB, and says how it was done
	// ("reflink", "sparse copy", "blocks").
	Volume(ctx context.Context, snapshot, file string, sizeGiB int64) (how string, err error)

	// Snapshot stores what differs between the disk in file and the snapshot
	// parent, in the store of a region, encrypted under the key of an ARN unless
	// that is "". The file is used up: it becomes the ready copy that Disk gives,
	// or is removed where the snapshot is encrypted.
	Snapshot(ctx context.Context, file, parent, region, key string) (Stored, error)

	// Disk gives the path of a snapshot's disk for reading, until release.
	Disk(ctx context.Context, snapshot string) (file string, release func(), err error)

	// Collect removes the blocks and disks of snapshots that keep does not name
	// for a region that uses their store; "" stands for the store of parent images.
	Collect(ctx context.Context, keep func(ctx context.Context) ([]store.Held, error)) error
}

// Stored is a snapshot that was written.
type Stored struct {
	Snapshot  string // content digest
	Blocks    int
	NewBlocks int
	NewBytes  int64 // written, compressed
	Changed   int64 // bytes of the blocks that differ from the parent's, not compressed
}

// createImage is the action CreateImage: the instance stops, so that its volume
// is complete, the volume becomes a snapshot, and the snapshot an AMI of the
// build region.
func createImage(ctx context.Context, c *call) (result, error) {
	m, err := c.instance()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	if m.volume == "" {
		return result{}, fmt.Errorf("the instance %s runs on a throw-away copy of %s; only an instance of a build workflow can become an image", m.id, m.source.name)
	}
	if err := m.Stop(ctx); err != nil {
		return result{}, fmt.Errorf("stopping instance %s: %w", m.id, err)
	}
	m.stopped = true
	faultpoint.Reach("in", c.stepPoint(c.row.Name, "instance stopped"))
	c.log.printf("Stopped instance %s (%.2f s)", m.id, time.Since(start).Seconds())
	start = time.Now()
	from := m.settle(ctx)
	if waited := time.Since(start); waited > time.Second/10 {
		c.log.printf("Waited until the last kept state was stored (%.2f s)", waited.Seconds())
	}
	start = time.Now()
	devices, key, err := c.keys()
	if err != nil {
		return result{}, err
	}
	stored, err := c.engine.Disks.Snapshot(ctx, m.volume, from, c.plan.Image.Region, key)
	if err != nil {
		return result{}, fmt.Errorf("making a snapshot of instance %s: %w", m.id, err)
	}
	c.log.printf("Made snapshot %s: %d blocks, %d of them new, %.1f MiB written (%.2f s)", stored.Snapshot, stored.Blocks, stored.NewBlocks, float64(stored.NewBytes)/(1<<20), time.Since(start).Seconds())
	faultpoint.Reach("in", c.stepPoint(c.row.Name, "snapshot made"))
	ami := c.describeAMI(m.source.Parent, stored.Snapshot)
	for i, d := range devices {
		ami.Devices[i].Encrypted, ami.Devices[i].KMSKeyID = d.Encrypted, d.KMSKeyID
	}
	return result{
		outputs: map[string]any{"imageId": ami.ID},
		commit: func(tx *store.Tx) error {
			if _, err := c.engine.Cloud.Register(tx, ami); err != nil {
				return fmt.Errorf("registering %s: %w", ami.ID, err)
			}
			return nil
		},
		after: func() { c.log.printf("Registered %s (%s) in %s", ami.ID, ami.Name, ami.Region) },
	}, nil
}

// keys gives the plan's devices with the ARNs of the keys that encrypt them; a key
// that was disabled since the image was planned ends the build here.
//
// Where a provider has the account's AMIs, the keys are the provider's: the disk
// that is uploaded lies unencrypted here.
func (r *run) keys() (devices []BlockDevice, root string, err error) {
	devices = slices.Clone(r.plan.Volume.Devices)
	if r.engine.Cloud.Provider(r.plan.Image.Account, r.plan.Image.Region) != nil {
		return devices, "", nil
	}
	for i := range devices {
		d := &devices[i]
		if d.Encrypted = d.Encrypted || d.KMSKeyID != ""; !d.Encrypted {
			continue
		}
		key, err := r.engine.Cloud.Key(r.plan.Image.Account, r.plan.Image.Region, d.KMSKeyID)
		if err != nil {
			return nil, "", fmt.Errorf("encrypting %s: %w", d.DeviceName, err)
		}
		d.KMSKeyID = key
	}
	return devices, devices[0].KMSKeyID, nil
}

// buildTime is the time of a new AMI. No two of this process have the same
// millisecond: default names hold nothing else that tells the images of a recipe
// apart.
func (e *Engine) buildTime() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Now().UTC().Truncate(time.Millisecond)
	if !now.After(e.lastBuilt) && e.lastBuilt.Sub(now) < time.Second { // further back: the clock was put back
		now = e.lastBuilt.Add(time.Millisecond)
	}
	e.lastBuilt = now
	return now
}

// describeAMI is the AMI of the build region.
func (r *run) describeAMI(from Parent, manifest string) cloud.AMI {
	p, now := r.plan, r.engine.buildTime()
	home := p.Destinations[0]
	ami := cloud.AMI{
		ID: cloud.NewID("ami"), Account: p.Image.Account, Region: p.Image.Region,
		Name: r.localName(r.amiName(home, now)), Description: home.Description,
		Architecture: from.Architecture, Platform: from.Platform, OSVersion: from.OSVersion,
		BootMode: from.BootMode, RootDevice: p.Volume.Devices[0].DeviceName,
		Tags: r.amiTags(home, now), Created: now,
	}
	for i, d := range p.Volume.Devices {
		device := cloud.BlockDevice{
			DeviceName: d.DeviceName, VirtualName: d.VirtualName, NoDevice: d.NoDevice, SizeGiB: d.SizeGiB,
			VolumeType: d.VolumeType, IOPS: d.IOPS, Throughput: d.Throughput, KMSKeyID: d.KMSKeyID,
			Encrypted: d.Encrypted, DeleteOnTermination: d.DeleteOnTermination,
		}
		if i == 0 {
			device.Manifest, device.SizeGiB = manifest, max(p.Volume.SizeGiB, from.SizeGiB)
		}
		ami.Devices = append(ami.Devices, device)
	}
	return ami
}

// amiName fills in a destination's name; the default is the recipe's name and
// the build date, as Image Builder has it.
func (r *run) amiName(d Destination, at time.Time) string {
	if d.Name == "" {
		return r.plan.Image.Name + " " + buildDate(at)
	}
	return expand(d.Name, at, r.plan.Image.Build)
}

// amiTags are the recipe's, the destination's, and the two that Image Builder
// sets on every AMI.
func (r *run) amiTags(d Destination, at time.Time) map[string]string {
	tags := map[string]string{}
	for _, from := range []Tags{r.plan.AMITags, d.Tags} {
		for key, value := range from {
			tags[key] = expand(value, at, r.plan.Image.Build)
		}
	}
	maps.Copy(tags, map[string]string{"CreatedBy": "EC2 Image Builder", "Ec2ImageBuilderArn": r.plan.Image.ARN})
	return tags
}
