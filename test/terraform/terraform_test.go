package terraform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// workspace is a folder with a configuration, and the server that it is for.
type workspace struct {
	tb     testing.TB
	binary string
	dir    string
	env    []string
}

// program finds Terraform or OpenTofu, or skips.
func program(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{os.Getenv("GOLDSMITH_TERRAFORM"), "terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	tb.Skip("there is no terraform and no tofu (docs/terraform.md)")
	return ""
}

// mirror finds a filesystem mirror that holds the AWS provider, or skips. The
// provider is never downloaded.
func mirror(tb testing.TB) string {
	tb.Helper()
	home, _ := os.UserHomeDir()
	places := []string{os.Getenv("GOLDSMITH_TERRAFORM_MIRROR"), filepath.Join(home, ".terraform.d", "plugins"), filepath.Join(home, ".local", "share", "terraform", "plugins"),
		"/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*"}
	for _, place := range places {
		if place == "" {
			continue
		}
		found, err := filepath.Glob(filepath.Join(place, "*", "hashicorp", "aws", "*", runtime.GOOS+"_"+runtime.GOARCH))
		if err != nil {
			tb.Fatal(err)
		}
		if len(found) > 0 {
			return filepath.Join(found[0], "..", "..", "..", "..", "..")
		}
	}
	tb.Skip("there is no filesystem mirror with the AWS provider: set GOLDSMITH_TERRAFORM_MIRROR (docs/terraform.md)")
	return ""
}

// open copies a configuration and initialises it.
func open(tb testing.TB, s *harness.Server, source string) *workspace {
	tb.Helper()
	w := &workspace{tb: tb, binary: program(tb)}
	settings := filepath.Join(tb.TempDir(), "terraform.rc")
	rc := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror(tb))
	if err := os.WriteFile(settings, []byte(rc), 0o600); err != nil {
		tb.Fatal(err)
	}
	w.env = append(s.Env(), "TF_CLI_CONFIG_FILE="+settings, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_VAR_endpoint="+s.URL, "AWS_REGION=us-east-1")
	top := tb.TempDir()
	if err := os.CopyFS(top, os.DirFS(filepath.Dir(source))); err != nil {
		tb.Fatal(err)
	}
	w.dir = filepath.Join(top, filepath.Base(source))
	w.run("init")
	return w
}

// try runs a command of Terraform.
func (w *workspace) try(args ...string) (string, int) {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.binary, args...)
	if args[0] != "show" && args[0] != "output" && args[0] != "state" {
		cmd.Args = append(cmd.Args, "-no-color", "-input=false")
	}
	cmd.Dir, cmd.Env, cmd.WaitDelay = w.dir, w.env, 10*time.Second
	// Interrupted rather than killed, Terraform ends its provider.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.tb.Fatalf("terraform %s: %v", args[0], err)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return stdout.String() + stderr.String(), code
	}
	return stdout.String(), 0
}

// run is try for a command that must succeed.
func (w *workspace) run(args ...string) string {
	w.tb.Helper()
	out, code := w.try(args...)
	if code != 0 {
		w.tb.Fatalf("terraform %s: exit status %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// apply applies and wants nothing left to do.
func (w *workspace) apply(vars ...string) {
	w.tb.Helper()
	w.run(append([]string{"apply", "-auto-approve"}, vars...)...)
	w.settled(vars...)
}

// settled wants an empty plan.
func (w *workspace) settled(vars ...string) {
	w.tb.Helper()
	if out, code := w.try(append([]string{"plan", "-detailed-exitcode"}, vars...)...); code != 0 {
		w.tb.Fatalf("after an apply, a plan is not empty (exit status %d):\n%s", code, out)
	}
}

// outputs are the configuration's output values.
func (w *workspace) outputs() harness.Object {
	w.tb.Helper()
	all := map[string]struct{ Value any }{}
	if err := json.Unmarshal([]byte(w.run("output", "-json")), &all); err != nil {
		w.tb.Fatal(err)
	}
	out := harness.Object{}
	for name, o := range all {
		out[name] = o.Value
	}
	return out
}

// edit replaces text in a file of the configuration.
func (w *workspace) edit(file, before, after string) {
	w.tb.Helper()
	path := filepath.Join(w.dir, file)
	data, err := os.ReadFile(path)
	if err != nil {
		w.tb.Fatal(err)
	}
	if !bytes.Contains(data, []byte(before)) {
		w.tb.Fatalf("%s does not hold %q", file, before)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(data, []byte(before), []byte(after)), 0o600); err != nil {
		w.tb.Fatal(err)
	}
}

// managed lists the resources of the state: their addresses and ids.
func (w *workspace) managed() [][2]string {
	w.tb.Helper()
	var state struct {
		Resources []struct {
			Mode, Type, Name string
			Instances        []struct {
				IndexKey   *int `json:"index_key"`
				Attributes struct{ ID string }
			}
		}
	}
	if err := json.Unmarshal([]byte(w.run("state", "pull")), &state); err != nil {
		w.tb.Fatal(err)
	}
	var all [][2]string
	for _, r := range state.Resources {
		for _, i := range r.Instances {
			address := r.Type + "." + r.Name
			if i.IndexKey != nil {
				address += fmt.Sprintf("[%d]", *i.IndexKey)
			}
			if r.Mode == "managed" {
				all = append(all, [2]string{address, i.Attributes.ID})
			}
		}
	}
	return all
}

func TestTheExampleOfTheREADME(t *testing.T) {
	t.Parallel()
	program(t)
	mirror(t)
	s := harness.Start(t)
	w := open(t, s, filepath.Join(harness.Repo(t), "examples", "terraform"))
	w.apply()
	pipeline := w.outputs().Str("pipeline")
	got := s.Boto("imagebuilder", "get_image_pipeline", map[string]any{"imagePipelineArn": pipeline})
	if diff := cmp.Diff(map[string]any{"scheduleExpression": "cron(0 6 ? * sun *)", "timezone": "Europe/Berlin", "pipelineExecutionStartCondition": "EXPRESSION_MATCH_AND_DEPENDENCY_UPDATES_AVAILABLE"},
		got.At("imagePipeline", "schedule")); diff != "" {
		t.Errorf("the pipeline's schedule (-want +got):\n%s", diff)
	}

	// A change in place, and a new version of a recipe, which the pipeline follows.
	w.edit("main.tf", "cron(0 6 ? * sun *)", "rate(2 days)")
	w.edit("main.tf", "Hello from a golden image made with Terraform", "Hello again")
	w.edit("main.tf", `version      = "1.0.0"`, `version      = "1.0.1"`)
	w.apply()
	got = s.Boto("imagebuilder", "get_image_pipeline", map[string]any{"imagePipelineArn": pipeline})
	if recipe := got.Str("imagePipeline", "imageRecipeArn"); !strings.HasSuffix(recipe, "image-recipe/golden-web/1.0.1") {
		t.Errorf("the pipeline's recipe is %s", recipe)
	}
	w.run("destroy", "-auto-approve")
	if left := s.AWS("imagebuilder", "list-components", "--owner", "Self"); left.Len("componentVersionList") != 0 {
		t.Errorf("components are left: %v", left)
	}
}

func TestEveryResourceAndDataSource(t *testing.T) {
	t.Parallel()
	program(t)
	mirror(t)
	builds := harness.CanBuild()
	var s *harness.Server
	if builds {
		s = harness.StartWithParent(t)
	} else {
		s = harness.Start(t)
	}
	w := open(t, s, filepath.Join("testdata", "resources"))
	build := fmt.Sprintf("-var=build=%t", builds)
	w.apply(build)
	checkOutputs(t, w.outputs(), builds)

	changed := []string{build, "-var=description=second", `-var=tags={stage="two",fresh="yes"}`, "-var=schedule=rate(1 day)"}
	w.apply(changed...)

	// What is deleted behind Terraform's back is made again.
	s.AWS("imagebuilder", "delete-image-pipeline", "--image-pipeline-arn", w.outputs().Str("pipeline", "arn"))
	if out, code := w.try(append([]string{"plan", "-detailed-exitcode"}, changed...)...); code != 2 {
		t.Fatalf("a pipeline was deleted, and a plan gives exit status %d, not 2:\n%s", code, out)
	}
	w.apply(changed...)

	importAll(t, s, w, changed)
	w.run(append([]string{"destroy", "-auto-approve"}, changed...)...)
	for _, list := range []string{"components", "image-recipes", "container-recipes", "infrastructure-configurations", "distribution-configurations", "image-pipelines"} {
		left := s.AWS("imagebuilder", "list-"+list)
		for key, value := range left {
			if items, ok := value.([]any); ok && len(items) > 0 {
				t.Errorf("after destroy, %s has %v", key, items)
			}
		}
	}
}

// checkOutputs looks at what the data sources and the computed attributes say.
func checkOutputs(t *testing.T, got harness.Object, built bool) {
	t.Helper()
	const own = "arn:aws:imagebuilder:us-east-1:123456789012:"
	for _, c := range []struct {
		want any
		path []any
	}{
		{own + "component/tf-inline-1/1.0.0/1", []any{"component", "arn"}},
		{"123456789012", []any{"component", "owner"}},
		{true, []any{"component", "same_owner"}},
		{true, []any{"component", "encrypted"}},
		{true, []any{"component", "data"}},
		{"TEST", []any{"component", "type"}},
		{map[string]any{"By": "Terraform", "gone": "soon", "stage": "one"}, []any{"component", "tags"}},
		{[]any{own + "component/tf-inline-1/1.0.0"}, []any{"component", "listed"}},
		{"Linux", []any{"recipe", "platform"}},
		{[]any{own + "image-recipe/tf-full/1.0.0"}, []any{"recipe", "listed"}},
		{0.0, []any{"recipe", "amazon"}},
		{true, []any{"container", "encrypted"}},
		{true, []any{"container", "dockerfile"}},
		{[]any{own + "container-recipe/tf-box/1.0.0"}, []any{"container", "listed"}},
		{"/", []any{"infrastructure", "prefix"}},
		{false, []any{"infrastructure", "small"}},
		{"", []any{"infrastructure", "updated"}},
		{2.0, []any{"distribution", "regions"}},
		{"Linux", []any{"pipeline", "platform"}},
		{map[string]any{"image_tests_enabled": true, "timeout_minutes": 720.0}, []any{"pipeline", "tests"}},
		{"", []any{"pipeline", "next"}},
		{own + "workflow/test/tf-pause/1.0.0/1", []any{"workflow", "arn"}},
		{"123456789012", []any{"workflow", "owner"}},
		{"Debian 12 x86", []any{"image", "parent"}},
	} {
		if diff := cmp.Diff(c.want, got.At(c.path...)); diff != "" {
			t.Errorf("output %v (-want +got):\n%s", c.path, diff)
		}
	}
	if built && (got.Str("image", "built", 0, "version") != "1.0.0/1" || got.Str("image", "built", 0, "amis", 0) != got.Str("image", "ami", 0)) {
		t.Errorf("the built image is %v", got["image"])
	}
}

// importAll imports every resource into an empty state, after which the same
// configuration has nothing to change. What the provider sends but never reads
// is left out.
func importAll(t *testing.T, s *harness.Server, from *workspace, vars []string) {
	t.Helper()
	to := open(t, s, from.dir)
	for _, state := range []string{"terraform.tfstate", "terraform.tfstate.backup"} {
		if err := os.RemoveAll(filepath.Join(to.dir, state)); err != nil {
			t.Fatal(err)
		}
	}
	// platform_override of a container recipe is one of those.
	to.edit("container.tf", "  platform_override = \"Linux\"\n", "")
	var imports strings.Builder
	all := from.managed()
	for _, r := range all {
		fmt.Fprintf(&imports, "import {\n  to = %s\n  id = %q\n}\n\n", r[0], r[1])
	}
	if err := os.WriteFile(filepath.Join(to.dir, "imports.tf"), []byte(imports.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := to.try(append([]string{"plan"}, vars...)...)
	if want := fmt.Sprintf("Plan: %d to import, 0 to add, 0 to change, 0 to destroy.", len(all)); !strings.Contains(out, want) {
		t.Errorf("importing everything does not give %q:\n%s", want, out)
	}
}
