package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk/loop"
)

// Sweep is instance.Kind's Sweep. The kernel has removed processes, mounts and
// loop devices by itself when the server died; mounts are looked for all the
// same.
func (k *Kind) Sweep(ctx context.Context, dir string) error {
	return layout.Sweep(ctx, dir, k.opts.Log, unmountBelow)
}

// unmountBelow detaches what is mounted below a folder in this mount namespace.
func unmountBelow(dir string) error {
	points, err := loop.Points(func(point, _ string) bool { return strings.HasPrefix(point, dir+"/") })
	failed := []error{err}
	for _, p := range points {
		if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
			failed = append(failed, fmt.Errorf("unmounting %s: %w", p, err))
		}
	}
	return errors.Join(failed...)
}
