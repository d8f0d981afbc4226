package cloud

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// AMI is a machine image of an account in a region. Its name is unique there.
type AMI struct {
	ID           string            `json:"id"` // "ami-" and 17 hexadecimal digits
	Account      string            `json:"account"`
	Region       string            `json:"region"`
	Name         string            `json:"name"` // 3 to 128 characters
	Description  string            `json:"description,omitempty"`
	State        string            `json:"state"`        // of EC2: "available", "pending", "failed", …
	Architecture string            `json:"architecture"` // of EC2: "x86_64", "arm64", …
	Platform     string            `json:"platform"`     // of Image Builder: "Linux", "Windows"
	OSVersion    string            `json:"osVersion,omitempty"`
	BootMode     string            `json:"bootMode,omitempty"`
	RootDevice   string            `json:"rootDevice"` // "/dev/xvda"
	Devices      []BlockDevice     `json:"devices"`
	Tags         map[string]string `json:"tags,omitempty"`
	Permissions  Permissions       `json:"permissions,omitzero"`
	Created      time.Time         `json:"created"`
	Source       Source            `json:"source,omitzero"`
	OwnerAlias   string            `json:"ownerAlias,omitempty"` // "amazon" for the managed ones
	Provider     string            `json:"provider,omitempty"`   // that has it: see Provider; "": this server
	Licenses     []string          `json:"licenses,omitempty"`   // ARNs of licence configurations

	FastLaunch *FastLaunch `json:"fastLaunch,omitempty"` // nil: launches make a copy of the disk

	DeprecationTime time.Time `json:"deprecationTime,omitzero"` // from when it is out of date; zero: never
	Pending         []volume  `json:"pending,omitempty"`        // what a copy waits for, by device
	Reason          string    `json:"reason,omitempty"`         // why a copy failed
}

// BlockDevice is a block device mapping of an AMI, in the terms of EC2.
type BlockDevice struct {
	DeviceName          string `json:"deviceName"`
	VirtualName         string `json:"virtualName,omitempty"` // "ephemeral0"; then the rest is empty
	NoDevice            bool   `json:"noDevice,omitempty"`    // then the rest is empty
	SnapshotID          string `json:"snapshotId,omitempty"`  // given by Register where there is a Manifest
	Manifest            string `json:"manifest,omitempty"`    // of the disk's blocks; "" for an empty volume
	SizeGiB             int64  `json:"sizeGiB,omitempty"`
	VolumeType          string `json:"volumeType,omitempty"`
	IOPS                int64  `json:"iops,omitempty"`
	Throughput          int64  `json:"throughput,omitempty"` // MiB/s
	KMSKeyID            string `json:"kmsKeyId,omitempty"`
	Encrypted           bool   `json:"encrypted,omitempty"`
	DeleteOnTermination bool   `json:"deleteOnTermination"`
}

// Permissions say who may launch an AMI besides its owner.
type Permissions struct {
	UserIDs       []string `json:"userIds,omitempty"`
	Groups        []string `json:"groups,omitempty"` // "all" makes it public
	Organizations []string `json:"organizationArns,omitempty"`
	Units         []string `json:"organizationalUnitArns,omitempty"`
}

// Source is the AMI that another is a copy of.
type Source struct {
	ID     string `json:"id,omitempty"`
	Region string `json:"region,omitempty"`
}

// Root gives the block device of the root volume.
func (a *AMI) Root() (BlockDevice, bool) {
	for _, d := range a.Devices {
		if d.DeviceName == a.RootDevice {
			return d, true
		}
	}
	return BlockDevice{}, false
}

// Public reports whether everyone may launch the AMI.
func (a *AMI) Public() bool { return slices.Contains(a.Permissions.Groups, store.Everyone) }

// grantees are those whose lists show the AMI: accounts, everyone, and the
// members of organisations and of their units. Those are known by the last part
// of their ARN, which is unique: the rest names the account that manages them.
func (a *AMI) grantees() []string {
	all := slices.Clone(a.Permissions.UserIDs)
	if a.Public() {
		all = append(all, store.Everyone)
	}
	for _, arn := range slices.Concat(a.Permissions.Organizations, a.Permissions.Units) {
		if id := arn[strings.LastIndexByte(arn, '/')+1:]; strings.HasPrefix(id, "o-") || strings.HasPrefix(id, "ou-") {
			all = append(all, id)
		}
	}
	return all
}

// NewID makes an identifier as EC2 does: a prefix such as "ami" or "snap", a
// dash and 17 hexadecimal digits.
func NewID(prefix string) string {
	var b [9]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	return prefix + "-" + hex.EncodeToString(b[:])[:17]
}

// Register adds an AMI, and a snapshot for each of its devices that has a
// manifest. It gives IDs where there are none, and a creation date and the
// state "available" where they are missing. A name that is taken in the
// account and region is a fault InvalidAMIName.Duplicate.
func (w *World) Register(tx *store.Tx, a AMI) (AMI, error) {
	if err := checkName(a.Name); err != nil {
		return AMI{}, err
	}
	if a.ID == "" {
		a.ID = NewID("ami")
	}
	if a.State == "" {
		a.State = "available"
	}
	if a.Created.IsZero() {
		a.Created = w.now()
	}
	a.Created = a.Created.UTC().Truncate(time.Millisecond)
	a.Devices = slices.Clone(a.Devices)
	for i := range a.Devices {
		d := &a.Devices[i]
		if d.Manifest == "" {
			continue
		}
		if d.SnapshotID == "" {
			d.SnapshotID = NewID("snap")
		}
		if err := w.addSnapshot(tx, snapshotOf(a, *d)); err != nil {
			return AMI{}, err
		}
	}
	row, err := a.row()
	if err != nil {
		return AMI{}, err
	}
	err = tx.InsertAMI(row, a.grantees())
	if errors.Is(err, store.ErrExists) {
		return AMI{}, fault.New("InvalidAMIName.Duplicate", "AMI name %s is already in use by an AMI of account %s in %s", a.Name, a.Account, a.Region).Because(err)
	}
	return a, err
}

// checkName holds names to EC2's rule: 3 to 128 letters, digits, spaces and
// ()[]./-'@_ (API reference, RegisterImage).
func checkName(name string) error {
	bad := strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" ()[]./-'@_", r))
	})
	if len(name) < 3 || len(name) > 128 || bad >= 0 {
		return fault.New("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_': %q is not allowed", name)
	}
	return nil
}

// Modify changes an AMI's description, tags, permissions, licences, state, fast launch or
// deprecation: change gets it as it is and may alter those. A fault
// InvalidAMIID.NotFound if it is not there.
func (w *World) Modify(tx *store.Tx, id string, change func(*AMI)) (AMI, error) {
	a, ok, err := w.AMI(tx, id)
	if err != nil {
		return AMI{}, err
	}
	if !ok {
		return AMI{}, notFound(id)
	}
	changed := a
	change(&changed)
	if err := w.sharable(changed); err != nil && !slices.Equal(changed.grantees(), a.grantees()) {
		return AMI{}, err
	}
	a.Description, a.Tags, a.Permissions, a.Licenses, a.State, a.DeprecationTime = changed.Description, changed.Tags, changed.Permissions, changed.Licenses, changed.State, changed.DeprecationTime
	a.FastLaunch = changed.FastLaunch
	row, err := a.row()
	if err != nil {
		return AMI{}, err
	}
	if err := tx.UpdateAMI(id, row.Doc, a.grantees()); err != nil {
		return AMI{}, err
	}
	return a, w.follow(tx, a.Provider, a.Account, a.Region, id)
}

// Deregister removes an AMI and its snapshots, and gives the manifests that no
// snapshot of any account is made of any more: their blocks may go once the
// transaction is committed. A fault InvalidAMIID.NotFound if it is not there.
func (w *World) Deregister(tx *store.Tx, id string) (unused []string, err error) {
	a, ok, err := w.AMI(tx, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound(id)
	}
	if err := w.Remove(tx, id); err != nil {
		return nil, err
	}
	for _, d := range a.Devices {
		if d.Manifest == "" {
			continue
		}
		if err := w.RemoveSnapshot(tx, d.SnapshotID); err != nil {
			return nil, err
		}
		used, err := tx.ManifestInUse(d.Manifest)
		if err != nil {
			return nil, err
		}
		if !used && !slices.Contains(unused, d.Manifest) {
			unused = append(unused, d.Manifest)
		}
	}
	return unused, nil
}

// AMI gives an AMI whoever owns it.
func (w *World) AMI(tx *store.Tx, id string) (AMI, bool, error) {
	row, ok, err := tx.AMI(id)
	if err != nil || !ok {
		return AMI{}, false, err
	}
	a, err := fromRow(row)
	return a, err == nil, err
}

func (a *AMI) row() (store.AMI, error) {
	doc, err := json.Marshal(a)
	if err != nil {
		return store.AMI{}, fmt.Errorf("encoding %s: %w", a.ID, err)
	}
	return store.AMI{ID: a.ID, Account: a.Account, Region: a.Region, Name: a.Name, Created: a.Created, Doc: doc}, nil
}

func fromRow(row store.AMI) (a AMI, err error) {
	if err := json.Unmarshal(row.Doc, &a); err != nil {
		return AMI{}, fmt.Errorf("decoding %s: %w", row.ID, err)
	}
	return a, nil
}

func notFound(ids ...string) error {
	if len(ids) == 1 {
		return fault.New("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", ids[0])
	}
	return fault.New("InvalidAMIID.NotFound", "The image ids '[%s]' do not exist", strings.Join(ids, ", "))
}
