package base

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// ErrCannotBuild is returned (wrapped) when a parent cannot be bootstrapped on
// this machine; the message says what would help.
var ErrCannotBuild = errors.New("cannot build this parent image here")

// BuildOptions say how a parent is built. The zero value is good.
type BuildOptions struct {
	// Mirror is the URL of a package archive; "" takes those of the machine's
	// own settings.
	Mirror string
	// Cache is a folder that keeps finished disks between data folders; ""
	// keeps none. A disk there that is younger than MaxAge and was made the
	// same way is used instead of a new bootstrap.
	Cache  string
	MaxAge time.Duration // 0: seven days
	// Progress is told what is being done, a line at a time.
	Progress func(line string)
}

// recipeVersion changes when the code makes another disk of the same packages.
const recipeVersion = 1

// Build makes the parent called name, such as "debian-12-x86", and records it.
// It needs root, and waits for another build of the same name to end. When it
// fails or dies nothing is left but a work folder that the next one removes.
func (s *Store) Build(ctx context.Context, name string, opts BuildOptions) (Parent, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	if opts.MaxAge == 0 {
		opts.MaxAge = 7 * 24 * time.Hour
	}
	p, err := s.build(ctx, name, opts)
	if err != nil {
		return Parent{}, fmt.Errorf("building parent image %s: %w", name, err)
	}
	return p, nil
}

func (s *Store) build(ctx context.Context, name string, opts BuildOptions) (Parent, error) {
	d, sources, err := plan(name, opts.Mirror)
	if err != nil {
		return Parent{}, err
	}
	waiting := func() { opts.Progress("waiting for another build of " + name) }
	unlock, err := lockFile(ctx, filepath.Join(s.dir, name, ".lock"), waiting)
	if err != nil {
		return Parent{}, err
	}
	defer unlock()
	work, remove, err := s.workFolder()
	if err != nil {
		return Parent{}, err
	}
	defer remove()
	cache, unlock, err := openBuildCache(ctx, opts.Cache, d, sources, waiting)
	if err != nil {
		return Parent{}, err
	}
	defer unlock()
	if p, ok := cache.take(ctx, s.now().Add(-opts.MaxAge), filepath.Join(work, "disk.raw")); ok {
		opts.Progress("using the cached disk of " + p.Created.Format(time.RFC3339))
		stored, err := s.keep(ctx, p, filepath.Join(work, "disk.raw"))
		if err == nil && stored.Snapshot == p.Snapshot {
			return s.add(stored)
		}
		if ctx.Err() != nil {
			return Parent{}, ctx.Err()
		}
		opts.Progress("the cached disk is damaged; building a new one")
		remove()
		if work, remove, err = s.workFolder(); err != nil {
			return Parent{}, err
		}
		defer remove()
	}
	return s.bootstrap(ctx, d, sources, work, cache, opts.Progress)
}

// plan decides what is bootstrapped from where, or why it cannot be.
func plan(name, mirror string) (distribution, []aptSource, error) {
	var d distribution
	var known []string
	for _, candidate := range distributions {
		known = append(known, candidate.name)
		if candidate.name == name {
			d = candidate
		}
	}
	if d.name == "" {
		return d, nil, fmt.Errorf("%w: known are %s; others are imported with: goldsmith base import FILE|URL --name %s",
			ErrCannotBuild, strings.Join(known, ", "), name)
	}
	if os.Geteuid() != 0 {
		return d, nil, fmt.Errorf("%w: bootstrapping needs root", ErrCannotBuild)
	}
	if missing := MissingTools(); len(missing) > 0 {
		return d, nil, fmt.Errorf("%w: tools are missing; install them with: apt-get install %s", ErrCannotBuild, strings.Join(missing, " "))
	}
	if mirror != "" {
		sources, err := mirrorSources(mirror, d.release)
		return d, sources, err
	}
	all, err := readSources("/etc/apt")
	if err != nil {
		return d, nil, err
	}
	sources := debianSources(all, d.release)
	if len(sources) == 0 {
		return d, nil, fmt.Errorf("%w: /etc/apt names no archive of Debian; give one with --mirror", ErrCannotBuild)
	}
	return d, sources, nil
}

func (s *Store) bootstrap(ctx context.Context, d distribution, sources []aptSource, work string, cache *buildCache, progress func(string)) (Parent, error) {
	now := s.now().UTC()
	b := bootstrap{distribution: d, sources: sources, work: work, epoch: now.Truncate(24 * time.Hour), progress: progress}
	m, err := b.run(ctx)
	if err != nil {
		return Parent{}, err
	}
	progress("storing the disk")
	p := Parent{
		Name: d.name, Version: dateVersion(now), OSVersion: d.osVersion, Platform: "Linux", Architecture: "x86_64",
		RootDevice: "/dev/xvda", RootOffset: rootOffset, RootUUID: m.ids.filesystem.String(),
		BootModes: []string{"legacy-bios", "uefi"}, CommandLine: commandLine,
		Created: now.Truncate(time.Second), Origin: fmt.Sprintf("bootstrapped from %d package archives of %s", len(sources), d.release),
		Packages: m.packages,
	}
	cacheErr := cache.put(ctx, m.disk)
	if p, err = s.keep(ctx, p, m.disk); err != nil {
		return Parent{}, err
	}
	if cacheErr == nil {
		cacheErr = cache.record(p)
	}
	if cacheErr != nil {
		progress("the disk could not be cached: " + cacheErr.Error())
	}
	return s.add(p)
}

// keep stores the disk in file, which is used up, and notes it in the record.
func (s *Store) keep(ctx context.Context, p Parent, file string) (Parent, error) {
	snap, err := s.disks.Snapshot(ctx, file, "")
	if err != nil {
		return p, err
	}
	p.Snapshot, p.Size = snap.ID, snap.VolumeSize
	return p, s.disks.Adopt(ctx, snap.ID, file)
}

// buildCache keeps the last disk of a distribution: NAME.raw and NAME.json. A
// nil cache keeps nothing.
type buildCache struct {
	raw, json string
	recipe    string // digest of how the disk is made
}

// cacheRecord vouches for the raw file: its snapshot id is checked when the
// disk is stored.
type cacheRecord struct {
	Recipe string `json:"recipe"`
	Parent Parent `json:"parent"`
}

func openBuildCache(ctx context.Context, dir string, d distribution, sources []aptSource, waiting func()) (*buildCache, func(), error) {
	if dir == "" {
		return nil, func() {}, nil
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, d.name+".lock"), waiting)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the cache: %w", err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "recipe %d\n%+v\n%+v\n%q\n", recipeVersion, d, debianFiles(identifiers{}, sources), sources)
	return &buildCache{
		raw: filepath.Join(dir, d.name+".raw"), json: filepath.Join(dir, d.name+".json"),
		recipe: hex.EncodeToString(h.Sum(nil)),
	}, unlock, nil
}

// take copies the cached disk to file if there is one made the same way since
// the given time.
func (c *buildCache) take(ctx context.Context, since time.Time, file string) (Parent, bool) {
	if c == nil {
		return Parent{}, false
	}
	data, err := os.ReadFile(c.json)
	if err != nil {
		return Parent{}, false
	}
	var r cacheRecord
	if json.Unmarshal(data, &r) != nil || r.Recipe != c.recipe || r.Parent.Created.Before(since) {
		return Parent{}, false
	}
	_, err = disk.CopyFile(ctx, c.raw, file)
	return r.Parent, err == nil
}

// put copies a new disk into the cache; record makes it count.
func (c *buildCache) put(ctx context.Context, file string) error {
	if c == nil {
		return nil
	}
	if err := os.Remove(c.json); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Remove(c.raw); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, err := disk.CopyFile(ctx, file, c.raw)
	return err
}

func (c *buildCache) record(p Parent) error {
	if c == nil {
		return nil
	}
	data, err := json.MarshalIndent(cacheRecord{Recipe: c.recipe, Parent: p}, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(c.json, data)
}
