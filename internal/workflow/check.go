package workflow

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// references checks every reference of a document: parameters and variables
// have to exist, and steps to come before.
func (p *parser) references() {
	for i := range p.doc.Steps {
		p.doc.Steps[i].references(func(path Path, at place) { p.checkPath(path, at, i) })
	}
	for _, o := range p.doc.Outputs {
		if o.value != nil {
			o.value.references(func(path Path, at place) { p.checkPath(path, at, len(p.doc.Steps)) })
		}
	}
}

// checkPath checks a reference that stands in step number at, or in an output.
func (p *parser) checkPath(path Path, at place, step int) {
	report := func(rule, suggestion, format string, args ...any) {
		p.report(Problem{Line: at.line, Column: at.column, Path: at.path, Rule: rule, Suggestion: suggestion, Message: fmt.Sprintf(format, args...)})
	}
	switch path.Root {
	case Parameters:
		names := make([]string, 0, len(p.doc.Parameters))
		for _, parameter := range p.doc.Parameters {
			names = append(names, parameter.Name)
		}
		if !slices.Contains(names, path.Name) {
			report("unknown-parameter", problem.Nearest(path.Name, names), "%s: the document declares no parameter '%s'.", path, shorten(path.Name))
		}
	case ImageBuilder:
		if !slices.Contains(Variables, path.Name) {
			report("unknown-variable", problem.Nearest(path.Name, Variables), "%s: there is no variable '%s'.", path, shorten(path.Name))
		}
	case StepOutputs:
		names := make([]string, 0, len(p.doc.Steps))
		for _, s := range p.doc.Steps {
			names = append(names, s.Name)
		}
		switch i := slices.Index(names, path.Name); {
		case i < 0:
			report("unknown-step", problem.Nearest(path.Name, names), "%s: there is no step '%s'.", path, shorten(path.Name))
		case i >= step:
			report("later-step", "", "%s: the step '%s' runs only later.", path, path.Name)
		default:
			p.checkOutput(path, &p.doc.Steps[i], report)
		}
	}
}

func (p *parser) checkOutput(path Path, s *Step, report func(rule, suggestion, format string, args ...any)) {
	name := path.Output()
	if s.Action == nil || name == "" && len(path.rest) == 0 {
		return
	}
	if !slices.Contains(s.Action.Outputs, name) {
		report("unknown-output", problem.Nearest(name, s.Action.Outputs), "%s: the action %s has no output '%s'.", path, s.Action.Name, shorten(name))
	}
}

// CheckType finds what keeps a document from being a workflow of a type in this
// version: actions of other stages, actions that cannot stand together, and
// actions that do not run here. has tells which Lambda functions and state
// machines the server has; nil: none.
func (d *Document) CheckType(t Type, has func(name string) bool) Problems {
	if has == nil {
		has = func(string) bool { return false }
	}
	var problems Problems
	report := func(s *Step, rule, format string, args ...any) {
		problems = append(problems, Problem{Document: d.location, Line: s.line, Column: s.column, Rule: rule, Message: fmt.Sprintf(format, args...)})
	}
	var containers, amis *Step
	for i := range d.Steps {
		s := &d.Steps[i]
		if !slices.Contains(s.Action.Types, t) {
			report(s, "wrong-stage", "The step '%s' uses the action %s, which a workflow of the type %s cannot have; it is for %s.", s.Name, s.Action.Name, t, typeList(s.Action.Types))
		}
		if s.Action.Unavailable != "" {
			report(s, "unavailable", "The step '%s' uses the action %s: %s.", s.Name, s.Action.Name, s.Action.Unavailable)
		}
		if why := s.unavailableInput(has); why != "" {
			report(s, "unavailable", "The step '%s' uses the action %s: %s.", s.Name, s.Action.Name, why)
		}
		switch s.Action.Name {
		case "DistributeContainerImage":
			containers = s
		case "DistributeImage", "ModifyImageAttributes", "ApplyImageConfigurations":
			amis = s
		}
	}
	if containers != nil && amis != nil {
		report(containers, "mixed-distribution", "A workflow distributes either AMIs or container images: the actions DistributeContainerImage and %s cannot stand together.", amis.Action.Name)
	}
	return problems
}

func typeList(types []Type) string {
	text := ""
	for i, t := range types {
		switch {
		case i == 0:
		case i == len(types)-1:
			text += " and "
		default:
			text += ", "
		}
		text += string(t)
	}
	return text
}

// shellDocument is the one command document that RunCommand runs.
const shellDocument = "AWS-RunShellScript"

// RefuseCommandDocument says why RunCommand does not run a Systems Manager
// document, "" if it does.
func RefuseCommandDocument(name string) string {
	switch name {
	case shellDocument:
		return ""
	case "AWS-RunPowerShellScript":
		return "the document AWS-RunPowerShellScript is for Windows instances, which do not run in this version"
	}
	return fmt.Sprintf("the document '%s' is not there; RunCommand runs %s, with the parameters commands, workingDirectory and executionTimeout", shorten(name), shellDocument)
}

// unavailableInput says why this version does not run a step with the inputs
// that stand in the document, "" if it does.
func (s *Step) unavailableInput(has func(string) bool) string {
	text := func(name string) (string, bool) {
		v, _ := s.inputs.get(name)
		l, _ := v.(literal)
		t, ok := l.v.(string)
		return t, ok
	}
	switch s.Action.Name {
	case "RunCommand":
		if name, ok := text("documentName"); ok {
			return RefuseCommandDocument(name)
		}
	case "WaitForAction":
		if name, ok := text("lambdaFunctionName"); ok && !has(name) {
			return NoFunction("lambdaFunctionName", name)
		}
		if payload, ok := text("payload"); ok && !json.Valid([]byte(payload)) {
			return "payload is not JSON"
		}
	case "ExecuteStateMachine":
		if arn, ok := text("stateMachineArn"); ok && !has(arn) {
			return NoFunction("stateMachineArn", arn)
		}
		if input, ok := text("input"); ok && !json.Valid([]byte(input)) {
			return "input is not JSON"
		}
	}
	return ""
}

// NoFunction says that nothing stands for a Lambda function or state machine.
func NoFunction(input, name string) string {
	return fmt.Sprintf("%s: the server's configuration file has no entry '%s' under functions that says which program or web service it is", input, shorten(name))
}
