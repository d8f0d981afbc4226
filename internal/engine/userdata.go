package engine

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

//go:embed userdata.sh
var userDataScript string

// forCloudInit is userdata.sh's exit status for user data that nothing in the
// image can run.
const forCloudInit = 99

// runUserData runs the recipe's user data in a build instance that has just been
// launched. As with EC2, that it fails is no failure of the launch: it is in the
// logs. User data that nothing there can run is one, since the image would be
// another than was asked for.
func (c *call) runUserData(ctx context.Context, m *machine) error {
	if c.plan.UserData == "" || c.Type != string(workflow.Build) {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(c.plan.UserData)
	if err != nil {
		return fmt.Errorf("the user data is not base64: %w", err)
	}
	logs, err := c.log.stepDir(c.row.WorkflowExecutionID, c.row.Name)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(logs, "user-data.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of the user data: %w", err)
	}
	defer file.Close()
	runner, name := path.Join(m.Scratch(), "userdata.sh"), path.Join(m.Scratch(), "user-data", "data")
	if err := errors.Join(m.Put(ctx, runner, 0o700, strings.NewReader(userDataScript)), m.Put(ctx, name, 0o600, strings.NewReader(string(data)))); err != nil {
		return fmt.Errorf("putting the user data into instance %s: %w", m.id, err)
	}
	c.log.printf("Running the user data")
	console := &stepConsole{w: file, left: maxLogs}
	stderr := &tail{max: 4096}
	exit, err := m.Exec(ctx, instance.Command{
		Argv: []string{"/bin/sh", runner, name, m.id}, Env: []string{"HOME=/root"}, Stdout: console, Stderr: io.MultiWriter(console, stderr),
	})
	switch {
	case err != nil:
		return fmt.Errorf("running the user data in instance %s: %w", m.id, err)
	case exit == forCloudInit && strings.Contains(stderr.String(), "is for cloud-init"):
		return fmt.Errorf("the user data is for cloud-init, and the image of instance %s has none: install cloud-init in the parent, or let the user data begin with #! and an interpreter", m.id)
	case exit != 0:
		c.log.printf("The user data ended with exit status %d; the build goes on, as an instance does: %s", exit, lastLines(stderr.String(), 400))
	default:
		c.log.printf("The user data has run")
	}
	return nil
}

// cleanUpIsAsked tells whether the clean-up is to run: user data of the recipe's
// own turns it off unless it leaves the file perform_cleanup in the working
// directory (User Guide, "Security best practices for Image Builder").
func (c *call) cleanUpIsAsked(ctx context.Context, m *machine) (bool, error) {
	if c.plan.UserData == "" {
		return true, nil
	}
	exit, err := m.Exec(ctx, command("test", "-e", path.Join(c.plan.WorkingDir, "perform_cleanup")))
	if err != nil {
		return false, fmt.Errorf("looking for perform_cleanup: %w", err)
	}
	return exit == 0, nil
}
