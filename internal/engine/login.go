package engine

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/instance"
)

//go:embed authorize.sh
var authorizeScript string

// authorize lets the infrastructure's key pair log in to a new instance, as EC2
// does by way of cloud-init.
func (c *call) authorize(ctx context.Context, m *machine) error {
	if c.plan.Infrastructure.PublicKey == "" {
		return nil
	}
	user, err := c.changeLogin(ctx, m, "add")
	if err != nil {
		return fmt.Errorf("authorising the key pair %s in instance %s: %w", c.plan.Infrastructure.KeyName, m.id, err)
	}
	c.log.printf("Authorised the key pair %s for the user %s", c.plan.Infrastructure.KeyName, user)
	return nil
}

// unauthorize takes the key out again: nobody who may log in to the build
// instance is to be let in by the image.
func (c *call) unauthorize(ctx context.Context, m *machine) error {
	if c.plan.Infrastructure.PublicKey == "" {
		return nil
	}
	if _, err := c.changeLogin(ctx, m, "remove"); err != nil {
		return fmt.Errorf("removing the key pair %s from instance %s: %w", c.plan.Infrastructure.KeyName, m.id, err)
	}
	return nil
}

// changeLogin runs authorize.sh and gives what it printed, one line.
func (c *call) changeLogin(ctx context.Context, m *machine, action string) (string, error) {
	script := path.Join(m.Scratch(), "authorize.sh")
	if err := m.Put(ctx, script, 0o700, strings.NewReader(authorizeScript)); err != nil {
		return "", err
	}
	var stdout strings.Builder
	stderr := &tail{max: 4096}
	exit, err := m.Exec(ctx, instance.Command{
		Argv: []string{"/bin/sh", script, action, path.Join(m.Scratch(), "authorized")}, Stdin: strings.NewReader(c.plan.Infrastructure.PublicKey + "\n"),
		Stdout: &limited{w: &stdout, left: 256}, Stderr: stderr,
	})
	if err != nil {
		return "", err
	}
	if exit != 0 {
		return "", errors.New(exitWords(exit, stderr.String()))
	}
	return strings.ToValidUTF8(strings.TrimSpace(stdout.String()), "�"), nil
}
