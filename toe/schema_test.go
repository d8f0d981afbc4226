package toe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/goldsmith-build/goldsmith/toe"
)

// compiledSchema compiles the schema, which fails if it is none of draft
// 2020-12.
func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(toe.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("component.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("component.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON reads YAML as editors do: into the values of JSON.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestSchemaAcceptsGoodDocuments: what the parser takes, the schema takes.
func TestSchemaAcceptsGoodDocuments(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	documents := map[string]string{"bash": document(bash)}
	for name, text := range realHabits {
		documents[name] = text
	}
	files, err := filepath.Glob("../examples/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range append(files, "testdata/every-action.yaml") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		documents[f] = string(b)
	}
	for name, text := range documents {
		if _, problems := toe.Parse(name, []byte(text)); problems != nil {
			continue // a file that is no component document
		}
		if err := s.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// beyondSchema are problems of stepProblems and documentProblems that a schema
// cannot express.
var beyondSchema = []string{
	"same name", "MSI property", "for zero", "for away", "wildcard in folder",
	"permissions", "bucket owner", // numbers by the time a schema sees them
	"is already used", "is not among its allowedValues",
}

// TestSchemaRefusesBadDocuments: what the parser refuses, the schema refuses,
// except for what is beyond it.
func TestSchemaRefusesBadDocuments(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	refused := 0
	check := func(name, text string) {
		beyond := slices.ContainsFunc(beyondSchema, func(part string) bool { return strings.Contains(name, part) })
		err := s.Validate(asJSON(t, text))
		if (err == nil) != beyond {
			t.Errorf("%s: refused %v, beyond the schema %v\n%s", name, err != nil, beyond, text)
		}
		if err != nil {
			refused++
		}
	}
	for _, tc := range stepProblems {
		check(tc.name, document(tc.step))
	}
	for text, want := range documentProblems {
		check(want, text)
	}
	if refused < 75 {
		t.Errorf("only %d documents were refused", refused)
	}
}

// TestSchemaRefusesMisspeltKeys misspells every key of a good document, one at
// a time: parser and schema both notice, but for names that are the writer's
// own.
func TestSchemaRefusesMisspeltKeys(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	b, err := os.ReadFile("testdata/every-action.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	own := []string{"Color", "Unset", "Limit", "TARGETDIR"}
	count := 0
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 && !slices.Contains(own, child.Value) {
				right := child.Value
				child.Value += "x"
				text, err := yaml.Marshal(&tree)
				if err != nil {
					t.Fatal(err)
				}
				child.Value = right
				_, problems := toe.Parse("d", text)
				refused := s.Validate(asJSON(t, string(text)))
				if problems == nil || refused == nil {
					t.Errorf("%sx on line %d: parser %d problems, schema %v", right, child.Line, len(problems), refused)
				}
				count++
				continue
			}
			walk(child)
		}
	}
	walk(&tree)
	if count < 200 {
		t.Errorf("only %d keys were tried", count)
	}
}

// TestSchemaDescribesEverything: editors show something for every key.
func TestSchemaDescribesEverything(t *testing.T) {
	t.Parallel()
	var doc map[string]any
	if err := json.Unmarshal(toe.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	count := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok && v["additionalProperties"] == false {
				for name, p := range properties {
					if d, _ := p.(map[string]any)["description"].(string); len(d) < 8 || !strings.HasSuffix(d, ".") {
						t.Errorf("%s.%s is described as %q", path, name, d)
					}
					count++
				}
			}
			for name, child := range v {
				walk(path+"."+name, child)
			}
		case []any:
			for i, child := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), child)
			}
		}
	}
	walk("", doc)
	if count < 150 {
		t.Errorf("only %d properties were looked at", count)
	}
}
