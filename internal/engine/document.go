package engine

import (
	"bytes"
	"embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Document is a workflow document (User Guide, "Create a YAML workflow
// document"): steps that run in order, and outputs for later workflows.
type Document struct {
	Name          string           `yaml:"name"`
	Description   string           `yaml:"description"`
	SchemaVersion string           `yaml:"schemaVersion"`
	Steps         []StepDocument   `yaml:"steps"`
	Outputs       []OutputDocument `yaml:"outputs"`
}

// StepDocument is one step of a workflow document.
type StepDocument struct {
	Name           string         `yaml:"name"`
	Action         string         `yaml:"action"`
	Description    string         `yaml:"description"`
	Inputs         map[string]any `yaml:"inputs"`
	If             map[string]any `yaml:"if"`
	OnFailure      string         `yaml:"onFailure"` // "Abort" (default) or "Continue"
	TimeoutSeconds int            `yaml:"timeoutSeconds"`
}

// OutputDocument names a value for later workflows: $.workflowOutputs.NAME.
type OutputDocument struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

//go:embed managed/*.yaml
var managedFiles embed.FS

// mustManaged parses a document that is part of the program.
func mustManaged(name string) *Document {
	data, err := managedFiles.ReadFile("managed/" + name + ".yaml")
	if err != nil {
		panic(err)
	}
	doc, err := parseDocument(data)
	if err != nil {
		panic(fmt.Sprintf("managed workflow %s: %v", name, err))
	}
	return doc
}

// parseDocument reads a workflow document and refuses unknown keys, unknown
// actions and steps of the same name.
func parseDocument(data []byte) (*Document, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var doc Document
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for i := range doc.Steps {
		step := &doc.Steps[i]
		act, ok := actions[step.Action]
		switch {
		case step.Name == "" || seen[step.Name]:
			return nil, fmt.Errorf("steps[%d]: the name %q is empty or used twice", i, step.Name)
		case !ok:
			return nil, fmt.Errorf("steps[%d] (%s): unknown action %q", i, step.Name, step.Action)
		case step.OnFailure == "":
			step.OnFailure = "Abort"
		case step.OnFailure != "Abort" && step.OnFailure != "Continue":
			return nil, fmt.Errorf("steps[%d] (%s): onFailure is Abort or Continue, not %q", i, step.Name, step.OnFailure)
		}
		if step.TimeoutSeconds == 0 {
			step.TimeoutSeconds = int(act.timeout.Seconds())
		}
		seen[step.Name] = true
	}
	return &doc, nil
}
