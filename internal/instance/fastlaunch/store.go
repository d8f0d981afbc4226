package fastlaunch

import (
	"context"
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
)

// Most is how many copies of a disk are kept, however many are asked for: each
// may take as much of the host's disk as the image has data.
const Most = 4

// Machine begins the names of folders of machines that run from a copy that
// they took; one of a dead process goes with Keep, when it is abandoned.
const Machine = "goldsmith-boot-"

const abandoned = 7 * 24 * time.Hour

// Store is a folder of ready copies. Several processes may use it at a time.
type Store struct {
	Dir    string
	Volume func(ctx context.Context, snapshot, file string) error // writes a snapshot's disk into a new file
	Spare  int64                                                  // bytes that must stay free beside a copy
}

// digest is what a snapshot's name looks like once it is a folder's.
var digest = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func (s *Store) folder(snapshot string) (string, error) {
	name := strings.ReplaceAll(snapshot, ":", "-")
	if !digest.MatchString(name) {
		return "", fmt.Errorf("%q is not the name of a snapshot", snapshot)
	}
	return filepath.Join(s.Dir, name), nil
}

// file is the n-th copy in a folder.
func file(folder string, n int) string { return filepath.Join(folder, strconv.Itoa(n)+".raw") }

const unfinished = ".tmp-"

// Prepare sees to it that there are as many copies as wanted, at most Most. A
// copy appears whole or not at all.
func (s *Store) Prepare(ctx context.Context, snapshot string, wanted int) error {
	folder, err := s.folder(snapshot)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("preparing fast launch: %w", err)
	}
	for n := range min(wanted, Most) {
		if _, err := os.Lstat(file(folder, n)); err == nil {
			continue
		}
		if err := s.add(ctx, snapshot, folder, n); err != nil {
			return fmt.Errorf("preparing fast launch: %w", err)
		}
	}
	return nil
}

func (s *Store) add(ctx context.Context, snapshot, folder string, n int) (err error) {
	if err := s.room(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(folder, unfinished)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := filepath.Join(dir, "disk.raw")
	if err := s.Volume(ctx, snapshot, made); err != nil {
		return err
	}
	return os.Rename(made, file(folder, n))
}

// room refuses a copy where the disk is nearly full.
func (s *Store) room() error {
	var st unix.Statfs_t
	if err := unix.Statfs(s.Dir, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * st.Bsize; free < s.Spare {
		return fmt.Errorf("%w: %.1f GiB are free, and %.1f have to be", unix.ENOSPC, float64(free)/(1<<30), float64(s.Spare)/(1<<30))
	}
	return nil
}

// Take moves a copy to a new file on the same file system; ok is false if there
// is none. Of two who take at once, each gets another.
func (s *Store) Take(snapshot, to string) (ok bool, err error) {
	folder, err := s.folder(snapshot)
	if err != nil {
		return false, err
	}
	for n := range Most {
		err := os.Rename(file(folder, n), to)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("taking a copy for fast launch: %w", err)
		}
	}
	return false, nil
}

// Count tells how many copies there are.
func (s *Store) Count(snapshot string) int {
	folder, err := s.folder(snapshot)
	if err != nil {
		return 0
	}
	found := 0
	for n := range Most {
		if _, err := os.Lstat(file(folder, n)); err == nil {
			found++
		}
	}
	return found
}

// Forget removes the copies of a snapshot.
func (s *Store) Forget(snapshot string) error {
	folder, err := s.folder(snapshot)
	if err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

// Keep removes the copies of all other snapshots.
func (s *Store) Keep(snapshots []string) error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var wanted []string
	for _, snapshot := range snapshots {
		wanted = append(wanted, strings.ReplaceAll(snapshot, ":", "-"))
	}
	var failed []error
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), Machine) && time.Since(info.ModTime()) < abandoned {
			continue
		}
		if !slices.Contains(wanted, e.Name()) {
			failed = append(failed, os.RemoveAll(filepath.Join(s.Dir, e.Name())))
		}
	}
	return errors.Join(failed...)
}
