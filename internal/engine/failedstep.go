package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// setting is where a program of a step ran that failed: what a person needs to
// stand where it stood.
type setting struct {
	step string   // of the workflow
	env  []string // added to the agent's own
	dir  string   // "" is "/"

	again *again // nil: it was no component
}

// again is what it takes to run components again from the step that failed.
type again struct {
	config executorConfig
	from   string // NUMBER:PHASE.STEP
	file   string // in the guest: the document that failed
}

// failedFolder is where a kept instance has its way into the failed step, below
// its scratch folder.
const failedFolder = "failed"

// settling is how long writing that may take: a guest that hangs is kept all the
// same.
const settling = 30 * time.Second

// prepareShell puts into an instance that is kept what leads a person to where
// its failed step ran, and gives the program that does it.
func (m *machine) prepareShell(ctx context.Context) ([]string, error) {
	if m.failed == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	folder := path.Join(m.Scratch(), failedFolder)
	files := map[string]string{"enter": m.failed.enterScript(folder)}
	if a := m.failed.again; a != nil {
		cfg := a.config
		cfg.ExecutionID, cfg.StateDirectory = "", "" // a run of its own: the document may be another now
		data, err := json.Marshal(cfg)
		if err != nil {
			return nil, err
		}
		files["config.json"] = string(data)
		files["retry"] = a.script(folder, m.Toe())
	}
	for name, content := range files {
		if err := m.Put(ctx, path.Join(folder, name), 0o700, strings.NewReader(content)); err != nil {
			return nil, fmt.Errorf("writing %s into instance %s: %w", name, m.id, err)
		}
	}
	// The shell itself writes the environment down, as the step's programs got it.
	cmd := command("/bin/sh", "-c", `: "${HOME:=/root}"; export HOME; export -p > "$0"`, path.Join(folder, "environment"))
	cmd.Env, cmd.Dir = m.failed.env, m.failed.dir
	stderr := &tail{max: 4096}
	cmd.Stderr = stderr
	if exit, err := m.Exec(ctx, cmd); err != nil || exit != 0 {
		return nil, fmt.Errorf("writing the environment of the failed step down in instance %s: exit status %d, %w; %s", m.id, exit, err, stderr.String())
	}
	return []string{"/bin/sh", path.Join(folder, "enter")}, nil
}

// enterScript begins a shell in the step's environment, folder and user, which
// is root. Only the terminal's name is added.
func (s *setting) enterScript(folder string) string {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#!/bin/sh")
	line(`if [ "$1" != again ]; then exec env -i ${TERM:+TERM="$TERM"} /bin/sh "$0" again; fi`)
	line(". %s", quote(path.Join(folder, "environment")))
	line("cd %s", quote(orText(s.dir, "/")))
	line("if [ -t 0 ]; then")
	line("  echo %s", quote("This is where the step "+s.step+" failed: its environment, folder and user."))
	if s.again != nil {
		line("  echo %s", quote("Its document: "+s.again.file))
		line("  echo %s", quote("Mend it and run it again from the failed step: "+path.Join(folder, "retry")+" [PHASE.STEP]"))
	}
	line("  shell=$(getent passwd root | cut -d: -f7)")
	line(`  [ -x "$shell" ] && exec "$shell"`)
	line("fi")
	line("exec /bin/sh")
	return b.String()
}

// script runs the components again from the failed step, or from another of the
// same document; what the steps before it gave comes from the last run's logs.
func (a *again) script(folder, toe string) string {
	number, _, _ := strings.Cut(a.from, ":")
	return fmt.Sprintf(`#!/bin/sh
# Runs the component again from the step that failed, then those after it.
from=%s
[ -n "$1" ] && from=%s:$1
logs=$(ls -td %s/TOE_* 2>/dev/null | head -n 1)
exec %s run --config %s --from "$from" ${logs:+--outputs-from "$logs"} --reboot-mode exit
`, quote(a.from), quote(number), quote(a.config.LogDirectory), quote(toe), quote(path.Join(folder, "config.json")))
}

// quote makes text one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// remember notes where the components ran that failed.
func (x *execution) remember(failure *componentError) {
	s := &setting{step: x.row.Name, env: x.environment(x.row, x.machine)}
	for i, doc := range x.config.Documents {
		if doc.ComponentArn == failure.ComponentARN && failure.Phase != "" && failure.Step != "" {
			s.step = fmt.Sprintf("%s of the phase %s of %s", failure.Step, failure.Phase, doc.ComponentArn)
			s.again = &again{config: x.config, from: strconv.Itoa(i+1) + ":" + failure.Phase + "." + failure.Step, file: doc.Path}
		}
	}
	x.machine.failed = s
}
