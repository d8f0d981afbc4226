package cloud

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/kms"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Blocks has the disks behind snapshots. A region has a store of its own, or
// shares one with others.
type Blocks interface {
	// Shared reports whether two regions have one store.
	Shared(a, b string) bool

	// Copy puts a disk into the store of a region, encrypted under the key of an
	// ARN ("" leaves it as it is), and gives the manifest that it has there. What
	// is there already does not move; a copy that was cut short is resumed by the
	// next.
	Copy(ctx context.Context, manifest, region, key string) (made string, moved Moved, err error)
}

// Moved is what went from store to store.
type Moved struct {
	Blocks int   // in all
	New    int   // of these, that moved
	Bytes  int64 // that they took, compressed
}

// Add adds up.
func (m *Moved) Add(n Moved) {
	m.Blocks, m.New, m.Bytes = m.Blocks+n.Blocks, m.New+n.New, m.Bytes+n.Bytes
}

// Keep gives the world the keys that disks are encrypted under, and the disks.
// Call it before the first request; without it nothing can be encrypted.
func (w *World) Keep(keys *kms.Ring, blocks Blocks) { w.keys, w.blocks = keys, blocks }

// Key gives the ARN of the key that an account means by a name in a region; ""
// is the default key. It is a fault where the account cannot use it.
func (w *World) Key(account, region, name string) (string, error) {
	if w.keys == nil {
		return "", fault.New("UnsupportedOperation", "This server has no keys to encrypt with")
	}
	k, err := w.keys.Resolve(account, region, name)
	if err != nil {
		return "", err
	}
	return k.ARN(), nil
}

// HasKey reports whether a key's ARN is one of this server's keys.
func (w *World) HasKey(arn string) bool { return w.keys != nil && w.keys.Has(arn) }

// MayRead refuses, with a fault, an account that may not use the keys that the
// disks of an AMI are encrypted with: to see an AMI is not to read it.
func (w *World) MayRead(account string, a AMI) error {
	for _, d := range a.Devices {
		if d.Manifest == "" || !d.Encrypted || w.keys == nil {
			continue
		}
		if err := w.keys.MayUse(account, d.KMSKeyID); err != nil {
			return err
		}
	}
	return nil
}

// sharable refuses permissions that encrypted AMIs cannot have (EC2 User Guide,
// "Share an AMI with specific AWS accounts").
func (w *World) sharable(a AMI) error {
	if len(a.grantees()) == 0 {
		return nil
	}
	for _, d := range a.Devices {
		switch {
		case !d.Encrypted || d.SnapshotID == "":
		case a.Public():
			return fault.New("InvalidParameter", "The image %s cannot be made public: its snapshot %s is encrypted.", a.ID, d.SnapshotID)
		case w.keys != nil && !w.keys.Sharable(d.KMSKeyID):
			return fault.New("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.")
		}
	}
	return nil
}

// volume is what becomes of a device of an AMI in a copy.
type volume struct {
	From     string `json:"from,omitempty"`     // the original's manifest
	Manifest string `json:"manifest,omitempty"` // the copy's; "" until its blocks were moved
	Key      string `json:"key,omitempty"`      // ARN of the key that encrypts it
}

// volumes says what becomes of each device. An encrypted one stays encrypted.
func (w *World) volumes(from AMI, to Copying) ([]volume, error) {
	all := make([]volume, len(from.Devices))
	account := to.Account
	if account == "" {
		account = from.Account
	}
	for i, d := range from.Devices {
		if d.VirtualName != "" || d.NoDevice {
			continue
		}
		v := volume{From: d.Manifest}
		if to.KMSKeyID != "" || to.Encrypted || d.Encrypted {
			key, err := w.Key(account, to.Region, to.KMSKeyID)
			if err != nil {
				return nil, err
			}
			v.Key = key
		}
		same := d.Encrypted && v.Key == d.KMSKeyID || !d.Encrypted && v.Key == ""
		if same && (w.blocks == nil || w.blocks.Shared(from.Region, to.Region)) {
			v.Manifest = d.Manifest
		}
		all[i] = v
	}
	return all, nil
}

// waits reports whether there are blocks to be moved.
func waits(all []volume) bool {
	return slices.ContainsFunc(all, func(v volume) bool { return v.From != "" && v.Manifest == "" })
}

// Moves reports whether a copy of an AMI takes more than rows: its blocks go to
// another store, or under another key. Then Prepare comes before Copy.
func (w *World) Moves(from AMI, to Copying) (bool, error) {
	all, err := w.volumes(from, to)
	return waits(all), err
}

// Prepare moves the blocks of a copy and gives what Copy then makes. It takes
// long, and may be called again after it was cut short.
func (w *World) Prepare(ctx context.Context, from AMI, to Copying) (Copying, Moved, error) {
	all, err := w.volumes(from, to)
	if err != nil {
		return to, Moved{}, err
	}
	moved, err := w.move(ctx, to.Region, all)
	to.volumes = all
	return to, moved, err
}

// move moves the blocks of volumes to a region and notes their manifests.
func (w *World) move(ctx context.Context, region string, all []volume) (moved Moved, err error) {
	for i := range all {
		v := &all[i]
		if v.From == "" || v.Manifest != "" {
			continue
		}
		if w.blocks == nil {
			return moved, fault.New("UnsupportedOperation", "This server does not copy disks")
		}
		made, n, err := w.blocks.Copy(ctx, v.From, region, v.Key)
		moved.Add(n)
		if err != nil {
			return moved, fmt.Errorf("copying the disk to %s: %w", region, err)
		}
		v.Manifest = made
	}
	return moved, nil
}

// Copying says what a copy of an AMI should be.
type Copying struct {
	Account     string // "": the original's
	Region      string
	Name        string
	Description string
	Tags        map[string]string
	Encrypted   bool   // encrypt the copy's volumes; those of an encrypted original always are
	KMSKeyID    string // the key that encrypts them; "" and Encrypted: the account's default key
	Permissions Permissions

	volumes []volume // what Prepare did
}

// Copy registers a copy of an AMI in a region or for an account. Its snapshots
// are new, and made of the same blocks, or of those that Prepare moved.
func (w *World) Copy(tx *store.Tx, id string, to Copying) (AMI, error) {
	from, ok, err := w.AMI(tx, id)
	if err != nil {
		return AMI{}, err
	}
	if !ok {
		return AMI{}, notFound(id)
	}
	return w.CopyOf(tx, from, to)
}

// CopyOf is Copy of an AMI that may be a managed one, which is no row.
func (w *World) CopyOf(tx *store.Tx, from AMI, to Copying) (AMI, error) {
	all := to.volumes
	if all == nil {
		var err error
		if all, err = w.volumes(from, to); err != nil {
			return AMI{}, err
		}
	}
	if waits(all) || len(all) != len(from.Devices) {
		return AMI{}, fmt.Errorf("copying %s to %s: its blocks were not moved", from.ID, to.Region)
	}
	c := copyOf(from, to)
	c.place(all)
	return w.Register(tx, c)
}

// copyOf is a copy without its volumes' blocks.
func copyOf(from AMI, to Copying) AMI {
	c := from
	c.ID, c.State, c.Created, c.OwnerAlias, c.Provider, c.DeprecationTime, c.Licenses, c.FastLaunch = "", "", time.Time{}, "", "", time.Time{}, nil, nil
	c.Source = Source{ID: from.ID, Region: from.Region}
	c.Region, c.Name, c.Description, c.Tags, c.Permissions = to.Region, to.Name, to.Description, to.Tags, to.Permissions
	if to.Account != "" {
		c.Account = to.Account
	}
	c.Devices = slices.Clone(from.Devices)
	for i := range c.Devices {
		c.Devices[i].SnapshotID, c.Devices[i].Manifest = "", ""
	}
	return c
}

// place puts the blocks that volumes were given behind an AMI's devices.
func (a *AMI) place(all []volume) {
	for i, v := range all {
		d := &a.Devices[i]
		d.Manifest, d.KMSKeyID, d.Encrypted = v.Manifest, v.Key, v.Key != ""
	}
}
