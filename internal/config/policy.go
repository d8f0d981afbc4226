package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/goldsmith-build/goldsmith/internal/access"
)

// Policy is a policy of a user, a role or an account: in the configuration
// itself, or in a file of its own.
type Policy struct {
	Name     string   `yaml:"name"`
	Document Document `yaml:"document"` // a YAML mapping, or text in JSON
	File     string   `yaml:"file"`     // JSON; relative to the configuration's folder

	policy *access.Policy
}

// Document is a policy document as JSON text.
type Document string

// UnmarshalYAML reads a mapping with IAM's own element names, or JSON as text.
// Values keep their letters: an unquoted 2012-10-17 is no date here.
func (d *Document) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*d = Document(n.Value)
		return nil
	}
	var b strings.Builder
	if err := writeJSON(&b, n, 0); err != nil {
		return fmt.Errorf("line %d: document: %w", n.Line, err)
	}
	*d = Document(b.String())
	return nil
}

// writeJSON writes a YAML value as JSON. Members that are there twice are both
// written: the policy's reader refuses them.
func writeJSON(b *strings.Builder, n *yaml.Node, depth int) error {
	if depth > 20 || b.Len() > access.MaxDocument {
		return errors.New("it is too large")
	}
	switch n.Kind {
	case yaml.AliasNode:
		return writeJSON(b, n.Alias, depth+1)
	case yaml.ScalarNode:
		return writeScalar(b, n)
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item, depth+1); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(quoted(n.Content[i].Value))
			b.WriteByte(':')
			if err := writeJSON(b, n.Content[i+1], depth+1); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	}
	return errors.New("it must be a mapping")
}

func writeScalar(b *strings.Builder, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null":
		return errors.New("a value is missing")
	case "!!bool":
		b.WriteString(strings.ToLower(n.Value))
	default:
		b.Write(quoted(n.Value))
	}
	return nil
}

func quoted(s string) []byte {
	q, err := json.Marshal(s)
	if err != nil {
		panic("config: a string has always a JSON form: " + err.Error())
	}
	return q
}

// read reads and checks the policy.
func (p *Policy) read(dir string, kind access.Kind) error {
	text := string(p.Document)
	switch {
	case (text == "") == (p.File == ""):
		return errors.New("it needs one of document and file")
	case p.File != "":
		name := p.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("file: %w", err)
		}
		text = string(data)
	}
	var err error
	if p.policy, err = access.Parse(kind, text); err != nil {
		member := "document"
		if p.File != "" {
			member = p.File
		}
		return fmt.Errorf("%s: %w", member, err)
	}
	return nil
}

// checkPolicies reads a list of policies.
func checkPolicies(dir, member string, policies []Policy) error {
	seen := map[string]bool{}
	for i := range policies {
		p := &policies[i]
		if !policyName.MatchString(p.Name) {
			return fmt.Errorf("%s[%d].name: must be 1 to 128 letters, digits and _+=,.@-, not %q", member, i, p.Name)
		}
		if seen[p.Name] {
			return fmt.Errorf("%s[%d].name: %s is there twice", member, i, p.Name)
		}
		seen[p.Name] = true
		if err := p.read(dir, access.IdentityBased); err != nil {
			return fmt.Errorf("%s[%d]: %w", member, i, err)
		}
	}
	return nil
}
