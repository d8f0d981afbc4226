package store

import (
	"fmt"
	"strings"
	"time"
)

// AMI is a machine image of an account in a region.
type AMI struct {
	ID      string // "ami-…"
	Account string
	Region  string
	Name    string // unique in the account and region
	Created time.Time
	Doc     []byte // JSON
}

// Snapshot is a snapshot of a volume of an account in a region.
type Snapshot struct {
	ID       string // "snap-…"
	Account  string
	Region   string
	Manifest string // of the disk's blocks
	Created  time.Time
	Doc      []byte // JSON
}

// Everyone is the grantee of a public AMI.
const Everyone = "all"

var (
	insertAMI = define(`INSERT INTO ami (id, account, region, name, created, doc) VALUES (?, ?, ?, ?, ?, ?)`)
	updateAMI = define(`UPDATE ami SET doc = ? WHERE id = ?`)
	deleteAMI = define(`DELETE FROM ami WHERE id = ?`)
	selectAMI = define(`SELECT id, account, region, name, created, doc FROM ami WHERE id = ?`)
	listAMIs  = define(`SELECT id, account, region, name, created, doc FROM ami
		WHERE region = ? AND id > ? AND (account = ? OR EXISTS (SELECT 1 FROM ami_grant WHERE ami = ami.id AND grantee IN (?, '` + Everyone + `'` + strings.Repeat(", ?", MaxMemberships) + `))) ORDER BY id LIMIT ? + 0`)

	insertGrant  = define(`INSERT INTO ami_grant (ami, grantee) VALUES (?, ?) ON CONFLICT DO NOTHING`)
	deleteGrants = define(`DELETE FROM ami_grant WHERE ami = ?`)

	insertSnapshot = define(`INSERT INTO snapshot (id, account, region, manifest, created, doc) VALUES (?, ?, ?, ?, ?, ?)`)
	updateSnapshot = define(`UPDATE snapshot SET doc = ? WHERE id = ?`)
	deleteSnapshot = define(`DELETE FROM snapshot WHERE id = ?`)
	selectSnapshot = define(`SELECT id, account, region, manifest, created, doc FROM snapshot WHERE id = ?`)
	listSnapshots  = define(`SELECT id, account, region, manifest, created, doc FROM snapshot WHERE account = ? AND region = ? AND id > ? ORDER BY id LIMIT ? + 0`)
	listManifests  = define(`SELECT DISTINCT manifest FROM snapshot ORDER BY manifest`)
	heldManifests  = define(`SELECT DISTINCT region, manifest FROM snapshot ORDER BY region, manifest`)
	manifestUsers  = define(`SELECT COUNT(*) FROM (SELECT 1 FROM snapshot WHERE manifest = ? LIMIT 1) AS used`)
)

func scanAMI(r row) (a AMI, err error) {
	var created int64
	err = r.Scan(&a.ID, &a.Account, &a.Region, &a.Name, &created, &a.Doc)
	a.Created = fromMillis(created)
	return a, err
}

func scanSnapshot(r row) (s Snapshot, err error) {
	var created int64
	err = r.Scan(&s.ID, &s.Account, &s.Region, &s.Manifest, &created, &s.Doc)
	s.Created = fromMillis(created)
	return s, err
}

// InsertAMI adds an AMI that grantees, accounts, groups of them or Everyone, may
// see besides its owner; ErrExists if its ID or its name is taken.
func (tx *Tx) InsertAMI(a AMI, grantees []string) error {
	if _, err := tx.exec(insertAMI, a.ID, a.Account, a.Region, a.Name, millis(a.Created), a.Doc); err != nil {
		return failed("registering "+a.ID, err)
	}
	return tx.grant(a.ID, grantees)
}

// UpdateAMI replaces the document and the grantees of an AMI; ErrNotFound if it
// is not there.
func (tx *Tx) UpdateAMI(id string, doc []byte, grantees []string) error {
	n, err := tx.exec(updateAMI, doc, id)
	if err != nil {
		return failed("changing "+id, err)
	}
	if n == 0 {
		return failed("changing "+id, ErrNotFound)
	}
	return tx.grant(id, grantees)
}

func (tx *Tx) grant(id string, grantees []string) error {
	if _, err := tx.exec(deleteGrants, id); err != nil {
		return failed("granting launches of "+id, err)
	}
	for _, g := range grantees {
		if _, err := tx.exec(insertGrant, id, g); err != nil {
			return failed("granting launches of "+id, err)
		}
	}
	return nil
}

// DeleteAMI removes an AMI and its grants; ErrNotFound if it is not there.
func (tx *Tx) DeleteAMI(id string) error { return tx.deleteOne(deleteAMI, id) }

// AMI gives an AMI.
func (tx *Tx) AMI(id string) (AMI, bool, error) {
	return one(tx, "reading "+id, selectAMI, scanAMI, id)
}

// MaxMemberships is how many groups of accounts an account can be in.
const MaxMemberships = 8

// VisibleAMIs gives the AMIs of a region that an account owns, or that it was
// granted itself or as a member of a group of accounts, in the order of their
// IDs after one of them, at most limit.
func (tx *Tx) VisibleAMIs(account string, memberships []string, region, after string, limit int) ([]AMI, error) {
	if len(memberships) > MaxMemberships {
		return nil, fmt.Errorf("listing AMIs: account %s is in %d groups, at most %d are looked at", account, len(memberships), MaxMemberships)
	}
	args := []any{region, after, account, account}
	for i := range MaxMemberships {
		group := account // what is left over says nothing new
		if i < len(memberships) {
			group = memberships[i]
		}
		args = append(args, group)
	}
	return many(tx, "listing AMIs", listAMIs, scanAMI, append(args, limit)...)
}

// InsertSnapshot adds a snapshot; ErrExists if its ID is taken.
func (tx *Tx) InsertSnapshot(s Snapshot) error {
	if _, err := tx.exec(insertSnapshot, s.ID, s.Account, s.Region, s.Manifest, millis(s.Created), s.Doc); err != nil {
		return failed("adding "+s.ID, err)
	}
	return nil
}

// UpdateSnapshot replaces the document of a snapshot; ErrNotFound if it is not
// there.
func (tx *Tx) UpdateSnapshot(id string, doc []byte) error {
	n, err := tx.exec(updateSnapshot, doc, id)
	if err != nil {
		return failed("changing "+id, err)
	}
	if n == 0 {
		return failed("changing "+id, ErrNotFound)
	}
	return nil
}

// DeleteSnapshot removes a snapshot; ErrNotFound if it is not there.
func (tx *Tx) DeleteSnapshot(id string) error { return tx.deleteOne(deleteSnapshot, id) }

func (tx *Tx) deleteOne(st statement, id string) error {
	n, err := tx.exec(st, id)
	if err != nil {
		return failed("deleting "+id, err)
	}
	if n == 0 {
		return failed("deleting "+id, ErrNotFound)
	}
	return nil
}

// Snapshot gives a snapshot.
func (tx *Tx) Snapshot(id string) (Snapshot, bool, error) {
	return one(tx, "reading "+id, selectSnapshot, scanSnapshot, id)
}

// Snapshots gives the snapshots of an account in a region, in the order of
// their IDs after one of them, at most limit.
func (tx *Tx) Snapshots(account, region, after string, limit int) ([]Snapshot, error) {
	return many(tx, "listing snapshots", listSnapshots, scanSnapshot, account, region, after, limit)
}

// ManifestInUse reports whether any snapshot, of whatever account and region,
// is made of a disk's blocks, so that they must stay.
func (tx *Tx) ManifestInUse(manifest string) (bool, error) {
	n, _, err := one(tx, "looking for the users of a manifest", manifestUsers, scanInt, manifest)
	return n > 0, err
}

// Manifests gives the manifests of all snapshots, of whatever account and
// region: the disks whose blocks must stay.
func (tx *Tx) Manifests() ([]string, error) {
	scan := func(r row) (m string, err error) { return m, r.Scan(&m) }
	return many(tx, "listing the manifests of snapshots", listManifests, scan)
}

// Held is a disk that snapshots of a region are made of.
type Held struct{ Region, Manifest string }

// HeldManifests gives the manifests of all snapshots with their regions.
func (tx *Tx) HeldManifests() ([]Held, error) {
	scan := func(r row) (h Held, err error) { return h, r.Scan(&h.Region, &h.Manifest) }
	return many(tx, "listing the manifests of snapshots", heldManifests, scan)
}
