package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// together are the folders that all who share a database must see, by their names
// in a data folder.
var together = []string{"objects", "parents", "logs", "s3", "keys"}

// Share puts the objects, parents, logs, buckets and keys of this data folder into a
// folder that several machines have mounted: the data folder gets links to them.
// It moves nothing: a folder that already has something of its own is refused.
// The file system below shared must have locks that hold between machines, as
// NFS version 4 has. The caller holds the folder's lock.
func (d Dir) Share(shared string) error {
	shared, err := filepath.Abs(shared)
	if err != nil {
		return fmt.Errorf("the shared folder %s: %w", shared, err)
	}
	if info, err := os.Stat(shared); err != nil || !info.IsDir() {
		return fmt.Errorf("the shared folder %s is not there: mount or make it first", shared)
	}
	for _, name := range together {
		target := filepath.Join(shared, name)
		if err := os.MkdirAll(target, 0o700); err != nil {
			return fmt.Errorf("making the shared folder: %w", err)
		}
		if err := d.link(name, target); err != nil {
			return err
		}
	}
	// Whoever collects unused blocks keeps out those who write them.
	if err := os.MkdirAll(d.Cache(), 0o700); err != nil {
		return fmt.Errorf("making the cache: %w", err)
	}
	return d.link(filepath.Join("cache", "collect.lock"), filepath.Join(shared, "collect.lock"))
}

// link makes name in the data folder a link to target, if it is nothing of its
// own.
func (d Dir) link(name, target string) error {
	own := d.in(name)
	if at, err := os.Readlink(own); err == nil && at == target {
		return nil
	}
	info, err := os.Lstat(own)
	if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		return fmt.Errorf("%s is not empty: move it away", own)
	}
	if err == nil {
		err = os.Remove(own) // an empty folder or file, or a link to elsewhere
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the data folder has %s of its own, which %s is to hold: move it there or away: %w", name, target, err)
	}
	if err := os.Symlink(target, own); err != nil {
		return fmt.Errorf("linking the shared folder: %w", err)
	}
	return nil
}

// resolved is a folder that Share may have made a link of: walks do not follow a
// link that they begin at.
func (d Dir) resolved(name string) string {
	if target, err := os.Readlink(d.in(name)); err == nil && filepath.IsAbs(target) {
		return target
	}
	return d.in(name)
}
