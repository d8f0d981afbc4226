package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the sample package")

var sampleConfig = ServiceConfig{Package: "sample", Model: "sample/2026-01-01", Operations: []string{"PutThing", "Empty"}, Internal: "InternalFailure"}

// The package sample is generated from a small model with all that the
// generator knows; its own tests say how the checks behave.
func TestSampleIsCurrent(t *testing.T) {
	t.Parallel()
	files, err := generate(filepath.Join("testdata", "models"), sampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	put := compare
	if *update {
		put = write
	}
	if err := put("sample", files); err != nil {
		t.Errorf("%v (go test ./internal/apigen -update)", err)
	}
}

func TestTheSameModelGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	first, err := generate(filepath.Join("testdata", "models"), sampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	shuffled := sampleConfig
	shuffled.Operations = []string{"Empty", "PutThing"}
	for range 5 {
		again, err := generate(filepath.Join("testdata", "models"), shuffled)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
	}
}

// What the generator does not understand has to stop it.
func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"pattern":            {`[a-z\\u00e9]+`, `(?<=a)b`, "cannot be checked by RE2"},
		"protocol":           {`"protocol": "query"`, `"protocol": "cbor"`, `protocol "cbor" is not supported`},
		"payload":            {`"required": ["name", "things"]`, `"payload": "name"`, "payload members"},
		"union":              {`"required": ["name", "things"]`, `"union": true`, "unions"},
		"streaming":          {`{"shape": "Blob"}`, `{"shape": "Blob", "streaming": true}`, "trait"},
		"header":             {`{"shape": "Color"}`, `{"shape": "Color", "location": "header"}`, `location "header"`},
		"timestamp format":   {`{"type": "timestamp"}`, `{"type": "timestamp", "timestampFormat": "rfc822"}`, "timestamp format"},
		"unknown type":       {`{"type": "blob"}`, `{"type": "bigdecimal"}`, `unknown type "bigdecimal"`},
		"missing shape":      {`{"shape": "Boolean"}`, `{"shape": "Nowhere"}`, "no shape Nowhere"},
		"nested list":        {`"member": {"shape": "Percentage"}`, `"member": {"shape": "FreeList"}`, "lists of lists"},
		"constrained floats": {`"member": {"shape": "Percentage"}`, `"member": {"shape": "Ratio"}`, "constraints on lists of doubles"},
		"two enum values":    {`"dark-blue"`, `"red"`, "ColorRed"},
		"name taken":         {`"Empty": {`, `"Unimplemented": {"http": {}}, "Empty": {`, ""},
		"response code": {`"requestUri": "/"},
      "input"`, `"requestUri": "/", "responseCode": 202},
      "input"`, "response code 202"},
		"not JSON": {`{`, ``, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("testdata/models/sample/2026-01-01/service-2.json")
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), c.old, c.new, 1)
			if changed == string(text) {
				t.Fatalf("the model has no %q", c.old)
			}
			models := t.TempDir()
			file(t, filepath.Join(models, "sample/2026-01-01/service-2.json"), changed)
			_, err = generate(models, sampleConfig)
			if c.want == "" {
				if err != nil {
					t.Errorf("an operation that was not asked for stopped it: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]string{
		`{`:               "unexpected EOF",
		`{"servces": []}`: "unknown field",
		`{"services": [{"package": "x", "model": "none/1"}]}`:                                              "no such file",
		`{"services": [{"package": "x", "model": "sample/2026-01-01", "operations": ["Nothing"]}]}`:        "no such operation",
		`{"services": [{"package": "x", "model": "sample/2026-01-01", "operations": ["Empty", "Empty"]}]}`: "is taken by",
	} {
		config := filepath.Join(dir, "apigen.json")
		file(t, config, text)
		if err := run(filepath.Join("testdata", "models"), config, filepath.Join(dir, "out"), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", text, err, want)
		}
	}
}

func TestRunReplacesWhatItGeneratedAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, err := json.Marshal(Config{Services: []ServiceConfig{sampleConfig}})
	if err != nil {
		t.Fatal(err)
	}
	file(t, filepath.Join(dir, "apigen.json"), string(config))
	file(t, filepath.Join(dir, "sample/old.go"), generatedMark+" long ago.\npackage sample\n")
	file(t, filepath.Join(dir, "sample/own.go"), "package sample\n")
	// The model is compressed, as releases have it.
	text, err := os.ReadFile("testdata/models/sample/2026-01-01/service-2.json")
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file(t, filepath.Join(dir, "models/sample/2026-01-01/service-2.json.gz"), packed.String())
	again := func(verify bool) error {
		return run(filepath.Join(dir, "models"), filepath.Join(dir, "apigen.json"), dir, verify)
	}
	if err := again(true); err == nil || !strings.Contains(err.Error(), "is not current: checks_inputs.go,") || !strings.Contains(err.Error(), "old.go") {
		t.Errorf("verify before: %v", err)
	}
	if err := again(false); err != nil {
		t.Fatal(err)
	}
	if err := again(true); err != nil {
		t.Errorf("verify after: %v", err)
	}
	want, err := generate(filepath.Join("testdata", "models"), sampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	names := append(slices.Collect(maps.Keys(want)), "own.go")
	got, err := filepath.Glob(filepath.Join(dir, "sample", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i] = filepath.Base(got[i])
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
