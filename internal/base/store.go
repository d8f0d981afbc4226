package base

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// Store keeps the records of parent images in a folder, one file
// NAME/VERSION/BUILD.json for each. Several processes may use it at once.
type Store struct {
	dir   string
	disks *disk.Store
	now   func() time.Time
}

// Open opens the parents in folder dir, which it makes where it is missing,
// with their disks in disks.
func Open(dir string, disks *disk.Store) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("opening parent images: %w", err)
	}
	return &Store{dir: dir, disks: disks, now: time.Now}, nil
}

// ErrBadName is returned (wrapped) for a name that a parent cannot have.
var ErrBadName = errors.New("bad name of a parent image")

// A normalized Image Builder name: what stands in ARNs.
var validName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,126}[a-z0-9])?$`)

func checkName(name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%w: %q (letters a-z, digits and dashes, 1 to 128)", ErrBadName, name)
	}
	return nil
}

// List gives all parents, by name, then newest first.
func (s *Store) List() ([]Parent, error) {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("listing parent images: %w", err)
	}
	var all []Parent
	for _, entry := range names {
		if checkName(entry.Name()) != nil || !entry.IsDir() {
			continue
		}
		parents, err := s.builds(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("listing parent images: %w", err)
		}
		all = append(all, parents...)
	}
	return all, nil
}

// Lookup gives the newest parent of a name whose version matches a pattern:
// "2026.11.21", "2026.x.x", "x.x.x" or "", or with a build at the end,
// "2026.11.21/2". ok is false if there is none.
func (s *Store) Lookup(name, pattern string) (p Parent, ok bool, err error) {
	if err := checkName(name); err != nil {
		return Parent{}, false, err
	}
	version, build, err := parsePattern(pattern)
	if err != nil {
		return Parent{}, false, err
	}
	all, err := s.builds(name)
	if err != nil {
		return Parent{}, false, fmt.Errorf("looking up parent image %s: %w", name, err)
	}
	for _, p := range all {
		if matches(p.Version, version) && (build == 0 || build == p.Build) {
			return p, true, nil
		}
	}
	return Parent{}, false, nil
}

// builds reads the records of a name, newest first.
func (s *Store) builds(name string) ([]Parent, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, name, "*.*.*", "*.json"))
	if err != nil {
		return nil, err
	}
	var all []Parent
	for _, file := range files {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var p Parent
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Parent) int {
		if c := compareVersions(b.Version, a.Version); c != 0 {
			return c
		}
		return b.Build - a.Build
	})
	return all, nil
}

// add records a parent under the next free build number of its version. The
// same disk is not recorded twice. The caller holds the name's lock.
func (s *Store) add(p Parent) (Parent, error) {
	existing, err := s.builds(p.Name)
	if err != nil {
		return Parent{}, err
	}
	p.Build = 1
	for _, e := range existing {
		if e.Version == p.Version && e.Snapshot == p.Snapshot {
			return e, nil
		}
		if e.Version == p.Version {
			p.Build = max(p.Build, e.Build+1)
		}
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return Parent{}, err
	}
	return p, writeFile(filepath.Join(s.dir, p.Name, p.Version, strconv.Itoa(p.Build)+".json"), append(data, '\n'))
}

// writeFile writes a file that is there whole or not at all.
func writeFile(name string, data []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockFile waits until it alone holds the lock file name; waiting is called
// once if it must wait. The lock ends with unlock, or with the process.
func lockFile(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", name, err), f.Close())
		}
		if !told && waiting != nil {
			waiting()
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// workFolder makes a folder for intermediate files, after removing those of
// processes that died.
func (s *Store) workFolder() (dir string, remove func(), err error) {
	all := filepath.Join(s.dir, ".work")
	if err := os.MkdirAll(all, 0o700); err != nil {
		return "", nil, err
	}
	guard, err := lockFile(context.Background(), filepath.Join(all, "lock"), nil)
	if err != nil {
		return "", nil, err
	}
	defer guard()
	entries, err := os.ReadDir(all)
	if err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		old := filepath.Join(all, e.Name())
		if f, err := os.Open(old); err == nil {
			if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				os.RemoveAll(old)
			}
			f.Close()
		}
	}
	if dir, err = os.MkdirTemp(all, "make-"); err != nil {
		return "", nil, err
	}
	f, err := os.Open(dir)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() { os.RemoveAll(dir); f.Close() }, nil
}

// parsePattern splits "x.y.z" or "x.y.z/b", where x, y and z may be "x".
func parsePattern(pattern string) (version []string, build int, err error) {
	if pattern == "" {
		return []string{"x", "x", "x"}, 0, nil
	}
	text, number, hasBuild := strings.Cut(pattern, "/")
	version = strings.Split(text, ".")
	bad := fmt.Errorf("bad version of a parent image: %q", pattern)
	if len(version) != 3 {
		return nil, 0, bad
	}
	for _, part := range version {
		if n, err := strconv.ParseUint(part, 10, 31); part != "x" && (err != nil || strconv.FormatUint(n, 10) != part) {
			return nil, 0, bad
		}
	}
	if hasBuild {
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || n == 0 {
			return nil, 0, bad
		}
		build = int(n)
	}
	return version, build, nil
}

func matches(version string, pattern []string) bool {
	parts := strings.Split(version, ".")
	if len(parts) != len(pattern) {
		return false
	}
	for i, p := range pattern {
		if p != "x" && p != parts[i] {
			return false
		}
	}
	return true
}

// compareVersions orders x.y.z by its numbers.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.ParseUint(as[i], 10, 63)
		y, _ := strconv.ParseUint(bs[i], 10, 63)
		if x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return len(as) - len(bs)
}

// dateVersion is the version of what is made at a moment.
func dateVersion(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%d.%d.%d", t.Year(), int(t.Month()), t.Day())
}
