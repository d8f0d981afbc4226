package cli_test

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goldsmith-build/goldsmith/toe/cli"
)

// awkward are documents with names and texts that every format must escape.
func awkward(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "a b%20ü&<'\".yaml"), filepath.Join(dir, "missing:1.yaml"), "s3://bucket/key"}
	document := "schemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - {name: 'S <&\"]]>\\u0001', action: \"Bad\\u0007]]>&\", inputs: {commands: [\"a\\u0001\", b]}}\n"
	if err := os.WriteFile(paths[0], []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return paths
}

func validate(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := cli.Main(append([]string{"validate"}, args...), strings.NewReader(""), &out, &errs); code != 1 {
		t.Fatalf("status %d: %s", code, errs.String())
	}
	return out.String()
}

func TestSARIFSchema(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("testdata/sarif-required.json")
	if err != nil {
		t.Fatal(err)
	}
	text := validate(t, append(awkward(t), "--format", "sarif")...)
	log, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(log); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	if !strings.Contains(text, "/a%20b%2520%C3%BC&%3C%27%22.yaml") {
		t.Errorf("no escaped file URI in\n%s", text)
	}
}

func TestJUnitIsXML(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	text := validate(t, append(awkward(t), "--format", "junit")...)
	var suites struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Text string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal([]byte(text), &suites); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if suites.Tests != 3 || suites.Failures != 3 || len(suites.Cases) != 3 || suites.Cases[0].Failure == nil || !strings.Contains(suites.Cases[0].Failure.Text, "]]>&") {
		t.Errorf("read as %+v\n%s", suites, text)
	}
}
