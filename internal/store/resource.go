package store

import (
	"cmp"
	"fmt"
	"time"
)

// Kind is the sort of a resource, as its ARN spells it: "component",
// "image-recipe".
type Kind string

// Key names what versions belong to: all the versions of one name.
type Key struct {
	Kind    Kind
	Account string // 12 digits
	Region  string
	Name    string // normalised
}

// Any in a node of a Version is the wildcard; as Build it also stands for a
// version that does not name its build.
const Any = -1

// Version is a semantic version and the build that the service counts.
type Version struct {
	Major, Minor, Patch, Build int64
}

// Matches reports whether v is one of those that pattern, which may hold Any,
// stands for.
func (v Version) Matches(pattern Version) bool {
	match := func(have, want int64) bool { return want == Any || have == want }
	return match(v.Major, pattern.Major) && match(v.Minor, pattern.Minor) && match(v.Patch, pattern.Patch) && match(v.Build, pattern.Build)
}

// Less reports whether v is an older version, or an older build, than w.
func (v Version) Less(w Version) bool {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch), cmp.Compare(v.Build, w.Build)) < 0
}

// Resource is a resource of the API.
type Resource struct {
	Key
	Version Version // 0.0.0/0 for kinds without versions, build 0 for recipes
	ARN     string
	Status  string
	Parent  string // ARN of what it came from, such as an image's pipeline
	Digest  string // of the content, where contents are compared
	Created time.Time
	Updated time.Time // zero: never
	Due     time.Time // when a schedule wants it next; zero: never
	Doc     []byte    // JSON
	Content []byte    // the large part; lists leave it out

	id int64
}

const (
	columns = `kind, account, region, name, major, minor, patch, build, arn, status, parent, digest, created, updated, due, id, doc`
	byName  = `kind = ? AND account = ? AND region = ? AND name = ?`
)

var (
	insertResource = define(`INSERT INTO resource (kind, account, region, name, major, minor, patch, build, latest, newest, arn, status, parent, digest, created, updated, due, doc, content)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	updateResource = define(`UPDATE resource SET status = ?, parent = ?, digest = ?, updated = ?, due = ?, doc = ? WHERE arn = ?`)
	deleteResource = define(`DELETE FROM resource WHERE arn = ?`)
	selectResource = define(`SELECT ` + columns + `, content FROM resource WHERE arn = ?`)
	matchResource  = define(`SELECT ` + columns + `, content FROM resource
		WHERE ` + byName + ` AND major BETWEEN ? AND ? AND minor BETWEEN ? AND ? AND patch BETWEEN ? AND ? AND build BETWEEN ? AND ?
		ORDER BY major DESC, minor DESC, patch DESC, build DESC LIMIT 1`)

	matchStatus = define(`SELECT ` + columns + `, content FROM resource
		WHERE ` + byName + ` AND major BETWEEN ? AND ? AND minor BETWEEN ? AND ? AND patch BETWEEN ? AND ? AND build BETWEEN ? AND ? AND status = ?
		ORDER BY major DESC, minor DESC, patch DESC, build DESC LIMIT 1`)

	// The flags say which rows the lists of versions and of names have.
	selectTops = define(`SELECT 0, major, minor, patch, build FROM resource WHERE ` + byName + ` AND major = ? AND minor = ? AND patch = ? AND latest = 1
		UNION ALL SELECT 1, major, minor, patch, build FROM resource WHERE ` + byName + ` AND newest = 1`)
	selectLatest = define(`SELECT major, minor, patch, build FROM resource WHERE ` + byName + ` AND major = ? AND minor = ? AND patch = ? AND latest = 1`)
	clearLatest  = define(`UPDATE resource SET latest = 0 WHERE ` + byName + ` AND major = ? AND minor = ? AND patch = ? AND latest = 1`)
	setLatest    = define(`UPDATE resource SET latest = 1 WHERE id = (SELECT id FROM resource WHERE ` + byName + ` AND major = ? AND minor = ? AND patch = ? ORDER BY build DESC LIMIT 1)`)
	clearNewest  = define(`UPDATE resource SET newest = 0 WHERE ` + byName + ` AND newest = 1`)
	setNewest    = define(`UPDATE resource SET newest = 1 WHERE id = (SELECT id FROM resource WHERE ` + byName + ` ORDER BY major DESC, minor DESC, patch DESC, build DESC LIMIT 1)`)

	addCount    = define(`INSERT INTO resource_count (kind, account, region, n) VALUES (?, ?, ?, ?) ON CONFLICT (kind, account, region) DO UPDATE SET n = resource_count.n + excluded.n`)
	selectCount = define(`SELECT n FROM resource_count WHERE kind = ? AND account = ? AND region = ?`)
	countStatus = define(`SELECT COUNT(*) FROM resource WHERE kind = 'image' AND account = ? AND region = ? AND status = ? AND status <> ''`)
	nextBuild   = define(`INSERT INTO build_number (kind, account, region, name, major, minor, patch, n) VALUES (?, ?, ?, ?, ?, ?, ?, 1)
		ON CONFLICT (kind, account, region, name, major, minor, patch) DO UPDATE SET n = build_number.n + 1 RETURNING n`)
	selectDue = define(`SELECT ` + columns + ` FROM resource WHERE kind = ? AND due > 0 AND due <= ? ORDER BY due LIMIT ? + 0`)
)

func scanResource(r row) (Resource, error) { return scanColumns(r) }
func scanResourceAndContent(r row) (x Resource, err error) {
	var content []byte
	x, err = scanColumns(r, &content)
	x.Content = content
	return x, err
}

func scanColumns(r row, more ...any) (x Resource, err error) {
	var created, updated, due int64
	dest := []any{&x.Kind, &x.Account, &x.Region, &x.Name, &x.Version.Major, &x.Version.Minor, &x.Version.Patch, &x.Version.Build,
		&x.ARN, &x.Status, &x.Parent, &x.Digest, &created, &updated, &due, &x.id, &x.Doc}
	err = r.Scan(append(dest, more...)...)
	x.Created, x.Updated, x.Due = fromMillis(created), fromMillis(updated), fromMillis(due)
	return x, err
}

func (k Key) args(more ...any) []any {
	return append([]any{string(k.Kind), k.Account, k.Region, k.Name}, more...)
}

// Insert adds a resource; ErrExists if its ARN or its name and version are
// taken.
func (tx *Tx) Insert(r Resource) error {
	doing, v := "inserting "+r.ARN, r.Version
	tops, err := many(tx, doing, selectTops, scanTop, append(r.args(v.Major, v.Minor, v.Patch), r.args()...)...)
	if err != nil {
		return err
	}
	var versionExists, nameExists bool
	var before, top Version // the highest build of the version, and of the name
	for _, t := range tops {
		if t.ofName {
			top, nameExists = t.Version, true
		} else {
			before, versionExists = t.Version, true
		}
	}
	latest, newest := !versionExists || before.Less(v), !nameExists || top.Less(v)
	if latest && versionExists {
		if err := tx.later(clearLatest, r.args(v.Major, v.Minor, v.Patch)...); err != nil {
			return failed(doing, err)
		}
	}
	if newest && nameExists {
		if err := tx.later(clearNewest, r.args()...); err != nil {
			return failed(doing, err)
		}
	}
	args := r.args(v.Major, v.Minor, v.Patch, v.Build, flag(latest), flag(newest), r.ARN, r.Status, r.Parent, r.Digest, millis(r.Created), millis(r.Updated), millis(r.Due), r.Doc, r.Content)
	if _, err := tx.exec(insertResource, args...); err != nil {
		return failed(doing, err)
	}
	if versionExists {
		return nil
	}
	if err := tx.later(addCount, string(r.Kind), r.Account, r.Region, 1); err != nil {
		return failed(doing, err)
	}
	return nil
}

// flagged is a row that lists of versions, or of names, have.
type flagged struct {
	Version
	ofName bool
}

func scanTop(r row) (t flagged, err error) {
	var which int64
	err = r.Scan(&which, &t.Major, &t.Minor, &t.Patch, &t.Build)
	t.ofName = which == 1
	return t, err
}

// flag is a truth as both databases store it.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func scanVersion(r row) (v Version, err error) {
	return v, r.Scan(&v.Major, &v.Minor, &v.Patch, &v.Build)
}

// Update replaces the status, parent, digest, times and document of the
// resource with r's ARN. Its content never changes. ErrNotFound if it is not
// there.
func (tx *Tx) Update(r Resource) error {
	n, err := tx.exec(updateResource, r.Status, r.Parent, r.Digest, millis(r.Updated), millis(r.Due), r.Doc, r.ARN)
	if err != nil {
		return failed("updating "+r.ARN, err)
	}
	if n == 0 {
		return fmt.Errorf("updating %s: %w", r.ARN, ErrNotFound)
	}
	return nil
}

// Delete removes a resource and the references that it makes, but not those
// made to it. ErrNotFound if it is not there.
func (tx *Tx) Delete(arn string) error {
	r, ok, err := tx.Resource(arn)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("deleting %s: %w", arn, ErrNotFound)
	}
	if _, err := tx.exec(deleteResource, arn); err != nil {
		return failed("deleting "+arn, err)
	}
	version := r.args(r.Version.Major, r.Version.Minor, r.Version.Patch)
	if _, err := tx.exec(setLatest, version...); err != nil {
		return failed("deleting "+arn, err)
	}
	if _, err := tx.exec(setNewest, r.args()...); err != nil {
		return failed("deleting "+arn, err)
	}
	_, more, err := one(tx, "deleting "+arn, selectLatest, scanVersion, version...)
	if err != nil || more {
		return err
	}
	if err := tx.later(addCount, string(r.Kind), r.Account, r.Region, -1); err != nil {
		return failed("deleting "+arn, err)
	}
	return nil
}

func scanInt(r row) (n int64, err error) { return n, r.Scan(&n) }

// Resource gives the resource with an ARN.
func (tx *Tx) Resource(arn string) (Resource, bool, error) {
	return one(tx, "reading "+arn, selectResource, scanResourceAndContent, arn)
}

// Match gives the highest version of a name that matches the pattern.
func (tx *Tx) Match(k Key, pattern Version) (Resource, bool, error) {
	return one(tx, fmt.Sprintf("resolving %s %s", k.Kind, k.Name), matchResource, scanResourceAndContent, append(k.args(), pattern.ranges()...)...)
}

// MatchStatus gives the highest version of a name that matches the pattern and
// has a status.
func (tx *Tx) MatchStatus(k Key, pattern Version, status string) (Resource, bool, error) {
	args := append(k.args(), pattern.ranges()...)
	return one(tx, fmt.Sprintf("resolving %s %s", k.Kind, k.Name), matchStatus, scanResourceAndContent, append(args, status)...)
}

// ranges are the lowest and the highest value that a pattern allows in each
// node.
func (v Version) ranges() []any {
	var all []any
	for _, node := range []int64{v.Major, v.Minor, v.Patch, v.Build} {
		if node == Any {
			all = append(all, 0, int64(1<<62))
		} else {
			all = append(all, node, node)
		}
	}
	return all
}

// NextBuild gives the next build number of a version: 1 for the first, and
// never one that was given before, even if that build was deleted.
func (tx *Tx) NextBuild(k Key, v Version) (int64, error) {
	n, _, err := one(tx, fmt.Sprintf("numbering a build of %s %s", k.Kind, k.Name), nextBuild, scanInt, k.args(v.Major, v.Minor, v.Patch)...)
	return n, err
}

// Count gives the number of versions (not builds) of a kind.
func (tx *Tx) Count(kind Kind, account, region string) (int64, error) {
	n, _, err := one(tx, "counting", selectCount, scanInt, string(kind), account, region)
	return n, err
}

// CountImages gives the number of images in any of some states.
func (tx *Tx) CountImages(account, region string, statuses ...string) (int64, error) {
	var sum int64
	for _, status := range statuses {
		n, _, err := one(tx, "counting images", countStatus, scanInt, account, region, status)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// DueBy gives the resources of a kind whose Due has come, the longest waiting
// first, at most limit of them.
func (tx *Tx) DueBy(kind Kind, now time.Time, limit int) ([]Resource, error) {
	return many(tx, "looking for due schedules", selectDue, scanResource, string(kind), millis(now), limit)
}
