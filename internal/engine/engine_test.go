package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/export"
	"github.com/goldsmith-build/goldsmith/internal/cloud/function"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/toe"
)

const testARN = "arn:aws:imagebuilder:us-east-1:123456789012:image/demo/1.0.0/1"

// world is an engine whose machines are made of paper.
type world struct {
	functions *function.Set // of the configuration
	t         *testing.T
	dir       string
	store     *store.Store
	cloud     *cloud.World
	params    *parameter.Store
	export    *export.Exporter
	made      string // the snapshot of new AMIs; "": "made"
	plan      *Plan
	engine    *Engine // the last that was started

	mu       sync.Mutex
	states   []Status
	reason   string
	failure  *Failure
	outputs  []OutputAMI
	packages []Package
	cancel   bool
	stuck    bool              // instances cannot be ended
	late     bool              // the image is cancelled in its last step
	alive    map[string]string // instance id to kind
	launched []string
	// execute stands for the executor: it gets the stage's kind of instance and
	// how often it was called, and gives the exit status.
	execute func(ctx context.Context, kind string, call int, stdout io.Writer) (int, error)
	calls   int
	// script stands for /bin/sh: it gets the text of a RunCommand step.
	script  func(ctx context.Context, kind, text string, stdout, stderr io.Writer) (int, error)
	refuse  map[string]int // by shape "VCPUxMIB": launches that fail
	shapes  []string
	builds  int // Config.Builds
	told    []WaitingStep
	planned map[string]bool // images that a plan was made of
	change  func(*Config)   // of the engines that are started; nil: as they are

	refuseState map[Status][]error // what recording a state fails with, the next first
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), alive: map[string]string{}, planned: map[string]bool{}, states: []Status{Pending}}
	w.open()
	t.Cleanup(func() { w.store.Close() })
	w.plan = &Plan{
		Image:  Image{ARN: testARN, Name: "demo", Slug: "demo", Version: "1.0.0", Build: 1, Account: "123456789012", Region: "us-east-1"},
		Parent: Parent{Requested: "debian-12-x86", Snapshot: "parent", SizeGiB: 2, OSVersion: "Debian 12", Platform: "Linux", Architecture: "x86_64"},
		Components: []Component{
			{ARN: "arn:build", Name: "b", Data: "…", Phases: []string{"build", "validate"}},
			{ARN: "arn:test", Name: "t", Data: "…", Phases: []string{"test"}},
		},
		Volume:         Volume{SizeGiB: 2, Devices: []BlockDevice{{DeviceName: "/dev/xvda", DeleteOnTermination: true}}},
		Infrastructure: Infrastructure{TerminateOnFailure: true},
		Tests:          true, Metadata: true, WorkingDir: "/tmp",
		Destinations: []Destination{
			{Region: "us-east-1", Name: "demo {{ imagebuilder:buildDate }}", LaunchPermissions: LaunchPermissions{UserIDs: []string{"111122223333"}}},
			{Region: "eu-west-1", Name: "demo {{ imagebuilder:buildDate }}", Tags: Tags{"Build": "{{ imagebuilder:buildVersion }}"}},
		},
	}
	w.execute = func(context.Context, string, int, io.Writer) (int, error) { return 0, nil }
	w.script = func(context.Context, string, string, io.Writer, io.Writer) (int, error) { return 0, nil }
	return w
}

func (w *world) open() {
	s, err := store.Open(context.Background(), filepath.Join(w.dir, "goldsmith.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, w.cloud = s, cloud.New(s, nil)
	seal, err := parameter.NewSeal(make([]byte, parameter.KeySize))
	if err != nil {
		w.t.Fatal(err)
	}
	w.params = parameter.New(s, w.cloud, seal, nil)
}

// start starts an engine; stop interrupts its work.
func (w *world) start() (e *Engine, stop func()) {
	w.t.Helper()
	cfg := Config{
		Store: w.store, Cloud: w.cloud, Params: w.params, Exports: w.export, Disks: paperDisks{w.made}, Builder: paperKind{w, "sandbox"}, Tester: paperKind{w, "vm"},
		Resolver: w, Recorder: w, Functions: w.functions, Dir: w.dir, Builds: w.builds, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Reserve: 1,
	}
	if w.change != nil {
		w.change(&cfg)
	}
	e, err := New(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.engine = e
	return e, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			w.t.Errorf("stopping: %v", err)
		}
	}
}

func (w *world) enqueue(e *Engine) {
	w.t.Helper()
	err := w.store.Write(context.Background(), func(tx *store.Tx) error { return e.Enqueue(context.Background(), tx, testARN) })
	if err != nil {
		w.t.Fatal(err)
	}
}

// wait waits until cond holds.
func (w *world) wait(what string, cond func() bool) {
	w.t.Helper()
	for range 3000 {
		w.mu.Lock()
		ok := cond()
		w.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Fatalf("%s did not come to be; states %v, reason %q", what, w.states, w.reason)
}

func (w *world) waitEnd() {
	w.t.Helper()
	w.wait("an end", func() bool { return w.states[len(w.states)-1].Terminal() })
	// A state is seen here before its transaction is committed, and the log and
	// the instances come after that.
	w.wait("an idle engine", func() bool {
		w.engine.mu.Lock()
		defer w.engine.mu.Unlock()
		return len(w.engine.running) == 0
	})
}

// Plan implements Resolver.
func (w *world) Plan(_ context.Context, arn string) (*Plan, error) {
	w.mu.Lock()
	w.planned[arn] = true
	w.mu.Unlock()
	if w.plan == nil {
		return nil, fault.New("InvalidRequestException", "the parent is not there")
	}
	p := *w.plan
	return &p, nil
}

// Status implements Recorder.
func (w *world) Status(context.Context, string) (Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.states[len(w.states)-1], nil
}

// CancelRequested implements Recorder.
func (w *world) CancelRequested(context.Context, string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cancel, nil
}

// Transition implements Recorder.
func (w *world) Transition(_ context.Context, _ *store.Tx, _ string, to Status, reason string, f *Failure) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.states[len(w.states)-1].Terminal() {
		return errors.New("the image has ended")
	}
	if errs := w.refuseState[to]; len(errs) > 0 {
		w.refuseState[to] = errs[1:]
		return errs[0]
	}
	w.states = append(w.states, to)
	w.reason, w.failure = reason, f
	return nil
}

// Outputs implements Recorder.
func (w *world) Outputs(_ context.Context, tx *store.Tx, arn string, amis []OutputAMI) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outputs = amis
	if w.late {
		return tx.RequestCancel(arn, time.Now())
	}
	return nil
}

// Waiting implements Recorder.
func (w *world) Waiting(_ context.Context, _ *store.Tx, step WaitingStep) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, step)
	return nil
}

// Metadata implements Recorder.
func (w *world) Metadata(_ context.Context, _ *store.Tx, _, _ string, packages []Package) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packages = packages
	return nil
}

// amis counts the AMIs in all regions that can be launched.
func (w *world) amis() (n int) {
	w.t.Helper()
	err := w.store.Read(context.Background(), func(tx *store.Tx) error {
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			rows, err := tx.VisibleAMIs("123456789012", nil, region, "", 100)
			if err != nil {
				return err
			}
			for _, row := range rows {
				ami, _, err := w.cloud.AMI(tx, row.ID)
				if err != nil {
					return err
				}
				if ami.State != cloud.Disabled {
					n++
				}
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// clean wants nothing of any instance to be left.
func (w *world) clean() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.alive) > 0 {
		w.t.Errorf("instances are still alive: %v", w.alive)
	}
	if entries, _ := os.ReadDir(filepath.Join(w.dir, "instances")); len(entries) > 0 {
		w.t.Errorf("%d folders of instances are left", len(entries))
	}
	var rows []store.Instance
	if err := w.store.Read(context.Background(), func(tx *store.Tx) (err error) { rows, err = tx.Instances(); return err }); err != nil || len(rows) > 0 {
		w.t.Errorf("the ledger holds %v (%v)", rows, err)
	}
}

// paperKind launches paper instances.
type paperKind struct {
	w    *world
	name string
}

// brokenKind cannot be used on this machine.
type brokenKind struct{ paperKind }

func (k brokenKind) Probe(context.Context) instance.Report {
	return instance.Report{How: "nothing was found", Remedy: "install it"}
}

func (k paperKind) Name() string                          { return k.name }
func (k paperKind) Probe(context.Context) instance.Report { return instance.Report{Usable: true} }
func (k paperKind) Sweep(context.Context, string) error   { return nil }
func (k paperKind) Launch(_ context.Context, spec instance.Spec) (instance.Instance, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	size := fmt.Sprintf("%dx%d", spec.VCPU, spec.MemoryMiB)
	k.w.shapes = append(k.w.shapes, size)
	if k.w.refuse[size] > 0 {
		k.w.refuse[size]--
		return nil, errors.New("there is no room for it")
	}
	k.w.alive[spec.ID] = k.name
	k.w.launched = append(k.w.launched, k.name)
	return &paper{w: k.w, kind: k.name, id: spec.ID}, nil
}

// paper is an instance that does nothing.
type paper struct {
	w        *world
	kind, id string
	files    sync.Map
}

func (p *paper) ID() string      { return p.id }
func (p *paper) Scratch() string { return "/scratch" }
func (p *paper) Toe() string     { return "/scratch/toe" }
func (p *paper) Enter() []string { return []string{"enter", p.id} }
func (p *paper) Console() string { return "" }
func (p *paper) Put(_ context.Context, name string, _ fs.FileMode, content io.Reader) error {
	data, err := io.ReadAll(content)
	p.files.Store(name, string(data))
	return err
}
func (p *paper) Get(_ context.Context, _ string, to io.Writer) error {
	_, err := io.WriteString(to, "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n")
	return err
}
func (p *paper) Reboot(context.Context) error { return nil }
func (p *paper) Stop(context.Context) error   { return nil }
func (p *paper) Kill() error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.stuck {
		return errors.New("it does not go away")
	}
	delete(p.w.alive, p.id)
	return nil
}

func (p *paper) Exec(ctx context.Context, cmd instance.Command) (int, error) {
	switch {
	case len(cmd.Argv) > 1 && cmd.Argv[1] == "run":
		p.w.mu.Lock()
		p.w.calls++
		call, execute := p.w.calls, p.w.execute
		p.w.mu.Unlock()
		return execute(ctx, p.kind, call, cmd.Stdout)
	case strings.HasSuffix(cmd.Argv[len(cmd.Argv)-1], "/_script.sh"):
		text, _ := p.files.Load(cmd.Argv[len(cmd.Argv)-1])
		p.w.mu.Lock()
		script := p.w.script
		p.w.mu.Unlock()
		return script(ctx, p.kind, text.(string), cmd.Stdout, cmd.Stderr)
	case strings.Contains(strings.Join(cmd.Argv, " "), "dpkg-query"):
		io.WriteString(cmd.Stdout, "ii \tzlib\t1\nrc \tgone\t2\nii \tbash\t5.2\nnonsense\n")
	}
	return 0, nil
}

// paperDisks makes empty files, and snapshots of one ID.
type paperDisks struct{ made string }

func (paperDisks) Volume(_ context.Context, _, file string, _ int64) (string, error) {
	return "paper", os.WriteFile(file, nil, 0o600)
}
func (d paperDisks) Snapshot(_ context.Context, file, _, _, _ string) (Stored, error) {
	return Stored{Snapshot: orText(d.made, "made"), Blocks: 3, NewBlocks: 1}, os.Remove(file)
}
func (paperDisks) Disk(context.Context, string) (string, func(), error) {
	return "/paper", func() {}, nil
}
func (paperDisks) Collect(context.Context, func(context.Context) ([]store.Held, error)) error {
	return nil
}

// fails writes the event of a failed run.
func fails(stdout io.Writer, f toe.Failure) {
	json.NewEncoder(stdout).Encode(toe.Event{Event: toe.EventResult, Failure: &f})
}

func TestAnImageComesToBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.waitEnd()
	want := []Status{Pending, Creating, Building, Testing, Distributing, Integrating, Available}
	if diff := cmp.Diff(want, w.states); diff != "" {
		t.Fatalf("states (-want +got):\n%s\nreason: %s", diff, w.reason)
	}
	if len(w.outputs) != 2 || w.outputs[0].Region != "us-east-1" || w.outputs[1].Region != "eu-west-1" {
		t.Errorf("outputs %v", w.outputs)
	}
	if diff := cmp.Diff([]Package{{"bash", "5.2"}, {"zlib", "1"}}, w.packages); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	var copied cloud.AMI
	w.store.Read(context.Background(), func(tx *store.Tx) (err error) {
		copied, _, err = w.cloud.AMI(tx, w.outputs[1].AMI)
		return err
	})
	if copied.Tags["Build"] != "1" || copied.Tags["Ec2ImageBuilderArn"] != testARN || copied.Devices[0].Manifest != "made" || !strings.HasPrefix(copied.Name, "demo 2") {
		t.Errorf("the copy is %+v", copied)
	}
	var flows []store.WorkflowExecution
	var steps []string
	w.store.Read(context.Background(), func(tx *store.Tx) (err error) {
		flows, err = tx.WorkflowExecutions(testARN)
		for _, wf := range flows {
			rows, _ := tx.StepExecutions(wf.ID)
			for _, row := range rows {
				steps = append(steps, row.Name+" "+row.Status)
			}
		}
		return err
	})
	if len(flows) != 3 || flows[0].Succeeded != 6 || flows[0].Status != stepCompleted || flows[0].End.IsZero() {
		t.Errorf("workflow executions %+v", flows)
	}
	for _, s := range steps {
		want := stepCompleted
		if strings.HasPrefix(s, "RunSysPrepScript ") || strings.HasPrefix(s, "CollectImageScanFindings ") {
			want = stepSkipped
		}
		if !strings.HasSuffix(s, want) {
			t.Errorf("step %s, want %s", s, want)
		}
	}
	w.clean()
	log, err := os.ReadFile(filepath.Join(w.dir, "logs", "demo", "1.0.0", "1", "image.log"))
	if err != nil || !strings.Contains(string(log), "Image transitioned to AVAILABLE state for Image ARN: "+testARN) {
		t.Errorf("the log: %s (%v)", log, err)
	}
}

func TestFailuresPublishNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind, phase, arn string
		states           []Status
		step             string
	}{
		"build": {"sandbox", "build", "arn:build", []Status{Pending, Creating, Building, Failed}, "ApplyBuildComponents"},
		"test":  {"vm", "test", "arn:test", []Status{Pending, Creating, Building, Testing, Failed}, "ApplyTestComponents"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.execute = func(_ context.Context, kind string, _ int, stdout io.Writer) (int, error) {
				if kind != tc.kind {
					return 0, nil
				}
				fails(stdout, toe.Failure{ComponentArn: tc.arn, Phase: tc.phase, Step: "S", Action: "ExecuteBash", ErrorMessage: "exit status 3", Stderr: "it broke"})
				return 1, nil
			}
			e, stop := w.start()
			defer stop()
			w.enqueue(e)
			w.waitEnd()
			if diff := cmp.Diff(tc.states, w.states); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			for _, part := range []string{tc.arn, "Phase '" + tc.phase + "'", "step 'S'", "exit status 3", "it broke", "Workflow Execution ID: 'wf-"} {
				if !strings.Contains(w.reason, part) {
					t.Errorf("the reason %q does not say %q", w.reason, part)
				}
			}
			if w.failure == nil || w.failure.FailedStep != tc.step || w.failure.ImageStatus != tc.states[len(tc.states)-2] || w.failure.Component == nil || w.failure.Component.Phase != tc.phase {
				t.Errorf("failure %+v", w.failure)
			}
			if n := w.amis(); n != 0 {
				t.Errorf("%d AMIs are left", n)
			}
			w.clean()
		})
	}
}

func TestAPlanThatCannotBeMadeFailsTheImage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = nil
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.waitEnd()
	if diff := cmp.Diff([]Status{Pending, Failed}, w.states); diff != "" || w.reason != "the parent is not there" {
		t.Errorf("reason %q, states (-want +got):\n%s", w.reason, diff)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.execute = func(ctx context.Context, _ string, _ int, _ io.Writer) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.wait("a running executor", func() bool { return w.calls == 1 })
	w.mu.Lock()
	w.cancel = true
	w.mu.Unlock()
	e.Interrupt(testARN)
	w.waitEnd()
	if last := w.states[len(w.states)-1]; last != Cancelled || w.failure != nil {
		t.Errorf("states %v, failure %v", w.states, w.failure)
	}
	w.clean()
}

// TestALateCancellationWins cancels an image so late that its work is done before
// the engine is told.
func TestALateCancellationWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.late = true
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.waitEnd()
	if last := w.states[len(w.states)-1]; last != Cancelled || w.amis() != 0 || len(w.outputs) != 0 {
		t.Errorf("states %v; %d AMIs and %d outputs are left (%s)", w.states, w.amis(), len(w.outputs), w.reason)
	}
	w.clean()
}

// TestResume stops the engine inside each of its first steps in turn and lets
// another go on: the image comes to be exactly once.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sandbox", "vm"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			blocked := true
			w.execute = func(ctx context.Context, k string, _ int, _ io.Writer) (int, error) {
				w.mu.Lock()
				block := blocked && k == kind
				w.mu.Unlock()
				if block {
					<-ctx.Done()
					return 0, ctx.Err()
				}
				return 0, nil
			}
			e, stop := w.start()
			w.enqueue(e)
			w.wait("a running executor", func() bool {
				for _, k := range w.alive {
					if k == kind && w.calls > 0 {
						return kind == "sandbox" || w.calls == 2
					}
				}
				return false
			})
			stop()
			w.clean()
			w.mu.Lock()
			blocked = false
			w.mu.Unlock()
			_, stop = w.start()
			defer stop()
			w.waitEnd()
			if last := w.states[len(w.states)-1]; last != Available {
				t.Fatalf("states %v, reason %q", w.states, w.reason)
			}
			if n := w.amis(); n != 2 {
				t.Errorf("%d AMIs, want 2", n)
			}
			want := map[string][]string{"sandbox": {"sandbox", "sandbox", "vm"}, "vm": {"sandbox", "vm", "vm"}}[kind]
			if !slices.Equal(w.launched, want) {
				t.Errorf("launched %v, want %v: what was done is not done again", w.launched, want)
			}
			w.clean()
		})
	}
}

func TestRebootsAreFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.execute = func(_ context.Context, _ string, call int, _ io.Writer) (int, error) {
		if call <= 2 {
			return exitReboot, nil
		}
		return 0, nil
	}
	e, stop := w.start()
	defer stop()
	w.enqueue(e)
	w.waitEnd()
	if last := w.states[len(w.states)-1]; last != Available || w.calls != 4 {
		t.Errorf("states %v after %d calls (%s)", w.states, w.calls, w.reason)
	}
	w2 := newWorld(t)
	w2.execute = func(context.Context, string, int, io.Writer) (int, error) { return exitReboot, nil }
	e2, stop2 := w2.start()
	defer stop2()
	w2.enqueue(e2)
	w2.waitEnd()
	if !strings.Contains(w2.reason, fmt.Sprintf("more than %d times", maxReboots)) {
		t.Errorf("reason %q", w2.reason)
	}
}

func TestAKeptInstanceStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan.Infrastructure.TerminateOnFailure = false
	w.execute = func(_ context.Context, _ string, _ int, stdout io.Writer) (int, error) {
		fails(stdout, toe.Failure{ComponentArn: "arn:build", Phase: "build", Step: "S"})
		return 1, nil
	}
	e, stop := w.start()
	w.enqueue(e)
	w.waitEnd()
	if len(w.alive) != 1 || !strings.Contains(w.reason, "goldsmith shell "+testARN) {
		t.Errorf("%d instances are alive; reason %q", len(w.alive), w.reason)
	}
	stop()
	kept, err := FindKept(w.dir, testARN)
	if err != nil || kept.Volume == "" {
		t.Fatalf("after the server stopped: %+v, %v", kept, err)
	}
	if _, err := os.Stat(kept.Volume); err != nil {
		t.Errorf("the kept volume is gone: %v", err)
	}
	// After a crash the note may be of any age, or gone: the ledger has it all.
	want := kept
	if err := os.Remove(filepath.Join(kept.Dir, keptFile)); err != nil {
		t.Fatal(err)
	}
	_, stop = w.start()
	stop()
	if kept, err = FindKept(w.dir, testARN); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("the note after a restart (-want +got):\n%s", diff)
	}
}

// TestNothingIsKeptOfAnImageThatGoesOn dies between keeping an instance and
// recording the image as FAILED.
func TestNothingIsKeptOfAnImageThatGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(w.dir, "instances", "i-1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	row := store.Instance{ID: "i-1", Kind: "sandbox", Dir: dir, ImageARN: testARN, State: "kept", Created: time.Now()}
	if err := w.store.Write(context.Background(), func(tx *store.Tx) error { return tx.PutInstance(row) }); err != nil {
		t.Fatal(err)
	}
	_, stop := w.start()
	defer stop()
	w.clean()
}

// TestNoRowStaysRunning gives an image up, and cancels one, of which a dead
// server left rows that say RUNNING.
func TestNoRowStaysRunning(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(w *world)
		end     Status
		flow    string
	}{
		"given up":  {func(w *world) { w.starts(maxStarts) }, Failed, stepFailed},
		"cancelled": {func(w *world) { w.cancel = true }, Cancelled, stepCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e, stop := w.start()
			stop()
			w.states = append(w.states, Building)
			err := w.store.Write(context.Background(), func(tx *store.Tx) error {
				return errors.Join(
					tx.PutWorkflowExecution(store.WorkflowExecution{ID: "wf-1", ImageARN: testARN, Type: "BUILD", Status: stepRunning, Start: time.Now()}),
					tx.PutStepExecution(store.StepExecution{ID: "step-1", WorkflowExecutionID: "wf-1", ImageARN: testARN, Name: "LaunchBuildInstance", Status: stepRunning, Start: time.Now()}))
			})
			if err != nil {
				t.Fatal(err)
			}
			w.enqueue(e)
			tc.prepare(w)
			_, stop = w.start()
			defer stop()
			w.waitEnd()
			if got := w.states[len(w.states)-1]; got != tc.end {
				t.Errorf("the image is %s, want %s", got, tc.end)
			}
			var wf store.WorkflowExecution
			var steps []store.StepExecution
			w.store.Read(context.Background(), func(tx *store.Tx) (err error) {
				wf, _, err = tx.WorkflowExecution("wf-1")
				steps, _ = tx.StepExecutions("wf-1")
				return err
			})
			if wf.Status != tc.flow || wf.End.IsZero() || len(steps) != 1 || steps[0].Status != stepCancelled {
				t.Errorf("execution %+v, steps %+v", wf, steps)
			}
		})
	}
}

// starts makes the queued image look as if servers had died n times over it.
func (w *world) starts(n int) {
	w.t.Helper()
	err := w.store.Write(context.Background(), func(tx *store.Tx) error {
		err := errors.Join(tx.PutWorker(store.Worker{ID: "dead", Builds: 1}), w.engine.place(context.Background(), tx))
		if err != nil {
			return err
		}
		_, err = tx.SQL().Exec(`UPDATE river_job SET state = 'running', attempt = ?`, n)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestWhatCannotBeRemovedStaysInTheLedger fails to end an instance: the next
// server must know of it.
func TestWhatCannotBeRemovedStaysInTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stuck = true
	e, stop := w.start()
	w.enqueue(e)
	w.waitEnd()
	stop()
	var rows []store.Instance
	if err := w.store.Read(context.Background(), func(tx *store.Tx) (err error) { rows, err = tx.Instances(); return err }); err != nil || len(rows) != 2 {
		t.Errorf("the ledger holds %v (%v), want both instances", rows, err)
	}
	w.mu.Lock()
	w.stuck = false
	clear(w.alive)
	w.mu.Unlock()
	_, stop = w.start()
	defer stop()
	w.clean()
}
