package workflow

import (
	"time"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// Problem and Problems are what is wrong with a document, with line and column.
type (
	Problem  = problem.Problem
	Problems = problem.Problems
)

// Type is the kind of a workflow, as the API spells it.
type Type string

// The types of workflow (service model, WorkflowType).
const (
	Build        Type = "BUILD"
	Test         Type = "TEST"
	Distribution Type = "DISTRIBUTION"
)

// Document is a workflow document that was read without problems.
type Document struct {
	Name          string
	Description   string
	SchemaVersion string // "1.0"
	Parameters    []Parameter
	Steps         []Step
	Outputs       []Output

	location string
}

// ParameterType is the type of a parameter.
type ParameterType string

// The types of parameter. The value of a StringList is a []any of strings, of
// an Integer an int64.
const (
	String     ParameterType = "string"
	Integer    ParameterType = "integer"
	Boolean    ParameterType = "boolean"
	StringList ParameterType = "stringList"
)

// Parameter is a value that the caller of a workflow gives.
type Parameter struct {
	Name        string
	Description string
	Type        ParameterType
	Default     any // of the type; nil if a value must be given
}

// DefaultStrings gives the default as the API shows it, a list of strings; nil
// if there is none.
func (p Parameter) DefaultStrings() []string { return asStrings(p.Default) }

// OnFailure says what the failure of a step does to its workflow.
type OnFailure string

// The values of a step's onFailure. Abort is the default.
const (
	Abort    OnFailure = "Abort"
	Continue OnFailure = "Continue"
)

// Step is one step of a document.
type Step struct {
	Name        string
	Description string
	Action      *Action
	If          *Condition // nil: the step always runs
	OnFailure   OnFailure
	Timeout     time.Duration // of one attempt
	Wait        time.Duration // pause at the start of each attempt; part of Timeout
	Retry       Retry

	inputs   *mapping // what the step's inputs are made of; nil if none are given
	rollback value    // a bool or a reference to one; nil means true

	line, column int
}

// Retry says how often a step is tried.
type Retry struct {
	MaxAttempts int           // 1 to 10, the first included
	Backoff     time.Duration // between two attempts, at most 600 s
}

// Output is a value that later workflows see as $.workflowOutputs.NAME.
type Output struct {
	Name  string
	value value
}

// Uses reports whether one of the step's inputs comes from an output of the
// step with the given name.
func (s *Step) Uses(step string) bool {
	used := false
	s.references(func(p Path, _ place) {
		used = used || p.Root == StepOutputs && p.Name == step
	})
	return used
}

// TakesInstance reports whether the step works on an instance that exists.
func (s *Step) TakesInstance() bool { return find(s.Action.Inputs, instanceID.Name) != nil }

// references calls f for every reference in the step's inputs, its condition
// and its rollbackEnabled.
func (s *Step) references(f func(Path, place)) {
	if s.inputs != nil {
		s.inputs.references(f)
	}
	if s.rollback != nil {
		s.rollback.references(f)
	}
	if s.If != nil {
		s.If.references(f)
	}
}
