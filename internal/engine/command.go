package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// command is a program to run in an instance whose output does not matter.
func command(argv ...string) instance.Command { return instance.Command{Argv: argv} }

// maxCommandOutput is how much of a command's output its step gives, in bytes,
// as Systems Manager cuts it; console.log in the step's log folder has more.
const maxCommandOutput = 24_000

// shellParameters are those of the document AWS-RunShellScript.
var shellParameters = []string{"commands", "workingDirectory", "executionTimeout"}

// runCommand is the action RunCommand: the commands of AWS-RunShellScript run as
// one script, as root. Its output is a list with what the script printed, the
// line ends at the end left out.
func runCommand(ctx context.Context, c *call) (result, error) {
	if why := workflow.RefuseCommandDocument(c.str("documentName")); why != "" {
		return result{}, errors.New(why)
	}
	m, err := c.instance()
	if err != nil {
		return result{}, err
	}
	parameters, _ := c.inputs["parameters"].(map[string]any)
	for name := range parameters {
		if !slices.Contains(shellParameters, name) {
			return result{}, fmt.Errorf("AWS-RunShellScript has no parameter '%s'; it has %s", name, strings.Join(shellParameters, ", "))
		}
	}
	lines := texts(parameters["commands"])
	if len(lines) == 0 {
		return result{}, fmt.Errorf("AWS-RunShellScript needs the parameter 'commands'")
	}
	limit := time.Hour // the document's default
	if given := texts(parameters["executionTimeout"]); len(given) > 0 {
		seconds, err := strconv.Atoi(given[0])
		if err != nil || seconds < 1 || seconds > 172800 {
			return result{}, fmt.Errorf("executionTimeout is '%s'; it must be 1 to 172800 seconds", given[0])
		}
		limit = time.Duration(seconds) * time.Second
	}
	dir := ""
	if given := texts(parameters["workingDirectory"]); len(given) > 0 {
		dir = given[0]
	}
	return c.runScript(ctx, m, strings.Join(lines, "\n")+"\n", dir, limit)
}

// runScript puts a script into the instance and runs it. A first line with "#!"
// names its interpreter; the default is /bin/sh.
func (c *call) runScript(ctx context.Context, m *machine, script, dir string, limit time.Duration) (result, error) {
	logs, err := c.log.stepDir(c.row.WorkflowExecutionID, c.row.Name)
	if err != nil {
		return result{}, err
	}
	file, err := os.OpenFile(filepath.Join(logs, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return result{}, fmt.Errorf("opening the step's console log: %w", err)
	}
	defer file.Close()
	name := path.Join(m.Scratch(), c.row.ID, "_script.sh")
	if err := m.Put(ctx, name, 0o700, strings.NewReader(script)); err != nil {
		return result{}, fmt.Errorf("putting the commands into the instance: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the commands took longer than their executionTimeout of %d seconds", int(limit.Seconds())))
	defer cancel()
	console := &stepConsole{w: file, left: maxLogs}
	var stdout strings.Builder
	stderr := &tail{max: 4096}
	exit, err := m.Exec(ctx, instance.Command{
		Argv: []string{"/bin/sh", "-c", name}, Dir: dir, Env: c.environment(c.row, m),
		Stdout: io.MultiWriter(console, &limited{w: &stdout, left: maxCommandOutput}), Stderr: io.MultiWriter(console, stderr),
	})
	if err != nil {
		return result{}, fmt.Errorf("running the commands: %w", errors.Join(context.Cause(ctx), err))
	}
	if exit != 0 {
		m.failed = &setting{step: c.row.Name, env: c.environment(c.row, m), dir: dir}
		return result{}, commandFailed("Command failed (command id: %s, state: Failed): %s", c.row.ID, exitWords(exit, stderr.String()))
	}
	return c.commandDone([]any{strings.ToValidUTF8(strings.TrimRight(stdout.String(), "\r\n"), "�")}), nil
}

// commandFailed is an error in the words of Amazon's image logs.
func commandFailed(format string, args ...any) error { return fmt.Errorf(format, args...) }
