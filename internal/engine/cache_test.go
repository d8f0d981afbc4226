package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/internal/stepcache"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/toe"
	toeaction "github.com/goldsmith-build/goldsmith/toe/action"
)

// diary is a world whose volumes are texts: what ran on them, one component a
// line.
type diary struct {
	*world
	kept    *stepcache.Cache
	objects objects.Store

	mu      sync.Mutex
	content map[string]string            // of snapshots
	ran     []string                     // components that ran, of all builds
	fails   map[string]bool              // components that fail, by document
	fetch   map[string][]toeaction.Fetch // what components fetch, by document
	web     map[string]string            // sources' digests now
	broken  error                        // of Snapshot
	lost    map[string]bool              // snapshots that are gone
	image   string                       // content of the last AMI
	looked  int                          // files that were fetched again
	takes   map[string]time.Duration     // how long components run, by document; others hours
	clock   time.Duration                // how far it is ahead of the real one
	starts  int                          // launches, those of restarts too
	parents map[string]string            // what snapshots were made beside, by their content
	copies  chan struct{}                // nil, or what snapshots of states wait for
	cancels string                       // the component that runs when somebody cancels the image
	engine  *Engine
}

// launchTakes is what a launch takes in a diary: a state is kept after components
// that ran as long, and after the last one if it ran 20 times as long.
const launchTakes = time.Minute

func newDiary(t *testing.T, documents ...string) *diary {
	t.Helper()
	d := &diary{world: newWorld(t), content: map[string]string{"parent": ""}, fails: map[string]bool{}, fetch: map[string][]toeaction.Fetch{}, web: map[string]string{}, lost: map[string]bool{}, takes: map[string]time.Duration{}, parents: map[string]string{}}
	var err error
	if d.objects, err = objects.OpenDir(filepath.Join(t.TempDir(), "objects")); err != nil {
		t.Fatal(err)
	}
	d.kept = stepcache.New(d.objects, 1<<30)
	executor := filepath.Join(t.TempDir(), "toe")
	if err := os.WriteFile(executor, []byte("the executor"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.change = func(c *Config) {
		c.Now = func() time.Time {
			d.mu.Lock()
			defer d.mu.Unlock()
			return time.Now().Add(d.clock)
		}
		c.Steps, c.Toe, c.Disks, c.Builder = d.kept, executor, d, diaryKind{paperKind{d.world, "sandbox"}, d}
	}
	d.plan.Tests, d.plan.Cache = false, true
	d.write(documents...)
	return d
}

// write gives the recipe components with these documents.
func (d *diary) write(documents ...string) {
	d.plan.Components = nil
	for i, doc := range documents {
		d.plan.Components = append(d.plan.Components, Component{ARN: fmt.Sprintf("arn:c%d", i), Name: fmt.Sprintf("c%d", i), Data: doc, Phases: []string{"build"}})
	}
}

// build builds an image and gives what ran for it, and its plan.
func (d *diary) build(want Status) ([]string, *Plan) {
	d.t.Helper()
	d.world.mu.Lock()
	d.states0()
	d.world.mu.Unlock()
	before := len(d.ran)
	build := d.plan.Image.Build + 1
	d.plan.Image.Build = build
	e, stop := d.start()
	d.engine = e
	err := d.store.Write(context.Background(), func(tx *store.Tx) error {
		return e.Enqueue(context.Background(), tx, d.arn())
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.waitEnd()
	stop()
	if got := d.states[len(d.states)-1]; got != want {
		d.t.Fatalf("the image is %s: %s", got, d.reason)
	}
	var p Plan
	data, err := os.ReadFile(filepath.Join(d.logs(), "plan.json"))
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.clean()
	return d.ran[before:], &p
}

// arn is that of the last image.
func (d *diary) arn() string {
	return fmt.Sprintf("arn:aws:imagebuilder:us-east-1:123456789012:image/demo/1.0.0/%d", d.plan.Image.Build)
}

// states0 makes the world's image one that has not begun.
func (d *diary) states0() { d.states, d.reason = []Status{Pending}, "" }

func (d *diary) logs() string {
	return filepath.Join(d.dir, "logs", "demo", "1.0.0", fmt.Sprint(d.plan.Image.Build))
}

// log gives the text of a file of the last build's logs, whatever its folder.
func (d *diary) log(name string) string {
	d.t.Helper()
	files, _ := filepath.Glob(filepath.Join(d.logs(), name))
	if len(files) != 1 {
		d.t.Fatalf("%d files %s", len(files), name)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		d.t.Fatal(err)
	}
	return string(data)
}

// Volume implements Disks.
func (d *diary) Volume(_ context.Context, snapshot, file string, _ int64) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	content, ok := d.content[snapshot]
	if !ok || d.lost[snapshot] {
		return "", fmt.Errorf("reading snapshot %s: %w", snapshot, disk.ErrNotFound)
	}
	return "paper", os.WriteFile(file, []byte(content), 0o600)
}

// Snapshot implements Disks.
func (d *diary) Snapshot(ctx context.Context, file, parent, _, _ string) (Stored, error) {
	isState := strings.HasPrefix(filepath.Base(file), "state-")
	if isState && d.copies != nil {
		select {
		case <-d.copies:
		case <-ctx.Done():
			return Stored{}, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if isState && d.broken != nil {
		return Stored{}, d.broken
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return Stored{}, err
	}
	d.image = string(data)
	id := "sha256:" + digestText(string(data))
	d.content[id] = string(data)
	d.parents[string(data)] = d.content[parent]
	return Stored{Snapshot: id, Changed: 1 << 20}, os.Remove(file)
}

// Disk implements Disks.
func (d *diary) Disk(context.Context, string) (string, func(), error) {
	return "/paper", func() {}, nil
}

// Collect implements Disks.
func (d *diary) Collect(context.Context, func(context.Context) ([]store.Held, error)) error {
	return nil
}

// diaryKind launches instances that write what runs on them into their volumes.
type diaryKind struct {
	paperKind
	diary *diary
}

func (k diaryKind) Launch(ctx context.Context, spec instance.Spec) (instance.Instance, error) {
	inst, err := k.paperKind.Launch(ctx, spec)
	if err != nil {
		return nil, err
	}
	k.diary.mu.Lock()
	k.diary.clock += launchTakes
	k.diary.starts++
	k.diary.mu.Unlock()
	return &writer{paper: inst.(*paper), diary: k.diary, volume: spec.Volume}, nil
}

// writer is an instance of a diary.
type writer struct {
	*paper
	diary  *diary
	volume string
}

func (i *writer) Exec(ctx context.Context, cmd instance.Command) (int, error) {
	if len(cmd.Argv) < 4 || cmd.Argv[1] != "run" {
		return i.paper.Exec(ctx, cmd)
	}
	d, events := i.diary, json.NewEncoder(cmd.Stdout)
	d.mu.Lock()
	defer d.mu.Unlock()
	text, _ := i.files.Load(cmd.Argv[3])
	if path.Base(cmd.Argv[3]) == "lookup.yaml" {
		for source, digest := range d.web {
			if strings.Contains(text.(string), source) {
				d.looked++
				events.Encode(toe.Event{Event: toe.EventFetched, Fetched: &toeaction.Fetch{Action: "WebDownload", Source: source, SHA256: digest}})
			}
		}
		return 0, nil
	}
	var cfg executorConfig
	if err := json.Unmarshal([]byte(text.(string)), &cfg); err != nil {
		return 0, err
	}
	for _, doc := range cfg.Documents {
		data, _ := i.files.Load(doc.Path)
		name := data.(string)
		d.ran = append(d.ran, name)
		if name == d.cancels {
			d.world.mu.Lock()
			d.world.cancel = true
			d.world.mu.Unlock()
			d.engine.Interrupt(d.arn())
			d.mu.Unlock()
			<-ctx.Done()
			d.mu.Lock()
			return 0, ctx.Err()
		}
		if took, ok := d.takes[name]; ok {
			d.clock += took
		} else {
			d.clock += time.Hour
		}
		if d.fails[name] {
			fails(cmd.Stdout, toe.Failure{ComponentArn: doc.ComponentArn, Phase: "build", Step: "Step", ErrorMessage: "exit status 1"})
			return 1, nil
		}
		events.Encode(toe.Event{Event: toe.EventOutput, Stream: "stdout", Text: "output of " + name + "\n"})
		for _, f := range d.fetch[name] {
			events.Encode(toe.Event{Event: toe.EventFetched, Fetched: &f})
		}
		f, err := os.OpenFile(i.volume, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		fmt.Fprintln(f, name)
		f.Close()
	}
	return 0, nil
}

func ran(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, append([]string(nil), got...)); diff != "" {
		t.Errorf("components that ran (-want +got):\n%s", diff)
	}
}

// cached is which components a plan says are not run.
func cached(p *Plan) string {
	var b strings.Builder
	for _, c := range p.Components {
		switch {
		case c.Cache == nil:
			b.WriteByte('-')
		case c.Cache.Cached:
			b.WriteByte('c')
		case c.Cache.Key == "":
			b.WriteByte('x')
		default:
			b.WriteByte('r')
		}
	}
	return b.String()
}

func TestAChangedLastComponentRunsAlone(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "one", "two", "three")
	got, p := d.build(Available)
	ran(t, got, "one", "two", "three")
	if cached(p) != "rrr" || p.Workflows[0].Steps[1].Cached {
		t.Errorf("the plan of the first build says %s", cached(p))
	}
	got, p = d.build(Available)
	ran(t, got)
	if cached(p) != "ccc" || !p.Workflows[0].Steps[1].Cached || d.image != "one\ntwo\nthree\n" {
		t.Errorf("the same again: plan %s, image %q", cached(p), d.image)
	}
	if log := d.log("wf-*/ApplyBuildComponents/console.log"); !strings.Contains(log, "Component arn:c1: cached (state "+p.Components[1].Cache.Key) || !strings.Contains(log, "Stdout: output of two") {
		t.Errorf("the console of cached components says:\n%s", log)
	}
	d.write("one", "two", "changed")
	got, p = d.build(Available)
	ran(t, got, "changed")
	if cached(p) != "ccr" || p.Workflows[0].Steps[1].Cached || d.image != "one\ntwo\nchanged\n" {
		t.Errorf("the last changed: plan %s, image %q", cached(p), d.image)
	}
	d.write("one", "changed", "three")
	got, _ = d.build(Available)
	ran(t, got, "changed", "three")
	if d.image != "one\nchanged\nthree\n" {
		t.Errorf("the middle changed: image %q", d.image)
	}
	d.plan.Cache = false
	got, p = d.build(Available)
	ran(t, got, "one", "changed", "three")
	if cached(p) != "---" {
		t.Errorf("without the cache: plan %s", cached(p))
	}
}

// TestShortWorkIsNotKept: a restart that costs more than it saves is not made,
// and the plan says so.
func TestShortWorkIsNotKept(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "long", "short", "brief", "last")
	d.takes["short"], d.takes["brief"], d.takes["last"] = launchTakes/4, launchTakes/4, 15*launchTakes
	got, p := d.build(Available)
	ran(t, got, "long", "short", "brief", "last")
	if d.starts != 2 {
		t.Errorf("%d starts of instances, want the launch and one restart", d.starts)
	}
	for i, want := range []string{"", "less than the ", "less than the ", "less than 20 times the "} {
		if why := p.Components[i].Cache.Why; (why == "") != (want == "") || !strings.Contains(why, want) {
			t.Errorf("component %d: the plan says %q, want %q", i, why, want)
		}
	}
	if log := d.log("image.log"); !strings.Contains(log, "The state after component arn:c1 is not kept: "+p.Components[1].Cache.Why) {
		t.Errorf("the log does not say why:\n%s", log)
	}
	d.starts = 0
	got, p = d.build(Available)
	ran(t, got, "short", "brief", "last")
	if cached(p) != "crrr" || d.starts != 1 || d.image != "long\nshort\nbrief\nlast\n" {
		t.Errorf("the same again: plan %s, %d starts, image %q", cached(p), d.starts, d.image)
	}

	// What short components did counts for the next one.
	d.write("long", "short", "brief", "short ", "brief ", "end")
	for _, name := range []string{"short", "brief", "short "} {
		d.takes[name] = launchTakes * 45 / 100
	}
	d.takes["brief "], d.takes["end"] = 0, 0
	d.build(Available)
	d.write("long", "short", "brief", "short ", "brief ", "other end")
	d.takes["other end"] = 25 * launchTakes
	got, p = d.build(Available)
	ran(t, got, "brief ", "other end")
	if cached(p) != "ccccrr" || d.image != "long\nshort\nbrief\nshort \nbrief \nother end\n" {
		t.Errorf("plan %s, image %q", cached(p), d.image)
	}
	console := d.log("wf-*/ApplyBuildComponents/console.log")
	if !strings.Contains(console, "Component arn:c1: cached (with those behind it)") || strings.Count(console, "output of brief\n") != 1 || strings.Count(console, "output of short\n") != 1 {
		t.Errorf("the console of cached components says:\n%s", console)
	}
	got, p = d.build(Available) // the last one ran so long that it was kept
	ran(t, got)
	if cached(p) != "cccccc" {
		t.Errorf("the same again: plan %s", cached(p))
	}
}

// TestStatesAreStoredBesideTheSteps: the step of the components does not wait for
// the last snapshot, CreateOutputAMI does, and starts from it.
func TestStatesAreStoredBesideTheSteps(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "one", "two")
	d.takes["two"] = 0
	d.copies = make(chan struct{})
	log := filepath.Join(d.dir, "logs", "demo", "1.0.0", fmt.Sprint(d.plan.Image.Build+1), "image.log")
	go func() {
		for data := []byte(nil); !strings.Contains(string(data), "Finished step ApplyBuildComponents"); time.Sleep(time.Millisecond) {
			data, _ = os.ReadFile(log)
		}
		close(d.copies)
	}()
	d.build(Available)
	d.copies = nil
	if got := d.parents["one\ntwo\n"]; got != "one\n" {
		t.Errorf("the AMI's snapshot was made beside %q, not beside the state that was kept last", got)
	}
	got, _ := d.build(Available)
	ran(t, got, "two")
}

// TestACancelledBuildDoesNotWaitForStates: what is not stored then is given up,
// and nothing is left.
func TestACancelledBuildDoesNotWaitForStates(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "one", "two", "three")
	d.copies = make(chan struct{}) // for ever
	d.takes["two"], d.takes["three"] = 0, 0
	d.cancels = "two"
	d.build(Cancelled)
	d.copies, d.cancels, d.world.cancel = nil, "", false
	got, _ := d.build(Available)
	ran(t, got, "one", "two", "three")
}

func TestFailuresAreNotKept(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "one", "two", "three")
	d.fails["two"] = true
	got, _ := d.build(Failed)
	ran(t, got, "one", "two")
	got, _ = d.build(Failed)
	ran(t, got, "two")
	if want := "the 1 components before it were cached"; !strings.Contains(d.reason, want) {
		t.Errorf("the reason %q does not say %q", d.reason, want)
	}
	d.fails["two"] = false
	got, _ = d.build(Available)
	ran(t, got, "two", "three")
}

func TestFetchedFilesMustBeTheSame(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "one", "two", "three")
	d.fetch["two"] = []toeaction.Fetch{{Action: "WebDownload", Source: "https://files.example/a", SHA256: "aa"}}
	d.web["https://files.example/a"] = "aa"
	d.build(Available)
	got, _ := d.build(Available)
	ran(t, got)
	if d.looked != 1 {
		t.Errorf("%d files were looked at again, want 1", d.looked)
	}
	d.web["https://files.example/a"], d.fetch["two"][0].SHA256 = "bb", "bb"
	got, p := d.build(Available)
	ran(t, got, "two", "three")
	if cached(p) != "crr" {
		t.Errorf("the plan says %s", cached(p))
	}
	got, _ = d.build(Available)
	ran(t, got)
	delete(d.web, "https://files.example/a") // it does not answer
	got, _ = d.build(Available)
	ran(t, got, "two", "three")

	d.fetch["one"] = []toeaction.Fetch{{Action: "WebDownload"}} // of a step that must not be logged
	d.write("one ", "two")
	d.fetch["one "] = d.fetch["one"]
	d.build(Available)
	got, _ = d.build(Available)
	ran(t, got, "one ", "two")
}

func TestABuildGoesOnWhereStatesCannotBeKept(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "one", "two", "three")
	d.broken = errors.New("no space left on device")
	got, _ := d.build(Available)
	ran(t, got, "one", "two", "three")
	if log := d.log("image.log"); !strings.Contains(log, "The state after component arn:c0 is not kept, nor are those after it: no space left on device") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	d.broken = nil
	d.build(Available)
	for id, content := range d.content { // the collection took it, or a disk died
		d.lost[id] = content == "one\ntwo\nthree\n"
	}
	got, p := d.build(Available)
	ran(t, got, "three")
	if cached(p) != "ccr" || d.image != "one\ntwo\nthree\n" {
		t.Errorf("plan %s, image %q", cached(p), d.image)
	}
	if err := d.objects.Put(t.Context(), "steps/"+p.Components[1].Cache.Key, strings.NewReader(`{"version":1`)); err != nil {
		t.Fatal(err)
	}
	d.write("one", "two", "four")
	got, _ = d.build(Available)
	ran(t, got, "two", "four")
}

func TestKeysHoldWhatMatters(t *testing.T) {
	t.Parallel()
	d := newDiary(t, "one", "two")
	d.plan.Components[0].Parameters = []Parameter{{Name: "Port", Value: "80"}}
	key := func(change func(*Plan)) string {
		p := *d.plan
		p.Components = append([]Component(nil), d.plan.Components...)
		change(&p)
		return p.stateKeys("sandbox", "executor")[1].Key
	}
	was := key(func(*Plan) {})
	for name, change := range map[string]func(*Plan){
		"the account":         func(p *Plan) { p.Image.Account = "999999999999" },
		"the parent":          func(p *Plan) { p.Parent.Snapshot = "other" },
		"a parameter":         func(p *Plan) { p.Components[0].Parameters = []Parameter{{Name: "Port", Value: "81"}} },
		"the first document":  func(p *Plan) { p.Components[0].Data = "changed" },
		"the order":           func(p *Plan) { p.Components[0], p.Components[1] = p.Components[1], p.Components[0] },
		"the volume's size":   func(p *Plan) { p.Volume.SizeGiB = 9 },
		"the working folder":  func(p *Plan) { p.WorkingDir = "/opt" },
		"the instance's role": func(p *Plan) { p.Infrastructure.InstanceProfile = "other" },
	} {
		if key(change) == was {
			t.Errorf("%s changed and the key did not", name)
		}
	}
	for name, change := range map[string]func(*Plan){
		"the build":           func(p *Plan) { p.Image.Build, p.Image.ARN = 7, "arn:7" },
		"the pipeline":        func(p *Plan) { p.Image.Pipeline = "arn:other" },
		"a component's ARN":   func(p *Plan) { p.Components[0].ARN = "arn:c0/2" },
		"where it goes":       func(p *Plan) { p.Destinations = nil },
		"the tests":           func(p *Plan) { p.Tests = true },
		"where logs go":       func(p *Plan) { p.Infrastructure.LogBucket = "bucket" },
		"what failures leave": func(p *Plan) { p.Infrastructure.TerminateOnFailure = false },
	} {
		if key(change) != was {
			t.Errorf("%s changed, and the key with it", name)
		}
	}
	if k := d.plan.stateKeys("vm", "executor")[1].Key; k == was {
		t.Error("the kind of instance is not in the key")
	}
	if k := d.plan.stateKeys("sandbox", "other")[1].Key; k == was {
		t.Error("the executor is not in the key")
	}
	for _, text := range []string{"{{ context:date }}", "echo $IMAGE_BUILD_VERSION", "{{ aws:ssm:/a }}", "{{aws:imds:instance-id}}", "action: S3Upload", "action: ExecuteDocument\n document: s3://b/k"} {
		keys := (&Plan{Components: []Component{{Data: "fine", Phases: []string{"build"}}, {Data: text, Phases: []string{"build"}}, {Data: "fine", Phases: []string{"validate"}}, {Data: "x", Phases: []string{"test"}}}}).stateKeys("sandbox", "executor")
		if len(keys) != 3 || keys[0].Key == "" || keys[1].Key != "" || !strings.HasPrefix(keys[1].Why, "its document speaks of ") || keys[2].Key != "" {
			t.Errorf("%q: %+v", text, keys)
		}
	}
	pipe := func(pipeline string) string {
		return (&Plan{Image: Image{Pipeline: pipeline}, Components: []Component{{Data: "echo $IMAGE_PIPELINE_ARN", Phases: []string{"build"}}}}).stateKeys("sandbox", "executor")[0].Key
	}
	if pipe("a") == pipe("b") {
		t.Error("a document that names IMAGE_PIPELINE_ARN has the same key in two pipelines")
	}
}

// TestOtherWorkOnTheInstance: a step before the components may change what they
// find, so that nothing is kept there.
func TestOtherWorkOnTheInstance(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		steps []PlannedStep
		want  int
	}{
		"as Amazon's":       {[]PlannedStep{{Action: "LaunchInstance", Runs: runsYes}, {Action: "ExecuteComponents", Runs: runsYes}}, 1},
		"waiting":           {[]PlannedStep{{Action: "LaunchInstance", Runs: runsYes}, {Action: "WaitForSSMAgent", Runs: runsYes}, {Action: "WaitForAction", Runs: runsYes}, {Action: "ExecuteComponents", Runs: runsYes}}, 3},
		"a command before":  {[]PlannedStep{{Action: "LaunchInstance", Runs: runsYes}, {Action: "RunCommand", Runs: runsYes}, {Action: "ExecuteComponents", Runs: runsYes}}, -1},
		"one that is not":   {[]PlannedStep{{Action: "LaunchInstance", Runs: runsYes}, {Action: "RunCommand", Runs: runsNo}, {Action: "ExecuteComponents", Runs: runsYes}}, 2},
		"perhaps":           {[]PlannedStep{{Action: "LaunchInstance", Runs: runsYes}, {Action: "ExecuteComponents", Runs: runsDepends}}, -1},
		"two launches":      {[]PlannedStep{{Action: "LaunchInstance", Runs: runsYes}, {Action: "LaunchInstance", Runs: runsYes}, {Action: "ExecuteComponents", Runs: runsYes}}, -1},
		"nothing to run on": {[]PlannedStep{{Action: "ExecuteComponents", Runs: runsYes}}, -1},
	} {
		if got := (&Workflow{Type: "BUILD", Steps: tc.steps}).keeper(); got != tc.want {
			t.Errorf("%s: step %d, want %d", name, got, tc.want)
		}
	}
	if (&Workflow{Type: "TEST", Steps: []PlannedStep{{Action: "LaunchInstance", Runs: runsYes}, {Action: "ExecuteComponents", Runs: runsYes}}}).keeper() != -1 {
		t.Error("states are kept of a test")
	}
}
