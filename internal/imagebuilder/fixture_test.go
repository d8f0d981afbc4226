package imagebuilder_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/kms"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const (
	alice  = "111111111111"
	bob    = "222222222222"
	home   = "us-east-1"
	prefix = "arn:aws:imagebuilder:us-east-1:111111111111:"
)

// update writes the golden files of the package's tests anew.
var update = flag.Bool("update", false, "write the golden files anew")

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// queue stands for the engine.
type queue struct {
	mu          sync.Mutex
	jobs        []string
	interrupted []string
	why         string // images wait
	fail        error
}

func (q *queue) Standing(*store.Tx, string) (string, error) { return q.why, nil }

func (q *queue) Enqueue(_ context.Context, _ *store.Tx, imageARN string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fail == nil {
		q.jobs = append(q.jobs, imageARN)
	}
	return q.fail
}

func (q *queue) Interrupt(imageARN string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.interrupted = append(q.interrupted, imageARN)
}

// parents has a Debian whose disk is here.
type parents []imagebuilder.Parent

func (p parents) Parents(context.Context) ([]imagebuilder.Parent, error) { return p, nil }

func debian(version string, build int64) imagebuilder.Parent {
	return imagebuilder.Parent{
		Name: "debian-12-x86", Version: version, Build: build, OSVersion: "Debian 12", Platform: "Linux", Architecture: "x86_64", Snapshot: "disk-" + version, Size: 2 << 30,
		RootDevice: "/dev/xvda", BootMode: "uefi-preferred", Created: start,
	}
}

type fixture struct {
	testing.TB
	*imagebuilder.Service
	ctx   context.Context // a request of alice in us-east-1
	store *store.Store
	world *cloud.World
	queue *queue
	dir   string

	mu     sync.Mutex
	clock  time.Time
	tokens int
}

func open(t testing.TB, change ...func(*imagebuilder.Config)) *fixture {
	t.Helper()
	dir := t.TempDir()
	rows := openStore(t)
	f := &fixture{TB: t, store: rows, queue: &queue{}, dir: dir, clock: start}
	f.ctx = f.as(alice, home)
	f.world = cloud.New(rows, f.now)
	f.world.Keep(kms.NewRing(func(string) kms.Keeper { return nil }), nil)
	cfg := imagebuilder.Config{
		Store: rows, World: f.world, Now: f.now, Bucket: bucket.Folder(filepath.Join(dir, "s3")),
		Parents: parents{debian("2026.11.21", 1), debian("2026.11.20", 1)},
	}
	for _, c := range change {
		c(&cfg)
	}
	f.Service = imagebuilder.New(cfg)
	f.Attach(f.queue)
	return f
}

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = f.clock.Add(d)
}

func (f *fixture) as(account, region string) context.Context {
	return identity.With(f.Context(), identity.Caller{Account: account, Region: region, ARN: "arn:aws:iam::" + account + ":user/admin"})
}

// token makes a client token that was not used before.
func (f *fixture) token() *string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens++
	return p(fmt.Sprintf("token-%d", f.tokens))
}

func p[T any](v T) *T { return &v }

// must fails the test on an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantFault(t testing.TB, err error, code string, parts ...string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("error %v, want the code %s", err, code)
		return
	}
	var e *fault.Error
	errors.As(err, &e)
	for _, part := range parts {
		if !strings.Contains(e.Message, part) {
			t.Errorf("message %q, want it to contain %q", e.Message, part)
		}
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

const (
	document = "name: web\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo hello\n"

	parameterised = "name: web\nschemaVersion: 1.0\nparameters:\n  - Needed:\n      type: string\n      description: it is needed\n  - Optional:\n      type: string\n      default: fallback\n" +
		"phases:\n  - name: build\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo {{ Needed }} {{ Optional }}\n"

	testDocument = "name: web-test\nschemaVersion: 1.0\nphases:\n  - name: test\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo hello\n"
)

func (f *fixture) componentInput(name, version, data string) *api.CreateComponentInput {
	return &api.CreateComponentInput{Name: p(name), SemanticVersion: p(version), Platform: p(api.PlatformLinux), Data: p(data), ClientToken: f.token()}
}

func (f *fixture) component(name, version, data string) string {
	f.Helper()
	out := must(f.CreateComponent(f.ctx, f.componentInput(name, version, data)))(f)
	return *out.ComponentBuildVersionArn
}

const debianARN = "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"

func (f *fixture) recipeInput(name, version string, components ...string) *api.CreateImageRecipeInput {
	in := &api.CreateImageRecipeInput{Name: p(name), SemanticVersion: p(version), ParentImage: p(debianARN), ClientToken: f.token()}
	for _, c := range components {
		in.Components = append(in.Components, api.ComponentConfiguration{ComponentArn: p(c)})
	}
	return in
}

func (f *fixture) recipe(name, version string, components ...string) string {
	f.Helper()
	return *must(f.CreateImageRecipe(f.ctx, f.recipeInput(name, version, components...)))(f).ImageRecipeArn
}

func (f *fixture) infrastructure(name string) string {
	f.Helper()
	in := &api.CreateInfrastructureConfigurationInput{Name: p(name), InstanceProfileName: p("profile"), ClientToken: f.token()}
	return *must(f.CreateInfrastructureConfiguration(f.ctx, in))(f).InfrastructureConfigurationArn
}

func (f *fixture) distribution(name string, regions ...string) string {
	f.Helper()
	in := &api.CreateDistributionConfigurationInput{Name: p(name), ClientToken: f.token()}
	for _, r := range regions {
		in.Distributions = append(in.Distributions, api.Distribution{Region: p(r), AmiDistributionConfiguration: &api.AmiDistributionConfiguration{
			Name: p("web {{ imagebuilder:buildDate }}"), AmiTags: map[string]string{"a": "b"}, LaunchPermission: &api.LaunchPermissionConfiguration{UserIds: []string{bob}},
		}})
	}
	return *must(f.CreateDistributionConfiguration(f.ctx, in))(f).DistributionConfigurationArn
}

func (f *fixture) pipelineInput(name, recipe string) *api.CreateImagePipelineInput {
	f.Helper()
	return &api.CreateImagePipelineInput{Name: p(name), ImageRecipeArn: p(recipe), InfrastructureConfigurationArn: p(f.infrastructure("infra of " + name)), ClientToken: f.token()}
}

// pipeline makes a pipeline with all that it needs.
func (f *fixture) pipeline(name string) string {
	f.Helper()
	in := f.pipelineInput(name, f.recipe(name, "1.0.0", f.component(name, "1.0.0", document)))
	in.DistributionConfigurationArn = p(f.distribution("dist of "+name, "ap-northeast-1", home))
	return *must(f.CreateImagePipeline(f.ctx, in))(f).ImagePipelineArn
}

func (f *fixture) start(pipeline string) string {
	f.Helper()
	return *must(f.StartImagePipelineExecution(f.ctx, &api.StartImagePipelineExecutionInput{ImagePipelineArn: p(pipeline), ClientToken: f.token()}))(f).ImageBuildVersionArn
}

// state moves an image to a state, as the engine does.
func (f *fixture) write(fn func(*store.Tx) error) {
	f.Helper()
	if err := f.store.Write(f.ctx, fn); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) image(arn string) *api.Image {
	f.Helper()
	return must(f.GetImage(f.ctx, &api.GetImageInput{ImageBuildVersionArn: p(arn)}))(f).Image
}

func sorted(all []string) []string {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}

// defaultKey is the ARN of alice's default key at home: it never changes.
var defaultKey = kms.NewRing(func(string) kms.Keeper { return nil }).List(alice, home)[0].ARN()
