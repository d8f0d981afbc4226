package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Snapshot is a snapshot of a volume of an account in a region.
type Snapshot struct {
	ID          string            `json:"id"` // "snap-" and 17 hexadecimal digits
	Account     string            `json:"account"`
	Region      string            `json:"region"`
	Description string            `json:"description,omitempty"`
	Manifest    string            `json:"manifest"`
	SizeGiB     int64             `json:"sizeGiB"`
	Encrypted   bool              `json:"encrypted,omitempty"`
	KMSKeyID    string            `json:"kmsKeyId,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Created     time.Time         `json:"created"`
	OwnerAlias  string            `json:"ownerAlias,omitempty"`
	Provider    string            `json:"provider,omitempty"` // as that of its AMI
}

// snapshotOf describes the snapshot behind a device of an AMI.
func snapshotOf(a AMI, d BlockDevice) Snapshot {
	s := Snapshot{
		ID: d.SnapshotID, Account: a.Account, Region: a.Region, Manifest: d.Manifest, SizeGiB: d.SizeGiB, Encrypted: d.Encrypted, KMSKeyID: d.KMSKeyID,
		Tags: a.Tags, Created: a.Created, OwnerAlias: a.OwnerAlias, Provider: a.Provider, Description: "Created for " + a.ID,
	}
	if a.Source.ID != "" {
		s.Description = fmt.Sprintf("Copied for DestinationAmi %s from SourceAmi %s of %s", a.ID, a.Source.ID, a.Source.Region)
	}
	return s
}

func (w *World) addSnapshot(tx *store.Tx, s Snapshot) error {
	doc, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", s.ID, err)
	}
	return tx.InsertSnapshot(store.Snapshot{ID: s.ID, Account: s.Account, Region: s.Region, Manifest: s.Manifest, Created: s.Created, Doc: doc})
}

// Snapshot gives a snapshot whoever owns it.
func (w *World) Snapshot(tx *store.Tx, id string) (Snapshot, bool, error) {
	row, ok, err := tx.Snapshot(id)
	if err != nil || !ok {
		return Snapshot{}, false, err
	}
	s, err := snapshotFromRow(row)
	return s, err == nil, err
}

func snapshotFromRow(row store.Snapshot) (s Snapshot, err error) {
	if err := json.Unmarshal(row.Doc, &s); err != nil {
		return Snapshot{}, fmt.Errorf("decoding %s: %w", row.ID, err)
	}
	return s, nil
}

// Snapshots gives the snapshots of an account in a region, by ID.
func (w *World) Snapshots(tx *store.Tx, account, region string) (all []Snapshot, err error) {
	fetch := fetchSnapshots(tx, identity.Caller{Account: account, Region: region})
	for after := ""; ; after = all[len(all)-1].ID {
		some, err := fetch(after, 500)
		if err != nil || len(some) == 0 {
			return all, err
		}
		all = append(all, some...)
	}
}

// Manifests gives the manifests of all snapshots there are: what a collection of
// blocks has to keep for the cloud's sake.
func (w *World) Manifests(ctx context.Context) (all []string, err error) {
	err = w.store.Read(ctx, func(tx *store.Tx) error {
		all, err = tx.Manifests()
		return err
	})
	return all, err
}

// Held is Manifests with the regions that hold each.
func (w *World) Held(ctx context.Context) (all []store.Held, err error) {
	err = w.store.Read(ctx, func(tx *store.Tx) error {
		all, err = tx.HeldManifests()
		return err
	})
	return all, err
}
