package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/loop"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
)

// Sweep is instance.Kind's Sweep. The kernel has removed processes, mounts and
// loop devices by itself when the server died; what is left are empty control
// groups. It looks for the rest nevertheless.
func (k *Kind) Sweep(_ context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, alive := living.Load(dir); alive {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping %s: %w", dir, err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		// It is written before anything else is made: half a record means that
		// there is nothing to remove.
		k.opts.Log.Warn("record of a dead instance is incomplete", "dir", dir, "error", err)
	}
	var failed []error
	points, err := loop.Points(func(point, _ string) bool { return strings.HasPrefix(point, dir+"/") })
	failed = append(failed, err)
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
			failed = append(failed, fmt.Errorf("unmounting %s: %w", p, err))
		}
	}
	failed = append(failed, cgroup.Remove(r.Groups))
	for _, name := range leftovers {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("sweeping %s: %w", dir, err)
	}
	return nil
}
