package source

import (
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// Kind says what a Node is.
type Kind int

// The kinds of node. Null is a key without a value, or an explicit null.
const (
	Null Kind = iota
	Scalar
	List
	Map
)

// Node is a piece of a document.
type Node struct {
	Kind   Kind
	Line   int // from 1
	Column int // from 1, in characters

	Text   string // of a Scalar: the text as it stands in the source, unquoted
	Quoted bool   // of a Scalar: in quotes or a block, so never a number or bool
	Block  bool   // of a Scalar: a '|' block, whose lines are those of the source

	Items   []*Node // of a List
	Entries []Entry // of a Map, in the order of the source

	path  Path
	lines *lines
}

// Entry is a key of a Map and its value.
type Entry struct {
	Key   *Node // always a Scalar
	Value *Node
}

// Path is the way from the top of a document to a node.
type Path struct {
	parent *Path
	name   string
}

// String gives the path as a person writes it: "phases[0].steps[2].inputs".
func (p *Path) String() string {
	var parts []string
	for ; p != nil; p = p.parent {
		parts = append(parts, p.name)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		if b.Len() > 0 && parts[i] != "" && parts[i][0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(parts[i])
	}
	return b.String()
}

// Path gives the node's place in the tree: "phases[0].steps[2].inputs".
func (n *Node) Path() string { return n.path.String() }

// Get gives the value of a key of a Map, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Entries {
		if n.Entries[i].Key.Text == key {
			return n.Entries[i].Value
		}
	}
	return nil
}

// Describe names the node's kind for a message: "a list", "a mapping", "text",
// "nothing".
func (n *Node) Describe() string {
	switch n.Kind {
	case Scalar:
		return "text"
	case List:
		return "a list"
	case Map:
		return "a mapping"
	default:
		return "nothing"
	}
}

// ProblemAt makes a problem that points at a place in a Scalar's text, as near
// as can be told: exactly in '|' blocks, at the beginning in other text.
func (n *Node) ProblemAt(offset int, rule, message string) problem.Problem {
	p := n.Problem(rule, message)
	if n.Block {
		start := strings.LastIndexByte(n.Text[:offset], '\n') + 1
		p.Line += 1 + strings.Count(n.Text[:start], "\n")
		text, _, _ := strings.Cut(n.Text[start:], "\n")
		p.Column = n.lines.column(p.Line, text, offset-start)
	}
	return p
}

// Problem makes a problem that points at the node.
func (n *Node) Problem(rule, message string) problem.Problem {
	return problem.Problem{Line: n.Line, Column: n.Column, Path: n.Path(), Rule: rule, Message: message}
}
