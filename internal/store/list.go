package store

import "fmt"

// Scope says which rows of a kind a list holds.
type Scope int

const (
	Builds   Scope = iota // every build
	Versions              // the latest build of every version
	Names                 // the latest build of the newest version of every name
)

// Cursor is a place in a list: after the resource it was taken from. The zero
// Cursor is the beginning. A place stays right when that resource goes away.
type Cursor struct {
	Name    string  `json:"n,omitempty"`
	Version Version `json:"v,omitzero"`
	ID      int64   `json:"i,omitempty"` // in lists by parent
}

// Cursor is the place after r.
func (r Resource) Cursor() Cursor { return Cursor{r.Name, r.Version, r.id} }

// Query selects a page of a list. A page costs the same wherever it begins and
// however many rows there are.
type Query struct {
	Kind    Kind
	Account string
	Region  string
	Scope   Scope
	Name    string // normalised; "": all names
	Pattern *Version
	After   Cursor
	Limit   int
}

// Queries say "LIMIT ? + 0": SQLite lets the number after a plain LIMIT decide on
// the plan, and would prepare the query anew for every execution.
const listed = `kind = ? AND account = ? AND region = ? AND name <= ?`

var (
	listBuilds = define(`SELECT ` + columns + ` FROM resource WHERE ` + listed + ` AND (name, major, minor, patch, build) > (?, ?, ?, ?, ?)
		ORDER BY name, major, minor, patch, build LIMIT ? + 0`)
	listVersions = define(`SELECT ` + columns + ` FROM resource WHERE ` + listed + ` AND latest = 1 AND (name, major, minor, patch) > (?, ?, ?, ?)
		ORDER BY name, major, minor, patch LIMIT ? + 0`)
	listNames         = define(`SELECT ` + columns + ` FROM resource WHERE ` + listed + ` AND newest = 1 AND name > ? ORDER BY name LIMIT ? + 0`)
	listPatternBuilds = define(`SELECT ` + columns + ` FROM resource WHERE ` + byName + `
		AND major BETWEEN ? AND ? AND minor BETWEEN ? AND ? AND patch BETWEEN ? AND ?
		AND (major, minor, patch, build) > (?, ?, ?, ?) ORDER BY major, minor, patch, build LIMIT ? + 0`)
	lastChild    = define(`SELECT ` + columns + ` FROM resource WHERE parent = ? AND parent <> '' ORDER BY id DESC LIMIT 1`)
	listChildren = define(`SELECT ` + columns + ` FROM resource WHERE parent = ? AND parent <> '' AND id > ? ORDER BY id LIMIT ? + 0`)
)

// List gives resources in the order of name, version and build, without their
// content.
func (tx *Tx) List(q Query) ([]Resource, error) {
	doing := fmt.Sprintf("listing %ss", q.Kind)
	if q.Pattern != nil {
		return tx.listPattern(doing, q)
	}
	// The cursor is the lower bound; normalised names are made of a-z, 0-9 and
	// "-", all below "~".
	high := "~"
	if q.Name != "" {
		high = q.Name
		if q.After == (Cursor{}) {
			if q.Scope == Names {
				r, ok, err := tx.Match(Key{q.Kind, q.Account, q.Region, q.Name}, Version{Any, Any, Any, Any})
				if !ok {
					return nil, err
				}
				r.Content = nil
				return []Resource{r}, nil
			}
			q.After = Cursor{Name: q.Name, Version: Version{Major: -1}}
		}
	}
	args := []any{string(q.Kind), q.Account, q.Region, high, q.After.Name}
	v := q.After.Version
	switch q.Scope {
	case Names:
		return many(tx, doing, listNames, scanResource, append(args, q.Limit)...)
	case Versions:
		return many(tx, doing, listVersions, scanResource, append(args, v.Major, v.Minor, v.Patch, q.Limit)...)
	}
	return many(tx, doing, listBuilds, scanResource, append(args, v.Major, v.Minor, v.Patch, v.Build, q.Limit)...)
}

// listPattern lists the builds of one name whose version matches.
func (tx *Tx) listPattern(doing string, q Query) ([]Resource, error) {
	args := append(Key{q.Kind, q.Account, q.Region, q.Name}.args(), q.Pattern.ranges()[:6]...)
	after := q.After.Version
	if q.After == (Cursor{}) {
		after = Version{Major: -1}
	}
	args = append(args, after.Major, after.Minor, after.Patch, after.Build, q.Limit)
	return many(tx, doing, listPatternBuilds, scanResource, args...)
}

// Children gives the resources that came from parent, in the order in which
// they were made, after a place.
func (tx *Tx) Children(parent string, after Cursor, limit int) ([]Resource, error) {
	return many(tx, "listing what came from "+parent, listChildren, scanResource, parent, after.ID, limit)
}

// LastChild gives the resource that came from parent last.
func (tx *Tx) LastChild(parent string) (Resource, bool, error) {
	return one(tx, "looking for what came last from "+parent, lastChild, scanResource, parent)
}
