package toe

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// Problem is one thing that is wrong with a document, and where.
type Problem = problem.Problem

// Problems is everything that is wrong with a document, in the order of its
// text. It is an error; use Err to get a nil error for none.
type Problems = problem.Problems

// Severity says how bad a Problem is: SeverityError, SeverityWarning or
// SeverityNote.
type Severity = problem.Severity

// The severities. Only errors make a document invalid.
const (
	SeverityError   = problem.Error
	SeverityWarning = problem.Warning
	SeverityNote    = problem.Note
)

// Document is a component document that was read.
type Document struct {
	Name           string
	Description    string
	SchemaVersion  string // always "1.0"
	Parameters     []Parameter
	Constants      []Constant
	Phases         []Phase
	DisableLogging bool

	location string // the name given to Parse
	data     []byte
	warnings Problems
}

// Parameter is a value that the caller may set.
type Parameter struct {
	Name          string
	Type          string // always "string"
	Default       *string
	Description   string
	AllowedValues []string // nil for any
	Line          int
}

// Constant is a value that the document sets.
type Constant struct {
	Name  string
	Type  string // always "string"
	Value string
	Line  int
}

// Phase is a named list of steps.
type Phase struct {
	Name           string
	Steps          []Step
	DisableLogging bool
	Line           int

	nameNode *source.Node // nil if it has none
}

// Values of a step's OnFailure.
const (
	Abort    = "Abort"
	Continue = "Continue"
	Ignore   = "Ignore"
)

// Step is one use of an action.
type Step struct {
	Name           string
	Action         string
	TimeoutSeconds int // -1 for no limit
	OnFailure      string
	MaxAttempts    int
	DisableLogging bool
	Loop           *Loop
	Line, Column   int

	module    *action.Module // nil if the action is unknown
	entries   []entry        // of a Map or List module
	condition *condition.Expr
	when      *when // the step's "if"
	inputs    *source.Node
}

// HasCondition says whether the step has an "if".
func (s *Step) HasCondition() bool { return s.when != nil }

// Loop runs a step's action once for every value. Exactly one of its forms is
// set.
type Loop struct {
	Name string // "" if it has none
	For  *For
	// ForEach holds the items as written, references included.
	ForEach []string
	// List and Delimiter are the delimited form.
	List, Delimiter string

	items     []reference.Text
	list      reference.Text
	delimited bool
	node      *source.Node // of forEach
}

// For counts from Start to End, both included.
type For struct{ Start, End, UpdateBy int }

// when is a step's condition and what to do about its result.
type when struct {
	expr    *condition.Expr
	outcome condition.Outcome
}

// entry is one mapping of inputs.
type entry struct {
	fields []field
	node   *source.Node
}

// field is an input that was given. Exactly one form of its value is set.
type field struct {
	schema *action.Field
	node   *source.Node
	text   reference.Text // String, Bool, Int, and Any
	list   []reference.Text
	pairs  []pair // Pairs and StringMap
	isList bool
}

type pair struct{ name, value reference.Text }

// PhaseNames gives the names of the phases in their order.
func (d *Document) PhaseNames() []string {
	names := make([]string, len(d.Phases))
	for i := range d.Phases {
		names[i] = d.Phases[i].Name
	}
	return names
}

// Location is the name that was given to Parse.
func (d *Document) Location() string { return d.location }

// Hash identifies the document's exact text.
func (d *Document) Hash() string {
	sum := sha256.Sum256(d.data)
	return hex.EncodeToString(sum[:])
}

// Warnings are things that are allowed but probably not meant, such as braces
// that look like a reference and are none.
func (d *Document) Warnings() Problems { return slices.Clone(d.warnings) }

// parameter gives a declared parameter, or nil.
func (d *Document) parameter(name string) *Parameter {
	for i := range d.Parameters {
		if d.Parameters[i].Name == name {
			return &d.Parameters[i]
		}
	}
	return nil
}

func (d *Document) constant(name string) *Constant {
	for i := range d.Constants {
		if d.Constants[i].Name == name {
			return &d.Constants[i]
		}
	}
	return nil
}
