package toe

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// Limits of the service on what it takes inline and from a bucket are the
// service's; this one is the executor's own.
const MaxDocumentBytes = source.MaxBytes

// Parse reads a component document. name says where it came from and stands
// before the line in every problem; it may be "".
//
// It finds every problem at once: of YAML, of unknown or misspelt keys and
// actions, of missing, ill-typed or impossible values, and of references to
// what is not declared. The document is nil exactly if there are problems.
// What depends on the platform is left to Check.
//
// Parse is safe for hostile text: its time and memory are bounded.
func Parse(name string, data []byte) (*Document, Problems) {
	d, problems := parse(name, data)
	if len(problems) > 0 {
		return nil, problems
	}
	return d, nil
}

// Validate parses and checks in one go, so that it finds the problems of both.
func Validate(name string, data []byte, o CheckOptions) Problems {
	d, problems := parse(name, data)
	if d != nil {
		problems = append(problems, d.Check(o)...)
		problems.Sort()
	}
	return problems
}

// Examine finds everything that can be said about a document without running
// it: what Validate finds, its warnings, and those of Lint. They differ by
// their severity and are in the order of the text.
func Examine(name string, data []byte, o CheckOptions) Problems {
	d, problems := parse(name, data)
	if d == nil {
		return problems
	}
	problems = append(problems, d.Check(o)...)
	problems = append(problems, d.warnings...)
	problems = append(problems, d.Lint()...)
	problems.Sort()
	return problems
}

// parse gives a document as far as it could be read, also with problems.
func parse(name string, data []byte) (*Document, Problems) {
	root, problems := source.Parse(data)
	p := &parser{problems: problems, doc: &Document{SchemaVersion: "1.0", location: name, data: data}}
	if root != nil {
		p.document(root)
		p.references()
	}
	for i := range p.problems {
		p.problems[i].Document = name
	}
	for i := range p.doc.warnings {
		p.doc.warnings[i].Document = name
	}
	p.problems.Sort()
	p.doc.warnings.Sort()
	if root == nil {
		return nil, p.problems
	}
	return p.doc, p.problems
}

// maxProblems is where a parser stops collecting: a document this wrong needs
// no longer list.
const maxProblems = 200

// parser reads a tree into a document and collects problems.
type parser struct {
	doc      *Document
	problems problem.Problems

	// Where names are, for the check of references.
	phaseIndex map[string]int
	stepIndex  []map[string]int
}

func (p *parser) report(pr problem.Problem) {
	if pr.Severity != problem.Error {
		p.warning(pr)
		return
	}
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, pr)
	}
}

func (p *parser) problem(n *source.Node, rule, format string, args ...any) {
	p.report(n.Problem(rule, fmt.Sprintf(format, args...)))
}

func (p *parser) warn(n *source.Node, rule, format string, args ...any) {
	p.warning(n.Problem(rule, fmt.Sprintf(format, args...)))
}

func (p *parser) warning(pr problem.Problem) {
	if len(p.doc.warnings) < maxProblems {
		pr.Severity = problem.Warning
		p.doc.warnings = append(p.doc.warnings, pr)
	}
}

// keys reports the keys of a mapping that it does not know.
func (p *parser) keys(n *source.Node, what string, known ...string) {
	for _, e := range n.Entries {
		if !slices.Contains(known, e.Key.Text) {
			pr := e.Key.Problem("unknown-field", fmt.Sprintf("unknown field '%s' in %s", e.Key.Text, what))
			pr.Suggestion = problem.Nearest(e.Key.Text, known)
			p.report(pr)
		}
	}
}

func (p *parser) document(n *source.Node) {
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "A document is a mapping with schemaVersion and phases, but this is %s.", n.Describe())
		return
	}
	p.keys(n, "the document", "name", "description", "schemaVersion", "parameters", "constants", "phases", "disableLogging")
	d := p.doc
	d.Name = p.text(n.Get("name"), "name")
	d.Description = p.text(n.Get("description"), "description")
	d.DisableLogging = p.boolean(n.Get("disableLogging"), "disableLogging")
	p.schemaVersion(n)
	p.variables(n)
	p.phases(n)
}

func (p *parser) schemaVersion(n *source.Node) {
	v := n.Get("schemaVersion")
	switch {
	case v == nil:
		p.problem(n, "missing-field", "The document has no schemaVersion; it must be 1.0.")
	case v.Kind != source.Scalar || v.Text != "1.0" && v.Text != "1":
		text := ""
		if v.Kind == source.Scalar {
			text = ", not '" + v.Text + "'"
		}
		p.problem(v, "schema-version", "schemaVersion must be 1.0%s.", text)
	}
}

func (p *parser) phases(n *source.Node) {
	list := n.Get("phases")
	if list == nil || list.Kind == source.Null || list.Kind == source.List && len(list.Items) == 0 {
		at := n
		if list != nil {
			at = list
		}
		p.problem(at, "no-phases", "Document has 0 phases. Phases list must not be empty.")
		return
	}
	if list.Kind != source.List {
		p.problem(list, "wrong-type", "phases must be a list, but this is %s.", list.Describe())
		return
	}
	seen := map[string]int{}
	for _, item := range list.Items {
		if item.Kind != source.Map {
			p.problem(item, "wrong-type", "A phase is a mapping with name and steps, but this is %s.", item.Describe())
			continue
		}
		p.phase(item, seen)
	}
}

func (p *parser) phase(n *source.Node, seen map[string]int) {
	p.keys(n, "a phase", "name", "steps", "disableLogging")
	ph := Phase{Line: n.Line, DisableLogging: p.boolean(n.Get("disableLogging"), "disableLogging"), nameNode: n.Get("name")}
	ph.Name = p.uniqueName(n, "phase", "", seen)
	steps := n.Get("steps")
	switch {
	case steps == nil || steps.Kind == source.Null || steps.Kind == source.List && len(steps.Items) == 0:
		p.problem(n, "no-steps", "The phase '%s' has no steps.", ph.Name)
	case steps.Kind != source.List:
		p.problem(steps, "wrong-type", "steps must be a list, but this is %s.", steps.Describe())
	default:
		names, loops := map[string]int{}, map[string]int{}
		for _, item := range steps.Items {
			if item.Kind != source.Map {
				p.problem(item, "wrong-type", "A step is a mapping with name and action, but this is %s.", item.Describe())
				continue
			}
			ph.Steps = append(ph.Steps, p.step(item, ph.Name, names, loops))
		}
	}
	p.doc.Phases = append(p.doc.Phases, ph)
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{3,128}$`)

// uniqueName reads the name of a phase or step.
func (p *parser) uniqueName(n *source.Node, kind, phase string, seen map[string]int) string {
	v := n.Get("name")
	if v == nil || v.Kind == source.Null {
		p.problem(n, "missing-field", "The %s has no name.", kind)
		return ""
	}
	name := p.text(v, "name")
	if v.Kind != source.Scalar {
		return ""
	}
	in := ""
	if phase != "" {
		in = " in phase '" + phase + "'"
	}
	if !nameForm.MatchString(name) {
		if strings.Contains(name, "${") {
			p.problem(v, "bad-name", "Invalid %s name '%s'%s. '${' begins a placeholder of a template: check what the template renders to.", kind, shorten(name), in)
		} else if length := len(name); strings.Trim(name, nameLetters) == "" {
			p.problem(v, "bad-name", "Invalid %s name '%s'%s. Its length is %d; 3 to 128 characters are allowed.", kind, shorten(name), in, length)
		} else {
			p.problem(v, "bad-name", "Invalid %s name '%s'%s. Allowed characters are combinations of numbers [0-9], english letters [a-z,A-Z] and special characters [-_].", kind, shorten(name), in)
		}
	}
	if line, ok := seen[name]; ok {
		p.problem(v, "duplicate-name", "The %s name '%s' is already used on line %d%s.", kind, shorten(name), line, in)
	} else {
		seen[name] = v.Line
	}
	return name
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func shorten(s string) string {
	const most = 140
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// text reads a text; nil and null are "".
func (p *parser) text(n *source.Node, field string) string {
	if n == nil || n.Kind == source.Null {
		return ""
	}
	if n.Kind != source.Scalar {
		p.problem(n, "wrong-type", "%s must be text, but this is %s.", field, n.Describe())
		return ""
	}
	return n.Text
}

// boolean reads true or false; nil is false.
func (p *parser) boolean(n *source.Node, field string) bool {
	if n == nil {
		return false
	}
	if n.Kind == source.Scalar && !n.Quoted {
		switch strings.ToLower(n.Text) {
		case "true", "yes", "on": // the latter as in YAML 1.1
			return true
		case "false", "no", "off":
			return false
		}
	}
	p.problem(n, "wrong-type", "%s must be true or false.", field)
	return false
}

// integer reads a whole number; ok is false if it is missing or wrong.
func (p *parser) integer(n *source.Node, field string) (value int, ok bool) {
	if n == nil {
		return 0, false
	}
	if n.Kind == source.Scalar {
		// Some programs write every number as a float.
		if v, err := strconv.ParseInt(strings.TrimSuffix(n.Text, ".0"), 10, 32); err == nil {
			return int(v), true
		}
		if strings.Contains(n.Text, "{{") {
			p.problem(n, "wrong-type", "%s must be a whole number; references are not allowed here.", field)
			return 0, false
		}
	}
	p.problem(n, "wrong-type", "%s must be a whole number.", field)
	return 0, false
}
