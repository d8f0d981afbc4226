package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// steps is how many steps the executor's document has, playSteps how many the
// one has that is compared with a playbook, and documents how many are checked.
const (
	steps     = 1000
	playSteps = 30
	documents = 1000
	printed   = 1 << 30 // bytes that the printing step prints
)

// contender is one of two things that are compared.
type contender struct {
	name string
	run  func() error
}

// executor measures the component executor beside what its users would use
// otherwise: a shell, ansible-playbook.
func (b *bench) executor() error {
	fmt.Printf("\n## Executor\n")
	for _, measure := range []func() error{b.startUp, b.stepLoop, b.playbook, b.output, b.memory, b.validate} {
		if err := measure(); err != nil {
			return err
		}
	}
	return nil
}

// sideBySide runs both in turn, after each once for warmth, and prints what
// they took and the ratio, pair by pair: by the clock, and of processors, which
// the machine's neighbours disturb less.
func (b *bench) sideBySide(title string, ours, theirs contender, each float64, unit string) error {
	var clock, processor [2][]float64
	for i := range b.runs + 1 {
		for side, c := range []contender{ours, theirs} {
			before := childTime()
			took, err := timed(c.run)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if i > 0 {
				clock[side] = append(clock[side], took*each)
				processor[side] = append(processor[side], (childTime()-before)*each)
			}
		}
	}
	clockRatios, processorRatios := ratios(clock[0], clock[1]), ratios(processor[0], processor[1])
	fmt.Printf("\n%s (%d runs each, in turn); %s, median (min to max)\n\n| | clock | processor time |\n| --- | --- | --- |\n", title, b.runs, unit)
	for side, c := range []contender{ours, theirs} {
		fmt.Printf("| %s | %s | %s |\n", c.name, spread(clock[side], "%.2f"), spread(processor[side], "%.2f"))
	}
	fmt.Printf("| ratio | %s | %s |\n", spread(clockRatios, "%.3f"), spread(processorRatios, "%.3f"))
	return nil
}

// childTime is the processor time in seconds of all programs that have ended.
func childTime() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// shell is a side that runs a script of bash.
func shell(name, script string) contender {
	return contender{name, func() error {
		out, err := exec.Command("bash", "-c", script).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}}
}

// toe is a side that runs the executor on a document.
func (b *bench) toe(name, document string) (contender, error) {
	file := filepath.Join(b.tmp, fmt.Sprintf("%x.yaml", len(document)))
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		return contender{}, err
	}
	return contender{name, func() error { _, err := b.runToe(file); return err }}, nil
}

// runToe runs a document with folders of its own and gives how the process
// ended.
func (b *bench) runToe(file string) (*os.ProcessState, error) {
	dir, err := os.MkdirTemp(b.tmp, "toe-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(filepath.Join(b.bin, "toe"), "run", "-d", file, "-l", dir, "-s", filepath.Join(dir, "state"))
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	cmd.Stderr = null // what steps print comes there, too
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("toe run: %w: %s", err, out)
	}
	return cmd.ProcessState, nil
}

// stepsDocument has n steps that run a command each.
func stepsDocument(n int, command string) string {
	var doc strings.Builder
	doc.WriteString("name: loop\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n")
	for i := range n {
		fmt.Fprintf(&doc, "      - {name: step%04d, action: ExecuteBash, inputs: {commands: ['%s']}}\n", i, command)
	}
	return doc.String()
}

// startUp compares "toe version" with "bash -c true", 20 of each at a time.
func (b *bench) startUp() error {
	const times = 20
	loop := fmt.Sprintf("for ((i = 0; i < %d; i++)); do %%s; done", times)
	return b.sideBySide("Start-up", shell("`toe version`", fmt.Sprintf(loop, filepath.Join(b.bin, "toe")+" version")),
		shell("`bash -c true`", fmt.Sprintf(loop, "bash -c true")), 1000.0/times, "milliseconds")
}

// stepLoop compares steps that run true with a shell loop that runs
// bash -c true as often.
func (b *bench) stepLoop() error {
	ours, err := b.toe("`toe run`", stepsDocument(steps, "true"))
	if err != nil {
		return err
	}
	theirs := shell("shell loop of `bash -c true`", fmt.Sprintf("for ((i = 0; i < %d; i++)); do bash -c true; done", steps))
	return b.sideBySide(fmt.Sprintf("A document of %d steps that run `true`", steps), ours, theirs, 1000.0/steps, "milliseconds a step")
}

// playbook compares the steps of a document with the tasks of a playbook that
// runs on this machine without a connection.
func (b *bench) playbook() error {
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		fmt.Printf("\nansible-playbook is not installed: nothing to compare steps with\n")
		return nil
	}
	ours, err := b.toe("`toe run`", stepsDocument(playSteps, "true"))
	if err != nil {
		return err
	}
	var play strings.Builder
	play.WriteString("- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n")
	for range playSteps {
		play.WriteString("    - ansible.builtin.command: bash -c true\n")
	}
	file := filepath.Join(b.tmp, "play.yaml")
	if err := os.WriteFile(file, []byte(play.String()), 0o600); err != nil {
		return err
	}
	theirs := contender{"`ansible-playbook`, local, no facts", func() error {
		out, err := exec.Command("ansible-playbook", "-i", "localhost,", file).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}}
	return b.sideBySide(fmt.Sprintf("%d steps beside a playbook of as many tasks", playSteps), ours, theirs, 1000.0/playSteps, "milliseconds a step")
}

const line = "0123456789012345678901234567890123456789012345678901234567890"

// output compares a step that prints 1 GiB with bash that prints it to a file.
func (b *bench) output() error {
	command := fmt.Sprintf("yes %s | head -c %d", line, printed)
	ours, err := b.toe("`toe run`", stepsDocument(1, command))
	if err != nil {
		return err
	}
	theirs := shell("`bash > file`", fmt.Sprintf("cd %s && bash -c '%s' > printed; rm printed", b.tmp, command))
	return b.sideBySide("A step that prints 1 GiB", ours, theirs, 1, "seconds")
}

// memory is the executor's highest resident memory in those runs.
func (b *bench) memory() error {
	fmt.Printf("\nPeak memory\n\n| | MiB: median (min to max) of %d runs |\n| --- | --- |\n", b.runs)
	for _, m := range []struct{ name, document string }{
		{"one step that runs `true`", stepsDocument(1, "true")},
		{fmt.Sprintf("%d steps", steps), stepsDocument(steps, "true")},
		{"a step that prints 1 GiB", stepsDocument(1, fmt.Sprintf("yes %s | head -c %d", line, printed))},
		{"a step that prints 1 GiB without a line end", stepsDocument(1, fmt.Sprintf("head -c %d /dev/zero", printed))},
	} {
		file := filepath.Join(b.tmp, "memory.yaml")
		if err := os.WriteFile(file, []byte(m.document), 0o600); err != nil {
			return err
		}
		var peaks []float64
		for range b.runs {
			state, err := b.runToe(file)
			if err != nil {
				return err
			}
			usage, ok := state.SysUsage().(*syscall.Rusage)
			if !ok {
				return errors.New("the system does not say how much memory a process had")
			}
			peaks = append(peaks, float64(usage.Maxrss)/1024) // of the process or of one of its programs, whichever is larger
		}
		fmt.Printf("| %s | %s |\n", m.name, spread(peaks, "%.1f"))
	}
	return nil
}

// validate compares the check of 1,000 documents with a YAML parser that only
// reads them.
func (b *bench) validate() error {
	dir := filepath.Join(b.tmp, "documents")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join("examples", "golden-web", "web.yaml"))
	if err != nil {
		return err
	}
	files := make([]string, documents)
	for i := range files {
		files[i] = filepath.Join(dir, fmt.Sprintf("%04d.yaml", i))
		if err := os.WriteFile(files[i], bytes.Replace(text, []byte("\n"), fmt.Appendf(nil, "\n# document %d\n", i), 1), 0o600); err != nil {
			return err
		}
	}
	ours := contender{"`toe validate`", func() error {
		out, err := exec.Command(filepath.Join(b.bin, "toe"), "validate", "-d", strings.Join(files, ","), "--os-platforms", "linux").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}}
	theirs := contender{"Python's YAML parser, only reading them", func() error {
		script := "import glob, sys, yaml\nloader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)\nfor f in glob.glob(sys.argv[1] + '/*.yaml'): yaml.load(open(f), Loader=loader)"
		out, err := exec.Command(filepath.Join(b.venv, "python"), "-c", script, dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}}
	return b.sideBySide(fmt.Sprintf("Checking %d documents of %d bytes in one call", documents, len(text)), ours, theirs, 1, "seconds")
}
