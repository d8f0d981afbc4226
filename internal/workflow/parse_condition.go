package workflow

import (
	"fmt"

	"github.com/goldsmith-build/goldsmith/toe/source"
)

// condition reads the mapping that holds a condition. It gives nil if there is
// none to speak of.
func (p *parser) condition(n *source.Node) *Condition {
	if n.Kind != source.Map {
		p.problem(n, "wrong-type", "A condition is a mapping with one operator, but this is %s.", n.Describe())
		return nil
	}
	var found *source.Entry
	for i := range n.Entries {
		e := &n.Entries[i]
		switch _, comparator := comparators[e.Key.Text]; {
		case e.Key.Text == "value":
		case !comparator && e.Key.Text != opAnd && e.Key.Text != opOr && e.Key.Text != opNot:
			p.unknown(e.Key, "unknown-operator", fmt.Sprintf("unknown operator '%s'", shorten(e.Key.Text)), append(operators, "value"))
		case found != nil:
			p.problem(e.Key, "several-operators", "A condition has one operator, but '%s' stands beside '%s'; join them with and, or.", e.Key.Text, found.Key.Text)
		default:
			found = e
		}
	}
	if found == nil {
		p.problem(n, "no-operator", "The condition has no operator.")
		return nil
	}
	c := &Condition{Op: found.Key.Text}
	if _, comparator := comparators[c.Op]; comparator {
		p.comparison(n, found, c)
		return c
	}
	if v := n.Get("value"); v != nil {
		p.problem(v, "unknown-field", "'value' does not belong beside '%s'.", c.Op)
	}
	p.branches(found, c)
	return c
}

// branches reads what and, or and not apply to.
func (p *parser) branches(e *source.Entry, c *Condition) {
	items := []*source.Node{e.Value}
	if e.Value.Kind == source.List && (c.Op != opNot || len(e.Value.Items) == 1) {
		items = e.Value.Items
	} else if c.Op != opNot {
		p.problem(e.Value, "wrong-type", "'%s' takes a list of conditions, but this is %s.", c.Op, e.Value.Describe())
		return
	}
	if len(items) == 0 {
		p.problem(e.Value, "no-operator", "'%s' has no conditions.", c.Op)
	}
	for _, item := range items {
		if child := p.condition(item); child != nil {
			c.Children = append(c.Children, child)
		}
	}
}

// comparison reads an operator's literal and the value beside it.
func (p *parser) comparison(n *source.Node, e *source.Entry, c *Condition) {
	c.literal, c.value = literal{}, literal{}
	if e.Value.Kind != source.Scalar {
		p.problem(e.Value, "wrong-type", "'%s' takes text, a number, true or false, but this is %s.", c.Op, e.Value.Describe())
	} else {
		c.literal = p.comparand(e.Value)
		if l, ok := c.literal.(literal); ok {
			if _, err := comparators[c.Op](l.v, l.v); err != nil {
				p.problem(e.Value, "bad-value", "'%s' cannot compare with '%s'.", c.Op, shorten(e.Value.Text))
			}
		}
	}
	v := n.Get("value")
	if !given(v) || v.Kind != source.Scalar {
		at := e.Key
		if v != nil {
			at = v
		}
		p.problem(at, "missing-field", "'%s' needs a 'value' beside it: the path of what is compared.", c.Op)
		return
	}
	c.value = p.comparand(v)
	if _, fixed := c.value.(literal); fixed {
		p.problem(v, "bad-reference", "'%s' is not a path; 'value' takes one, such as $.imagebuilder.platform.", shorten(v.Text))
	}
}

// comparand reads one side of a comparison: a path, text with references, or
// what stands there.
func (p *parser) comparand(n *source.Node) value {
	if looksLikePath(n.Text) {
		return p.reference(n, &Input{})
	}
	if t, ok := p.template(n); ok {
		return t
	}
	return literal{plain(n)}
}
