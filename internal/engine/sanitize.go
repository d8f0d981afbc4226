package engine

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

//go:embed sanitize.sh
var sanitizeScript string

// sanitizeInstance is the action SanitizeInstance: host keys, the machine id,
// logs and caches leave the volume before it becomes an image.
func sanitizeInstance(ctx context.Context, c *call) (result, error) {
	m, err := c.instance()
	if err != nil {
		return result{}, err
	}
	if err := c.unauthorize(ctx, m); err != nil {
		return result{}, err
	}
	asked, err := c.cleanUpIsAsked(ctx, m)
	if err != nil {
		return result{}, err
	}
	if !asked {
		return result{skipped: "the recipe has user data of its own, which did not leave the file perform_cleanup in " + c.plan.WorkingDir}, nil
	}
	script := path.Join(m.Scratch(), "sanitize.sh")
	if err := m.Put(ctx, script, 0o700, strings.NewReader(sanitizeScript)); err != nil {
		return result{}, fmt.Errorf("putting the clean-up script into the instance: %w", err)
	}
	stderr := &tail{max: 4096}
	exit, err := m.Exec(ctx, instance.Command{Argv: []string{"/bin/sh", script, c.plan.WorkingDir}, Stderr: stderr})
	if err != nil {
		return result{}, fmt.Errorf("cleaning the instance up: %w", err)
	}
	if exit != 0 {
		return result{}, fmt.Errorf("cleaning the instance up: %s", exitWords(exit, stderr.String()))
	}
	return c.commandDone(""), nil
}
