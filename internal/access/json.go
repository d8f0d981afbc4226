package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// node is a value of a policy document. Unlike encoding/json's own values it
// keeps every member with its exact name, so that a member that is there twice,
// or in another case, can be refused: two readers could choose different ones.
type node struct {
	text   *string // of a string
	scalar string  // the text of a number or boolean
	fields []field // of an object; not nil
	items  []node  // of a list; not nil
}

type field struct {
	name string
	node
}

// maxDepth is how deep a policy can be nested: a policy needs 5.
const maxDepth = 8

func readJSON(text string) (node, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	root, err := readNode(d, 0)
	if err != nil {
		return node{}, notJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return node{}, errors.New("it is not valid JSON: there is something after its end")
	}
	return root, nil
}

// refusal is a mistake in the document that is no mistake of JSON.
type refusal string

func (r refusal) Error() string { return string(r) }

func notJSON(err error) error {
	var r refusal
	if errors.As(err, &r) {
		return err
	}
	return fmt.Errorf("it is not valid JSON: %w", err)
}

func readNode(d *json.Decoder, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, refusal("it is nested too deeply")
	}
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return node{}, err
	}
	switch t := t.(type) {
	case string:
		return node{text: &t}, nil
	case json.Number:
		return node{scalar: t.String()}, nil
	case bool:
		return node{scalar: fmt.Sprint(t)}, nil
	case json.Delim:
		if t == '{' {
			return readObject(d, depth)
		}
		return readList(d, depth)
	}
	return node{}, refusal("null has no meaning in a policy")
}

func readObject(d *json.Decoder, depth int) (node, error) {
	n := node{fields: []field{}}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return node{}, err
		}
		name, _ := t.(string)
		if seen[name] {
			return node{}, refusal(fmt.Sprintf("%q is there twice", fault.Clip(name)))
		}
		seen[name] = true
		value, err := readNode(d, depth+1)
		if err != nil {
			return node{}, err
		}
		n.fields = append(n.fields, field{name, value})
	}
	_, err := d.Token()
	return n, err
}

func readList(d *json.Decoder, depth int) (node, error) {
	n := node{items: []node{}}
	for d.More() {
		item, err := readNode(d, depth+1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, item)
	}
	_, err := d.Token()
	return n, err
}

// strings gives a string or a list of at least one.
func (n node) strings() ([]string, error) {
	if n.text != nil {
		return []string{*n.text}, nil
	}
	var all []string
	for _, item := range n.items {
		if item.text == nil {
			return nil, errors.New("it must be a string or a list of strings")
		}
		all = append(all, *item.text)
	}
	if len(all) == 0 {
		return nil, errors.New("it must be a string or a list of strings that is not empty")
	}
	return all, nil
}

// scalars is strings for conditions, whose values may also be numbers and
// booleans. An empty list is given as such.
func (n node) scalars() ([]string, error) {
	items := n.items
	if items == nil {
		items = []node{n}
	}
	var all []string
	for _, item := range items {
		switch {
		case item.text != nil:
			all = append(all, *item.text)
		case item.scalar != "":
			all = append(all, item.scalar)
		default:
			return nil, errors.New("its values must be strings, numbers or booleans")
		}
	}
	return all, nil
}
