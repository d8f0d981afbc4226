//go:build unix

package toe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/toe"
)

// memoryCloud is AWS in memory.
type memoryCloud struct {
	objects map[string]string // by bucket/key
	full    bool              // nothing can be put
}

func (c *memoryCloud) GetObject(_ context.Context, bucket, key, _ string, to io.Writer) error {
	content, ok := c.objects[bucket+"/"+key]
	if !ok {
		return fmt.Errorf("getting s3://%s/%s: no such key", bucket, key)
	}
	_, err := io.WriteString(to, content)
	return err
}

func (c *memoryCloud) ListObjects(context.Context, string, string, string, int) ([]string, error) {
	return nil, nil
}

func (c *memoryCloud) PutObject(_ context.Context, bucket, key, _ string, from io.ReadSeeker) error {
	if c.full {
		return errors.New("access denied")
	}
	b, err := io.ReadAll(from)
	c.objects[bucket+"/"+key] = string(b)
	return err
}

func (c *memoryCloud) Parameter(_ context.Context, name string) (string, bool, error) {
	switch name {
	case "/plain":
		return "open", false, nil
	case "/where":
		return "/plain", false, nil
	case "/secret":
		return `hu"sh`, true, nil
	case "/lines":
		return "a\nb", true, nil
	}
	return "", false, errors.New("no such parameter")
}

func (c *memoryCloud) Metadata(_ context.Context, path string) (string, error) {
	return "metadata:" + path, nil
}

func (c *memoryCloud) Component(_ context.Context, arn string) ([]byte, error) {
	return []byte("name: from " + arn + "\n" + steps(sh("Step", "echo component >> log"))), nil
}

func TestCloudReferences(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Cloud = &memoryCloud{}
	const head = "schemaVersion: 1.0\nconstants:\n  - Name: {type: string, value: /plain}\nphases:\n  - name: build\n    steps:\n      - "
	r := b.run(head + "{name: Write, action: CreateFile, inputs: [{path: out, content: '{{ aws:ssm:/plain }} {{ aws:ssm:resolve(Name) }} {{ aws:ssm:resolve(aws:ssm:/where) }} {{ aws:imds:instance-id }}'}]}\n")
	if got, want := b.read("out"), "open open open metadata:instance-id"; r.Summary.Status != "success" || got != want {
		t.Errorf("wrote %q, want %q: %+v", got, want, r.Failure)
	}
	for ref, want := range map[string]string{"aws:ssm:/none": "no such parameter", "aws:ssm:/lines": "the secret has several lines"} {
		b := newBench(t)
		b.options.Cloud = &memoryCloud{}
		r := b.run(steps(sh("Step", "echo {{ "+ref+" }}")))
		if r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, want) {
			t.Errorf("%s: failure %+v", ref, r.Failure)
		}
	}
	if r := newBench(t).run(steps(sh("Step", "echo {{ aws:ssm:/plain }}"))); r.Failure == nil || !strings.Contains(r.Failure.ErrorMessage, "this run has no access to AWS") {
		t.Errorf("failure %+v", r.Failure)
	}
}

// TestCloudSecrets: a secret reaches the step and nothing else.
func TestCloudSecrets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Cloud = &memoryCloud{}
	r := b.run(steps(
		"{name: Write, action: CreateFile, inputs: [{path: out, content: '{{ aws:ssm:/secret }}'}]}",
		"{name: Show, action: ReadFile, inputs: [{path: out, printFileContent: true}]}",
		sh("Print", "cat out; cat out >&2; exit 3"),
	))
	if b.read("out") != `hu"sh` || r.Failure == nil || r.Failure.Stderr != "********" {
		t.Errorf("wrote %q, failure %+v", b.read("out"), r.Failure)
	}
	files, err := filepath.Glob(filepath.Join(r.Summary.LogURL, "*"))
	if err != nil || len(files) < 5 {
		t.Fatalf("log files %v, %v", files, err)
	}
	texts := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[f] = string(b)
	}
	events, err := json.Marshal(b.events)
	if err != nil {
		t.Fatal(err)
	}
	texts["events"] = string(events)
	for name, text := range texts {
		for _, form := range []string{`hu"sh`, `hu\"sh`, `hu\\\"sh`} {
			if strings.Contains(text, form) {
				t.Errorf("%s tells the secret", name)
			}
		}
	}
}

func TestCloudDocuments(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:imagebuilder:us-east-1:123456789012:component/x/1.0.0/1"
	b := newBench(t)
	b.options.Cloud = &memoryCloud{objects: map[string]string{"bucket/doc.yaml": steps("{name: Run, action: ExecuteDocument, inputs: {document: '" + arn + "'}}")}}
	b.options.Documents = []toe.Source{{Path: "s3://bucket/doc.yaml"}, {Path: arn}}
	r, err := toe.Run(context.Background(), b.options)
	if err != nil || r.Summary.Status != "success" || b.read("log") != "component\ncomponent\n" {
		t.Errorf("%+v, %v", r, err)
	}
	b.options.Documents = []toe.Source{{Path: "s3://bucket/none.yaml"}}
	r, err = toe.Run(context.Background(), b.options)
	if err != nil || r.Summary.FailureMessage != "s3://bucket/none.yaml: getting s3://bucket/none.yaml: no such key" {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestFetchHuge: a document that never ends is not read to its end.
func TestFetchHuge(t *testing.T) {
	t.Parallel()
	cloud := &memoryCloud{objects: map[string]string{"b/k": strings.Repeat("x", 3*toe.MaxDocumentBytes)}}
	for _, location := range []string{"s3://b/k", "/dev/zero"} {
		data, err := toe.Fetch(context.Background(), cloud, location, "")
		if err != nil || len(data) != toe.MaxDocumentBytes+1 {
			t.Errorf("%s: %d bytes, %v", location, len(data), err)
		}
	}
}

func TestLogUpload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cloud := &memoryCloud{objects: map[string]string{}}
	b.options.Cloud, b.options.LogBucket, b.options.LogPrefix, b.options.ExecutionID = cloud, "logs", "a/b", "/i-123"
	r := b.run(steps(sh("Step", "exit 1")))
	if r.Summary.LogURL != "s3://logs/a/b/i-123" || !strings.Contains(cloud.objects["logs/a/b/i-123/console.log"], "Execution failed!") {
		t.Errorf("url %s", r.Summary.LogURL)
	}
	var names []string
	for name := range cloud.objects {
		names = append(names, filepath.Base(name))
	}
	slices.Sort(names)
	if want := []string{"application.log", "chaining.json", "console.log", "detailedoutput.json", "document.yaml"}; !slices.Equal(names, want) {
		t.Errorf("uploaded %v", names)
	}
	b = newBench(t)
	b.options.Cloud, b.options.LogBucket = &memoryCloud{full: true}, "logs"
	if r := b.run(steps(sh("Step", "true"))); r.Summary.Status != "success" || strings.HasPrefix(r.Summary.LogURL, "s3:") {
		t.Errorf("a failed upload gave %+v", r.Summary)
	}
}
