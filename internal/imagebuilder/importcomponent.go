package imagebuilder

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// ImportComponent makes a component of a shell script: a document with one step
// that runs it, in the phase of the component's type.
func (s *Service) ImportComponent(ctx context.Context, in *api.ImportComponentInput) (*api.ImportComponentOutput, error) {
	r := s.request(ctx, "ImportComponent")
	v, err := parseVersion(text(in.SemanticVersion))
	if err == nil {
		err = exact(v)
	}
	if err != nil {
		return nil, err
	}
	if (in.Data == nil) == (in.Uri == nil) {
		return nil, combination("You must specify either data or uri, and not both.")
	}
	member, script := "data", []byte(text(in.Data))
	if in.Uri != nil {
		member = "uri"
		if script, err = s.fetch(ctx, member, *in.Uri, componentSize); err != nil {
			return nil, err
		}
	}
	if len(script) == 0 || !utf8.Valid(script) {
		return nil, invalid(member, "It must be a script in UTF-8 that is not empty.")
	}
	data, err := scriptDocument(in, string(script))
	if err != nil {
		return nil, err
	}
	if len(data) > componentSize {
		return nil, invalid(member, "The component document that the script makes is longer than %d bytes.", componentSize)
	}
	doc, err := checkDocument(member, data, or(in.Platform, ""))
	if err != nil {
		return nil, err
	}
	shape := &api.Component{
		Name: in.Name, Version: in.SemanticVersion, Description: in.Description, ChangeDescription: in.ChangeDescription, Type: in.Type, Platform: in.Platform, KmsKeyId: in.KmsKeyId, Tags: in.Tags,
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.ImportComponentOutput, error) {
		if _, err := s.addComponent(tx, r, shape, v, data, doc, nil); err != nil {
			return nil, err
		}
		return &api.ImportComponentOutput{ClientToken: in.ClientToken, ComponentBuildVersionArn: shape.Arn}, nil
	})
}

// braces is the constant that stands for "{{" in an imported script, which would
// begin a reference in a document. Constants are not looked through for
// references, so that the script runs as it was.
const braces = "OpeningBraces"

type scriptStep struct {
	Name   string `yaml:"name"`
	Action string `yaml:"action"`
	Inputs struct {
		Commands []string `yaml:"commands"`
	} `yaml:"inputs"`
}

type scriptPhase struct {
	Name  string       `yaml:"name"`
	Steps []scriptStep `yaml:"steps"`
}

type scriptConstant struct {
	Type  string `yaml:"type"`
	Value string `yaml:"value"`
}

type scriptComponent struct {
	Name          string                      `yaml:"name"`
	Description   string                      `yaml:"description,omitempty"`
	SchemaVersion string                      `yaml:"schemaVersion"`
	Constants     []map[string]scriptConstant `yaml:"constants,omitempty"`
	Phases        []scriptPhase               `yaml:"phases"`
}

// scriptDocument writes the component document of a script.
func scriptDocument(in *api.ImportComponentInput, script string) ([]byte, error) {
	doc := scriptComponent{Name: text(in.Name), Description: text(in.Description), SchemaVersion: "1.0"}
	if strings.Contains(script, "{{") {
		doc.Constants = []map[string]scriptConstant{{braces: {Type: "string", Value: "{{"}}}
		script = strings.ReplaceAll(script, "{{", "{{ "+braces+" }}")
	}
	step := scriptStep{Name: "RunScript", Action: "ExecuteBash"}
	if or(in.Platform, "") == api.PlatformWindows {
		step.Action = "ExecutePowerShell"
	}
	step.Inputs.Commands = []string{script}
	phase := buildPhase
	if or(in.Type, "") == api.ComponentTypeTest {
		phase = testPhase
	}
	doc.Phases = []scriptPhase{{Name: phase, Steps: []scriptStep{step}}}
	data, err := yaml.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("writing a component document: %w", err)
	}
	return data, nil
}
