package engine

import (
	"bytes"
	"context"
	"encoding/json"
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
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// exitReboot is the executor's exit status that asks its caller to reboot the
// machine and run it again (User Guide, AWSTOE "Reboot").
const exitReboot = 194

// maxReboots bounds how often one run of components may reboot its instance,
// as the SSM agent's default does.
const maxReboots = 15

// afterwards is how long looking at an instance after its components have run
// may take: what became of them is known, and a guest that hangs cannot hide it.
const afterwards = 5 * time.Minute

// phasesOf are the phases that each stage runs (User Guide, "How Image Builder
// works with components").
var phasesOf = map[string][]string{
	"BUILD": {"build", "validate"},
	"TEST":  {"test"},
}

// executeComponents is the action ExecuteComponents: it runs the stage's phases
// of every component, in the recipe's order, in one run of the executor.
func executeComponents(ctx context.Context, c *call) (result, error) {
	m, err := c.instance()
	if err != nil {
		return result{}, err
	}
	docs := c.plan.documents(c.Type)
	if len(docs) == 0 {
		c.log.printf("No component has a phase for this stage: %s", strings.Join(phasesOf[c.Type], ", "))
		return c.commandDone(""), nil
	}
	p := m.progress
	if m.progress = nil; p != nil {
		err = c.executeKeeping(ctx, m, p, docs)
	} else {
		err = c.execution(m, docs, "").run(ctx)
	}
	if err != nil {
		return result{}, err
	}
	return c.commandDone(""), nil
}

// execution is one run of the executor with components; part names it where the
// step has several.
func (c *call) execution(m *machine, docs []Component, part string) *execution {
	return &execution{call: c, machine: m, docs: docs, part: part, base: path.Join(m.Scratch(), c.row.ID, part)}
}

// run runs the components.
func (x *execution) run(ctx context.Context) error {
	if err := x.place(ctx); err != nil {
		return err
	}
	return x.execute(ctx)
}

// documents are the components that have a phase of the stage.
func (p *Plan) documents(kind string) []Component {
	var docs []Component
	for _, comp := range p.Components {
		if comp.runsIn(kind) {
			docs = append(docs, comp)
		}
	}
	return docs
}

// runsIn reports whether a component has a phase of the stage.
func (c *Component) runsIn(kind string) bool {
	return slices.ContainsFunc(phasesOf[kind], func(phase string) bool { return slices.Contains(c.Phases, phase) })
}

// executorConfig is the executor's configuration file (docs/executor.md).
type executorConfig struct {
	ExecutionID    string             `json:"executionId,omitempty"`
	Phases         string             `json:"phases"`
	LogDirectory   string             `json:"logDirectory"`
	StateDirectory string             `json:"stateDirectory,omitempty"`
	Documents      []executorDocument `json:"documents"`
}

// executorDocument is a document in it.
type executorDocument struct {
	Path         string      `json:"path"`
	ComponentArn string      `json:"componentArn"`
	Parameters   []Parameter `json:"parameters,omitempty"`
}

// execution is one run of the executor in an instance.
type execution struct {
	*call
	machine *machine
	docs    []Component
	part    string // names it where its step has several; "" otherwise
	base    string // folder in the guest: documents, configuration, state, logs
	dir     string // the step's log folder on the host
	config  executorConfig

	fetched *fetches  // gets what the components got from elsewhere; nil: nobody wants to know
	copy    io.Writer // gets what the console gets; nil: nobody
}

// place puts the documents and the executor's configuration into the guest.
func (x *execution) place(ctx context.Context) (err error) {
	if x.dir, err = x.log.stepDir(x.row.WorkflowExecutionID, x.row.Name); err != nil {
		return err
	}
	cfg := executorConfig{ExecutionID: strings.TrimSuffix(x.row.ID+"-"+x.part, "-"), Phases: strings.Join(phasesOf[x.Type], ","), LogDirectory: path.Join(x.base, "logs"), StateDirectory: path.Join(x.base, "state")}
	for i, comp := range x.docs {
		file := path.Join(x.base, "documents", strconv.Itoa(i)+"-"+path.Base(comp.Name)+".yaml")
		if err := x.machine.Put(ctx, file, 0o600, strings.NewReader(comp.Data)); err != nil {
			return fmt.Errorf("putting component %s into the instance: %w", comp.ARN, err)
		}
		cfg.Documents = append(cfg.Documents, executorDocument{Path: file, ComponentArn: comp.ARN, Parameters: comp.Parameters})
	}
	x.config = cfg
	data, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	return x.machine.Put(ctx, path.Join(x.base, "config.json"), 0o600, bytes.NewReader(data))
}

// execute runs the executor, reboots when it asks, and fetches its logs.
func (x *execution) execute(ctx context.Context) error {
	file, err := os.OpenFile(filepath.Join(x.dir, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the step's console log: %w", err)
	}
	defer file.Close()
	console := &stepConsole{w: file, left: maxLogs}
	if x.copy != nil {
		console.w = io.MultiWriter(file, x.copy)
	}
	for reboots := 0; ; reboots++ {
		events := newEventReader(console)
		events.fetched = x.fetched
		stderr := &tail{max: 4096}
		exit, err := x.machine.Exec(ctx, instance.Command{
			Argv:   []string{x.machine.Toe(), "run", "--config", path.Join(x.base, "config.json"), "--reboot-mode", "exit", "--events"},
			Env:    x.environment(x.row, x.machine),
			Stdout: events, Stderr: io.MultiWriter(console, stderr),
		})
		if err != nil {
			return fmt.Errorf("running the components: %w", err)
		}
		if exit == exitReboot && reboots < maxReboots {
			x.log.printf("A component asked for a reboot (number %d)", reboots+1)
			fmt.Fprintf(console, "Rebooting the instance\n")
			if err := x.machine.Reboot(ctx); err != nil {
				return fmt.Errorf("rebooting the instance: %w", err)
			}
			continue
		}
		x.fetchLogs(ctx)
		return x.outcome(ctx, exit, events, stderr.String())
	}
}

// environment is what Image Builder gives components (User Guide, "Runtime
// variables").
func (f *flow) environment(step *store.StepExecution, m *machine) []string {
	p := f.plan
	all := []string{
		"WORKING_DIRECTORY=" + p.WorkingDir,
		"IMAGE_WORKFLOW_EXECUTION_ID=" + step.WorkflowExecutionID,
		"IMAGE_STEP_EXECUTION_ID=" + step.ID,
		"IMAGE_BUILD_VERSION_ARN=" + p.Image.ARN,
		"IMAGE_PIPELINE_ARN=" + p.Image.Pipeline,
		"IMAGE_PHASE=" + string(statusOf[f.Type]),
		"IMAGE_VERSION=" + p.Image.Version,
		"IMAGE_BUILD_VERSION=" + strconv.FormatInt(p.Image.Build, 10),
		"DEBIAN_FRONTEND=noninteractive",
	}
	if !m.guarded { // clients would wait for an answer
		all = append(all, "AWS_EC2_METADATA_DISABLED=true")
	}
	return all
}

// outcome turns the executor's exit status and last event into the step's error.
func (x *execution) outcome(ctx context.Context, exit int, events *eventReader, stderr string) error {
	events.flush()
	if exit == 0 {
		return nil
	}
	if exit == exitReboot {
		return fmt.Errorf("the components rebooted the instance more than %d times", maxReboots)
	}
	failure := events.failure
	if failure == nil {
		return fmt.Errorf("the component executor ended with %s", exitWords(exit, stderr))
	}
	failed := &componentError{
		ComponentFailure: ComponentFailure{ComponentARN: failure.ComponentArn, Phase: failure.Phase, Step: failure.Step, Action: failure.Action, ErrorMessage: failure.ErrorMessage},
		stderr:           failure.Stderr,
		note:             x.fullDisk(ctx, failure.Stderr+failure.ErrorMessage),
	}
	x.remember(failed)
	return failed
}

// fullDisk says so if the instance's disk is full and the failure does not.
func (x *execution) fullDisk(ctx context.Context, said string) string {
	if strings.Contains(strings.ToLower(said), "no space left on device") {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, afterwards)
	defer cancel()
	var out bytes.Buffer
	exit, err := x.machine.Exec(ctx, instance.Command{Argv: []string{"df", "-Pk", "/"}, Stdout: &limited{w: &out, left: 4096}})
	if err != nil || exit != 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	if len(fields) >= 4 && fields[3] == "0" {
		return "no space left on device: the root file system of the instance is full"
	}
	return ""
}
