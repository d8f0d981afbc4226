package roundtrip

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/api/sns"
	"github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

// echo is what the server received last and what it answers next. A client
// tells it over a control port, in plain JSON.
type echo struct {
	mu       sync.Mutex
	received json.RawMessage
	output   json.RawMessage
	fault    *fault.Error
}

func services() []*shape.Service {
	return []*shape.Service{
		imagebuilder.Serve(imagebuilder.Unimplemented{}),
		ec2.Serve(ec2.Unimplemented{}),
		sns.Serve(sns.Unimplemented{}),
		ssm.Serve(ssm.Unimplemented{}),
		sts.Serve(sts.Unimplemented{}),
	}
}

// describe makes the services answer from e. Their constraints stay or go.
func (e *echo) describe(constraints bool) []*shape.Service {
	all := services()
	for _, s := range all {
		for i := range s.Operations {
			op := &s.Operations[i]
			output := reflect.TypeOf(op.Output).Elem()
			if !constraints {
				op.Validate = nil
			}
			op.Call = func(_ context.Context, in any) (any, error) { return e.call(in, output) }
		}
	}
	return all
}

func (e *echo) call(in any, output reflect.Type) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var err error
	if e.received, err = json.Marshal(in); err != nil {
		return nil, err
	}
	if e.fault != nil {
		return nil, e.fault
	}
	out := reflect.New(output).Interface()
	if e.output != nil {
		err = json.Unmarshal(e.output, out)
	}
	return out, err
}

// ServeHTTP is the control port: POST sets the next answer, GET gives the last
// input.
func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.Method == http.MethodGet {
		w.Write(e.received)
		return
	}
	var next struct {
		Output json.RawMessage
		Fault  *fault.Error
	}
	if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	e.received, e.output, e.fault = nil, next.Output, next.Fault
}

// start serves the echoing services and gives their URL and the control URL.
func start(t *testing.T, constraints bool) (url, control string) {
	t.Helper()
	e := &echo{}
	h, err := wire.New(wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}, Logger: slog.New(slog.DiscardHandler)}, e.describe(constraints)...)
	if err != nil {
		t.Fatal(err)
	}
	server, ctl := httptest.NewServer(h), httptest.NewServer(e)
	t.Cleanup(server.Close)
	t.Cleanup(ctl.Close)
	return server.URL, ctl.URL
}

// python gives an interpreter with botocore, or skips.
func python(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	name := os.Getenv("GOLDSMITH_PYTHON")
	if name == "" {
		name = filepath.Join(root, ".venv", "bin", "python")
	}
	if out, err := exec.CommandContext(t.Context(), name, "-c", "import botocore").CombinedOutput(); err != nil {
		t.Skipf("no Python with botocore: set GOLDSMITH_PYTHON or make .venv (%v %s)", err, out)
	}
	return name
}

// environment is what a client needs to reach a server at url, and nothing
// else of this machine's AWS settings.
func environment(t *testing.T, url string) []string {
	inherited := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	return append(inherited,
		"AWS_ACCESS_KEY_ID="+wiretest.Key.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+string(wiretest.Key.SecretAccessKey),
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_MAX_ATTEMPTS=1", "AWS_ENDPOINT_URL="+url, "AWS_PAGER=", "PYTHONDONTWRITEBYTECODE=1", "HOME="+t.TempDir(),
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
	)
}

// script runs one of the Python files here against the server at url.
func script(t *testing.T, interpreter, url string, args ...string) string {
	t.Helper()
	return scriptAs(t, wiretest.Key.AccessKeyID, string(wiretest.Key.SecretAccessKey), interpreter, url, args...)
}

// scriptAs is script with another access key.
func scriptAs(t *testing.T, key, secret, interpreter, url string, args ...string) string {
	t.Helper()
	// Reading them tells go test what its cached result depends on.
	for _, f := range []string{"roundtrip.py", "constraints.py", "sample.py"} {
		if _, err := os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), interpreter, args...)
	cmd.Env = append(environment(t, url), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
	return string(out)
}
