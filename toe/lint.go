package toe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/internal/shell"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// servicePhases are the phases that Image Builder runs. To the executor any
// name is as good as another.
var servicePhases = []string{"build", "validate", "test", "container-host-test"}

// Lint finds what is allowed and probably not meant: scripts of ExecuteBash that
// go on after a failure, since neither "set -e" nor pipefail is set for them,
// and names of phases that look like misspelt ones. Everything it finds is a
// warning or a note.
func (d *Document) Lint() Problems {
	var found Problems
	for i := range d.Phases {
		ph := &d.Phases[i]
		if near := problem.Nearest(ph.Name, servicePhases); near != "" && ph.nameNode != nil && !slices.Contains(servicePhases, ph.Name) {
			pr := ph.nameNode.Problem("phase-name", fmt.Sprintf("Image Builder runs no phase '%s'", shorten(ph.Name)))
			pr.Suggestion, pr.Severity = near, SeverityWarning
			found = append(found, pr)
		}
		for j := range ph.Steps {
			if s := &ph.Steps[j]; s.Action == "ExecuteBash" && len(s.entries) > 0 {
				found = append(found, lintScript(s)...)
			}
		}
	}
	if len(found) > maxProblems {
		found = found[:maxProblems]
	}
	for i := range found {
		found[i].Document = d.location
	}
	found.Sort()
	return found
}

// lintScript joins a step's commands as they are joined to run. References are
// put out of the way by words of the same length.
func lintScript(s *Step) Problems {
	var original, script strings.Builder
	var lines []scriptLine
	for _, f := range s.entries[0].fields {
		if f.schema.Name != "commands" || f.node.Kind != source.List {
			continue
		}
		for _, item := range f.node.Items {
			offset := 0
			for line := range strings.SplitSeq(item.Text, "\n") {
				lines = append(lines, scriptLine{item, offset})
				offset += len(line) + 1
			}
			original.WriteString(item.Text + "\n")
			script.WriteString(withoutReferences(item.Text) + "\n")
		}
	}
	var found Problems
	for _, f := range shell.Lint(script.String(), original.String()) {
		if f.Line > len(lines) { // something is missing at the very end
			f.Line = len(lines)
		}
		at := lines[f.Line-1]
		rule, severity, message := describeFinding(f)
		pr := at.node.ProblemAt(at.offset, rule, message)
		pr.Severity = severity
		found = append(found, pr)
	}
	return found
}

// scriptLine is where a line of a script stands in the document.
type scriptLine struct {
	node   *source.Node
	offset int // in the node's text
}

// withoutReferences puts underscores in place of references: "[[ {{ a.b }} == x ]]"
// is no script before its value is known.
func withoutReferences(text string) string {
	parsed, _ := reference.Parse(text)
	b := []byte(text)
	for _, r := range parsed.Refs() {
		for i := range r.Text {
			b[r.Offset+i] = '_'
		}
	}
	return string(b)
}

func describeFinding(f shell.Finding) (rule string, severity Severity, message string) {
	switch f.Kind {
	case shell.Unchecked:
		return "unchecked-command", SeverityWarning, fmt.Sprintf("When '%s' fails, the step goes on and may succeed; begin the commands with 'set -e'.", f.Text)
	case shell.Piped:
		return "unchecked-pipe", SeverityWarning, fmt.Sprintf("When '%s' fails, the pipe that it feeds may succeed; add 'set -o pipefail'.", f.Text)
	case shell.Ignored:
		return "ignored-failure", SeverityNote, fmt.Sprintf("A failure of '%s' is ignored.", f.Text)
	}
	return "shell-syntax", SeverityWarning, fmt.Sprintf("bash cannot read this: %s.", f.Text)
}
