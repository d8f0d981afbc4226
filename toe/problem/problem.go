package problem

import (
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a problem is.
type Severity int

// The severities. An Error makes a document invalid; a Warning is most probably
// a mistake, and a Note is worth a look, in a document that can be run.
const (
	Error Severity = iota
	Warning
	Note
)

// String gives "error", "warning" or "note", the words of SARIF's levels.
func (s Severity) String() string { return [...]string{"error", "warning", "note"}[s] }

// MarshalText gives what String does, for JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (s *Severity) UnmarshalText(text []byte) error {
	for _, known := range []Severity{Error, Warning, Note} {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("the severity %q is not one of error, warning, note", text)
}

// Problem is one thing that is wrong with a document.
type Problem struct {
	Document   string `json:"document,omitempty"`   // the name given to the parser, such as a path
	Line       int    `json:"line"`                 // from 1; 0 when the whole document is meant
	Column     int    `json:"column"`               // from 1, counted in characters; 0 when unknown
	Path       string `json:"path,omitempty"`       // such as "phases[0].steps[2].inputs.commands"
	Message    string `json:"message"`              // one sentence without the place
	Suggestion string `json:"suggestion,omitempty"` // what was probably meant: "ExecuteBash"
	Rule       string `json:"rule"`                 // a stable identifier, such as "unknown-action"

	Severity Severity `json:"severity"`
}

// String gives "document:line:column: message", with a suggestion if there is
// one, and without the parts that are unknown.
func (p Problem) String() string {
	place := p.Place()
	if place != "" {
		place += " "
	}
	return place + p.Text()
}

// Place gives "document:line:column:" without the parts that are unknown.
func (p Problem) Place() string {
	var b strings.Builder
	if p.Document != "" {
		b.WriteString(p.Document)
		b.WriteByte(':')
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, "%d:", p.Column)
		}
	}
	return b.String()
}

// Text gives the message and the suggestion without the place.
func (p Problem) Text() string {
	if p.Suggestion == "" {
		return p.Message
	}
	return strings.TrimSuffix(p.Message, ".") + ", did you mean '" + p.Suggestion + "'?"
}

// Problems is everything that is wrong with one or more documents, in the
// order of the text.
type Problems []Problem

// Error gives one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Of gives the problems of one severity.
func (ps Problems) Of(s Severity) Problems {
	var some Problems
	for _, p := range ps {
		if p.Severity == s {
			some = append(some, p)
		}
	}
	return some
}

// Err gives ps as an error, and nil when there is no problem. (A nil Problems
// in an error variable would not equal nil.)
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Sort brings problems into the order of the text. Problems of different
// documents keep the order of the documents.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Document != b.Document {
			return 0
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}
