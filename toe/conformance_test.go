//go:build linux

package toe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"

	"github.com/goldsmith-build/goldsmith/toe"
)

// A conformance case is a txtar file in testdata/conformance: document.yaml is
// run, expect says how each step ends ("NAME STATUS [part of the message]"),
// refuse/… are steps that must be refused (the first line is a part of the
// message), work/… and s3/… are files before the run, and unlogged lists texts
// that must not be in any log. A file that has the name of an action is the
// evidence for that action.
type conformanceCase struct {
	name, title string
	document    string
	expect      []expectation
	refuse      map[string]string
	files       map[string]string
	unlogged    []string
}

type expectation struct{ step, status, message string }

func readCase(t *testing.T, file string) *conformanceCase {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &conformanceCase{
		name: strings.TrimSuffix(filepath.Base(file), ".txtar"), title: strings.TrimSpace(string(archive.Comment)),
		refuse: map[string]string{}, files: map[string]string{},
	}
	for _, f := range archive.Files {
		text := string(f.Data)
		switch {
		case f.Name == "document.yaml":
			c.document = text
		case f.Name == "expect":
			for line := range strings.Lines(text) {
				words := strings.SplitN(strings.TrimSpace(line), " ", 3)
				if len(words) < 2 {
					t.Fatalf("%s: expect %q", file, line)
				}
				c.expect = append(c.expect, expectation{words[0], words[1], strings.Join(words[2:], "")})
			}
		case f.Name == "unlogged":
			c.unlogged = strings.Split(strings.TrimSpace(text), "\n")
		case strings.HasPrefix(f.Name, "refuse/"):
			c.refuse[strings.TrimPrefix(f.Name, "refuse/")] = text
		default:
			c.files[f.Name] = text
		}
	}
	return c
}

// step is a step of a case's document with what it says, for the table.
type conformanceStep struct {
	Name   string
	Action string
	Inputs yaml.Node
	raw    map[string]any
}

func (c *conformanceCase) steps(t *testing.T) []*conformanceStep {
	t.Helper()
	var document struct {
		Phases []struct {
			DisableLogging bool `yaml:"disableLogging"`
			Steps          []yaml.Node
		}
	}
	if err := yaml.Unmarshal([]byte(c.document), &document); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	var all []*conformanceStep
	for _, ph := range document.Phases {
		for _, node := range ph.Steps {
			s := &conformanceStep{}
			if err := errors.Join(node.Decode(s), node.Decode(&s.raw)); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			all = append(all, s)
		}
	}
	return all
}

// inputs are the mappings of a step's inputs.
func (s *conformanceStep) inputs() []map[string]any {
	switch in := s.raw["inputs"].(type) {
	case map[string]any:
		return []map[string]any{in}
	case []any:
		var all []map[string]any
		for _, e := range in {
			if m, ok := e.(map[string]any); ok {
				all = append(all, m)
			}
		}
		return all
	}
	return []map[string]any{{}}
}

// folderCloud is AWS with a folder for S3.
type folderCloud struct{ root string }

func (c folderCloud) open(bucket, key, owner string) (string, error) {
	if owner != "" && owner != "123456789012" {
		return "", fmt.Errorf("getting s3://%s/%s: access denied", bucket, key)
	}
	return filepath.Join(c.root, bucket, filepath.FromSlash(key)), nil
}

func (c folderCloud) GetObject(_ context.Context, bucket, key, owner string, to io.Writer) error {
	name, err := c.open(bucket, key, owner)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("getting s3://%s/%s: no such key", bucket, key)
	}
	_, err = to.Write(b)
	return err
}

func (c folderCloud) ListObjects(_ context.Context, bucket, prefix, _ string, most int) ([]string, error) {
	var keys []string
	root := filepath.Join(c.root, bucket)
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if key, _ := filepath.Rel(root, name); strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys[:min(most, len(keys))], err
}

func (c folderCloud) PutObject(_ context.Context, bucket, key, owner string, from io.ReadSeeker) error {
	name, err := c.open(bucket, key, owner)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(from)
	return errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, b, 0o600))
}

func (c folderCloud) Parameter(_ context.Context, name string) (string, bool, error) {
	value, ok := map[string]string{"/plain": "stored", "/where": "/plain"}[name]
	if !ok {
		return "", false, errors.New("no such parameter")
	}
	return value, false, nil
}

func (c folderCloud) Metadata(context.Context, string) (string, error) { return "i-1234", nil }

func (c folderCloud) Component(context.Context, string) ([]byte, error) {
	return []byte(steps(sh("Step", "echo component >> log"))), nil
}

// webServers are a server without and one with TLS.
func webServers(t *testing.T) (plain, secure string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/file.txt", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content\n") })
	mux.Handle("/moved", http.RedirectHandler("/file.txt", http.StatusFound))
	mux.HandleFunc("/file-scheme", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
	})
	a, b := httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	b.Config.ErrorLog = nil
	b.StartTLS()
	t.Cleanup(a.Close)
	t.Cleanup(b.Close)
	return a.URL, b.URL
}

// layOut makes the case's files. Nothing is started meanwhile: a program that
// inherits an open file would make it busy for whoever runs it.
func (c *conformanceCase) layOut(dir string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for name, content := range c.files {
		path := filepath.Join(dir, name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "work/bin/") {
			mode = 0o755
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), mode)); err != nil {
			return err
		}
	}
	return nil
}

// run runs the case's document, over restarts, and gives how its steps ended.
func (c *conformanceCase) run(t *testing.T) *toe.Result {
	t.Helper()
	b := newBench(t)
	work := filepath.Join(b.dir, "work")
	if err := os.MkdirAll(filepath.Join(work, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.layOut(b.dir); err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := webServers(t)
	b.options.Dir, b.options.Cloud, b.options.ExecutionID = work, folderCloud{filepath.Join(b.dir, "s3")}, "conformance"
	b.options.Env = append(os.Environ(), "PATH="+filepath.Join(work, "bin")+":"+os.Getenv("PATH"), "CONFORMANCE=from outside", "AWS_REGION=eu-north-1")
	b.options.Parameters = map[string]string{"Server": plain, "Secure": secure, "Work": work, "User": me.Username, "UserID": me.Uid, "Group": group.Name}
	r := b.run(c.document)
	for restarts := 0; r.ExitCode() == toe.ExitReboot; restarts++ {
		if restarts == 5 {
			t.Fatal("no end of restarts")
		}
		r = b.run(c.document)
	}
	if r.Detail == nil || len(r.Detail.Documents) == 0 {
		t.Fatalf("nothing was run: %s", r.Summary.FailureMessage)
	}
	for _, name := range []string{"console.log", "application.log", "detailedoutput.json", "chaining.json"} {
		text := b.log(r, name)
		for _, secret := range c.unlogged {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
	}
	return r
}

// checkResult compares how the steps ended with what was expected of them.
func (c *conformanceCase) checkResult(t *testing.T, r *toe.Result) {
	t.Helper()
	var got []*toe.StepResult
	for _, ph := range r.Detail.Documents[0].Phases {
		got = append(got, ph.Steps...)
	}
	for i, s := range got {
		if i >= len(c.expect) {
			t.Errorf("the step %s was not expected to run", s.Name)
			continue
		}
		want := c.expect[i]
		if s.Name != want.step || s.Status != want.status || !strings.Contains(s.FailureMessage, want.message) {
			t.Errorf("step %s ended as %s %q, want %s %s %q\n%s", s.Name, s.Status, s.FailureMessage, want.step, want.status, want.message, s.Stderr)
		}
	}
	for _, want := range c.expect[min(len(got), len(c.expect)):] {
		t.Errorf("the step %s did not run", want.step)
	}
}

// checkRefusals parses the steps that must be refused.
func (c *conformanceCase) checkRefusals(t *testing.T) {
	t.Helper()
	for name, text := range c.refuse {
		head, step, _ := strings.Cut(text, "\n")
		message, ok := strings.CutPrefix(head, "# ")
		if !ok {
			t.Errorf("refuse/%s does not say why", name)
		}
		_, problems := toe.Parse("refuse.yaml", []byte(steps(strings.TrimSpace(step))))
		if len(problems) == 0 || !strings.Contains(problems.Error(), message) {
			t.Errorf("refuse/%s: got %v, want %q", name, problems, message)
		}
	}
}

// TestConformance runs every case. What they exercised is docs/conformance.md,
// written anew with -update.
func TestConformance(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/conformance/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no cases", err)
	}
	slices.Sort(files)
	found := newCoverage()
	complete := true
	for _, file := range files {
		c := readCase(t, file)
		done := t.Run(c.name, func(t *testing.T) {
			if c.name == "UpdateOS" && os.Geteuid() != 0 {
				complete = false
				t.Skip("needs root, as UpdateOS does")
			}
			r := c.run(t)
			c.checkResult(t, r)
			c.checkRefusals(t)
			if !t.Failed() {
				found.add(t, c, r)
			}
		})
		complete = complete && done && found.cases[c.name]
	}
	if t.Failed() || !complete {
		return // one case alone, or a failure: the table would be wrong
	}
	table := found.table(t)
	const page = "../docs/conformance.md"
	if *update {
		if err := os.WriteFile(page, table, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if old, err := os.ReadFile(page); err != nil || !bytes.Equal(old, table) {
		t.Errorf("docs/conformance.md is not what the tests exercise: run go test ./toe -run TestConformance -update (%v)", err)
	}
}
