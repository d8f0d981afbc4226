package source

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// builder makes the tree out of the library's nodes.
type builder struct {
	lines     *lines
	problems  problem.Problems
	nodes     int
	exhausted bool // a limit was passed; the tree is not complete
}

func (b *builder) add(line, column int, rule, format string, args ...any) {
	b.problems = append(b.problems, problem.Problem{Line: line, Column: column, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// spend counts a node against the limits and reports the first excess.
func (b *builder) spend(y *yaml.Node, depth int) bool {
	if b.exhausted {
		return false
	}
	b.nodes++
	switch {
	case depth > MaxDepth:
		b.add(y.Line, y.Column, "too-deep", "Lists and mappings lie more than %d levels deep within each other.", MaxDepth)
	case b.nodes > MaxNodes:
		b.add(y.Line, y.Column, "too-many-nodes", "The document has more than %d parts, those that its aliases repeat included.", MaxNodes)
	default:
		return true
	}
	b.exhausted = true
	return false
}

func (b *builder) node(y *yaml.Node, parent *Path, name string, depth int) *Node {
	n := &Node{Line: y.Line, Column: y.Column, path: Path{parent: parent, name: name}, lines: b.lines}
	if !b.spend(y, depth) {
		return n
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 1 {
			return b.node(y.Content[0], parent, name, depth)
		}
	case yaml.AliasNode:
		// The place of the alias tells a reader more than that of the anchor,
		// but the problem lies where the text is, so the text's place is kept.
		return b.node(y.Alias, parent, name, depth+1)
	case yaml.ScalarNode:
		b.scalar(n, y)
	case yaml.SequenceNode:
		n.Kind = List
		for i, item := range y.Content {
			n.Items = append(n.Items, b.node(item, &n.path, "["+strconv.Itoa(i)+"]", depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Map
		b.mapping(n, y, depth)
	}
	return n
}

func (b *builder) scalar(n *Node, y *yaml.Node) {
	n.Text = y.Value
	n.Quoted = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	n.Block = y.Style&yaml.LiteralStyle != 0
	if !n.Quoted && y.ShortTag() == "!!null" {
		return // stays Null
	}
	n.Kind = Scalar
}

func (b *builder) mapping(n *Node, y *yaml.Node, depth int) {
	seen := make(map[string]int, len(y.Content)/2)
	var merged []Entry
	for i := 0; i+1 < len(y.Content); i += 2 {
		yk, yv := y.Content[i], y.Content[i+1]
		if yk.Kind == yaml.AliasNode && yk.Alias != nil {
			yk = yk.Alias
		}
		if yk.Kind != yaml.ScalarNode {
			b.add(yk.Line, yk.Column, "key-not-text", "A key must be text%s.", quoteHint(yk))
			continue
		}
		if yk.ShortTag() == "!!merge" {
			merged = append(merged, b.merge(yv, n, depth)...)
			continue
		}
		if first, ok := seen[yk.Value]; ok {
			b.add(yk.Line, yk.Column, "duplicate-key", "The key '%s' was already given on line %d.", yk.Value, first)
			continue
		}
		seen[yk.Value] = yk.Line
		n.Entries = append(n.Entries, b.entry(yk, yv, n, depth))
	}
	for _, e := range merged {
		if _, ok := seen[e.Key.Text]; !ok {
			seen[e.Key.Text] = e.Key.Line
			n.Entries = append(n.Entries, e)
		}
	}
}

func (b *builder) entry(yk, yv *yaml.Node, n *Node, depth int) Entry {
	value := b.node(yv, &n.path, yk.Value, depth+1)
	if value.Line == 0 { // a key without a value has no place of its own
		value.Line, value.Column = yk.Line, yk.Column
	}
	key := &Node{Kind: Scalar, Line: yk.Line, Column: yk.Column, Text: yk.Value, path: value.path}
	return Entry{Key: key, Value: value}
}

// merge gives the entries that a "<<" key brings in.
func (b *builder) merge(y *yaml.Node, into *Node, depth int) []Entry {
	if !b.spend(y, depth) {
		return nil
	}
	switch {
	case y.Kind == yaml.AliasNode:
		return b.merge(y.Alias, into, depth+1)
	case y.Kind == yaml.SequenceNode:
		var all []Entry
		for _, item := range y.Content {
			all = append(all, b.merge(item, into, depth+1)...)
		}
		return all
	case y.Kind == yaml.MappingNode:
		scratch := &Node{Kind: Map, path: into.path}
		b.mapping(scratch, y, depth+1)
		return scratch.Entries
	}
	b.add(y.Line, y.Column, "bad-merge", "'<<' takes a mapping or a list of mappings.")
	return nil
}

// quoteHint explains the commonest way to get a key that is not text:
// "{{ Name }}" without quotes is a mapping within a mapping to YAML.
func quoteHint(y *yaml.Node) string {
	if y.Kind == yaml.MappingNode && y.Style&yaml.FlowStyle != 0 {
		return "; put text that begins with '{{' in quotes"
	}
	return ""
}
