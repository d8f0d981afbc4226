package condition

import (
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// Expr is an expression: a comparison, or expressions under and, or, not.
type Expr struct {
	Op       string
	Operand  reference.Text // of a comparison
	Second   reference.Text // of a comparison with a companion key
	Children []*Expr        // of a logical operator

	operandNode, secondNode *source.Node
}

// Outcome is what a step's "if" says about the two results: "Abort",
// "Execute", "Skip", or "" where it says nothing.
type Outcome struct {
	Then, Else string
}

// Outcomes are the words that then and else take.
var Outcomes = []string{"Abort", "Execute", "Skip"}

// parser reads one expression and reports what is wrong with it.
type parser struct {
	report  func(problem.Problem)
	outcome *Outcome // nil where then and else have no meaning
}

// Parse reads the mapping that holds an expression. It reports every problem,
// warnings included, and gives nil only if there is no expression to speak of.
// With an outcome, the keys then and else are read into it, beside the operator
// or within a logical operator's operand.
func Parse(n *source.Node, outcome *Outcome, report func(problem.Problem)) *Expr {
	p := &parser{report: report, outcome: outcome}
	return p.expr(n, 0)
}

func (p *parser) problem(n *source.Node, rule, format string, args ...any) {
	p.report(n.Problem(rule, fmt.Sprintf(format, args...)))
}

func (p *parser) expr(n *source.Node, depth int) *Expr {
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "A condition is a mapping with one operator, but this is %s.", n.Describe())
		return nil
	}
	var found *source.Entry
	for i := range n.Entries {
		e := &n.Entries[i]
		switch key := e.Key.Text; {
		case p.outcome != nil && (key == "then" || key == "else"):
			p.readOutcome(e)
		case slices.Contains(Operators(), key):
			if found != nil {
				p.problem(e.Key, "several-operators", "A condition has one operator, but '%s' stands beside '%s'; join them with and, or.", key, found.Key.Text)
				continue
			}
			found = e
		}
	}
	unknown := p.unknownKeys(n, found)
	if found == nil {
		if unknown == 0 { // else the unknown one was to be it
			p.problem(n, "no-operator", "The condition has no operator.")
		}
		return nil
	}
	if op := byName[found.Key.Text]; op != nil {
		if depth == MaxDepth {
			deep := found.Key.Problem("deep-condition", fmt.Sprintf("'%s' lies below %d levels of and, or, not; the original may count it as one more and refuse it.", op.name, MaxDepth))
			deep.Severity = problem.Warning
			p.report(deep)
		}
		return p.comparison(n, found, op)
	}
	return p.logical(found, depth+1)
}

// unknownKeys reports the keys that do not belong into the condition, and
// counts them.
func (p *parser) unknownKeys(n *source.Node, found *source.Entry) int {
	unknown := 0
	second := ""
	if found != nil {
		second = Second(found.Key.Text)
	}
	for _, e := range n.Entries {
		key := e.Key.Text
		known := key == second && key != "" || slices.Contains(Operators(), key) ||
			p.outcome != nil && (key == "then" || key == "else")
		if known || found == nil && (key == "value" || key == "path") {
			continue
		}
		problem := e.Key.Problem("unknown-operator", fmt.Sprintf("unknown operator '%s'", key))
		if found != nil {
			problem = e.Key.Problem("unknown-field", fmt.Sprintf("'%s' does not belong beside the operator '%s'.", key, found.Key.Text))
		}
		problem.Suggestion = p.nearest(key, found != nil)
		p.report(problem)
		unknown++
	}
	return unknown
}

func (p *parser) nearest(key string, companion bool) string {
	candidates := Operators()
	if companion {
		candidates = []string{"value", "path"}
	}
	if p.outcome != nil {
		candidates = append(candidates, "then", "else")
	}
	return problem.Nearest(key, candidates)
}

func (p *parser) readOutcome(e *source.Entry) {
	field := &p.outcome.Then
	if e.Key.Text == "else" {
		field = &p.outcome.Else
	}
	if *field != "" {
		p.problem(e.Key, "duplicate-key", "'%s' is given twice for one if.", e.Key.Text)
		return
	}
	if e.Value.Kind != source.Scalar || !slices.Contains(Outcomes, e.Value.Text) {
		bad := e.Value.Problem("bad-value", fmt.Sprintf("'%s' is Abort, Execute or Skip.", e.Key.Text))
		bad.Suggestion = problem.Nearest(e.Value.Text, Outcomes)
		p.report(bad)
		return
	}
	*field = e.Value.Text
}

func (p *parser) comparison(n *source.Node, found *source.Entry, op *operator) *Expr {
	e := &Expr{Op: op.name, operandNode: found.Value}
	e.Operand = p.text(found.Value, op.name)
	if op.check != nil && found.Value.Kind == source.Scalar && e.Operand.Literal() {
		if err := op.check(e.Operand.Raw()); err != nil {
			p.problem(found.Value, "bad-value", "The operand of '%s' %v.", op.name, err)
		}
	}
	if op.second != "" {
		second := n.Get(op.second)
		if second == nil {
			p.problem(found.Key, "missing-field", "'%s' needs the key '%s' beside it.", op.name, op.second)
			return e
		}
		e.secondNode = second
		e.Second = p.text(second, op.second)
	}
	return e
}

func (p *parser) text(n *source.Node, of string) reference.Text {
	if n.Kind != source.Scalar {
		p.problem(n, "wrong-type", "'%s' takes text or a number, but this is %s.", of, n.Describe())
		return reference.Text{}
	}
	text, _ := reference.Parse(n.Text)
	return text
}

func (p *parser) logical(found *source.Entry, depth int) *Expr {
	e := &Expr{Op: found.Key.Text}
	if depth > MaxDepth {
		p.problem(found.Key, "too-deep", "and, or, not lie more than %d levels deep within each other.", MaxDepth)
		return e
	}
	operands := []*source.Node{found.Value}
	switch {
	case found.Value.Kind == source.List:
		operands = found.Value.Items
	case found.Value.Kind == source.Map && e.Op == Not:
	default:
		p.problem(found.Value, "wrong-type", "'%s' takes a list of conditions, but this is %s.", e.Op, found.Value.Describe())
		return e
	}
	if len(operands) == 0 {
		p.problem(found.Value, "empty-list", "'%s' has no conditions.", e.Op)
	}
	if e.Op == Not && len(operands) > 1 {
		p.problem(found.Value, "bad-value", "'not' takes one condition, but %d are given.", len(operands))
	}
	for _, o := range operands {
		if child := p.expr(o, depth); child != nil {
			e.Children = append(e.Children, child)
		}
	}
	return e
}

// Texts calls visit for every operand of the expression, with the node it was
// written in.
func (e *Expr) Texts(visit func(reference.Text, *source.Node)) {
	if e.operandNode != nil {
		visit(e.Operand, e.operandNode)
	}
	if e.secondNode != nil {
		visit(e.Second, e.secondNode)
	}
	for _, c := range e.Children {
		c.Texts(visit)
	}
}
