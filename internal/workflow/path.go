package workflow

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Root is where a reference starts.
type Root string

// The root nodes of references (User Guide, "Use dynamic variables").
const (
	Parameters      Root = "parameters"
	StepOutputs     Root = "stepOutputs"
	WorkflowOutputs Root = "workflowOutputs"
	ImageBuilder    Root = "imagebuilder"
)

var roots = []string{string(Parameters), string(StepOutputs), string(WorkflowOutputs), string(ImageBuilder)}

// Path is a reference such as $.stepOutputs.Launch.instanceId. The paths of
// workflow documents are a small part of JSONPath: names and list indexes.
type Path struct {
	Root Root
	Name string // the parameter, step, output or variable
	rest []any  // string: a member; int: an element
	text string
}

// String gives the path as it was written.
func (p Path) String() string { return p.text }

// Output gives the name of the step output that the path leads to, "" if it
// ends before one.
func (p Path) Output() string {
	if p.Root != StepOutputs || len(p.rest) == 0 {
		return ""
	}
	name, _ := p.rest[0].(string)
	return name
}

// maxPath bounds the length of a path in bytes.
const maxPath = 1024

var pathName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// looksLikePath reports whether text as a whole was meant as a reference: it
// begins with "$." and one of the root nodes.
func looksLikePath(text string) bool {
	rest, ok := strings.CutPrefix(text, "$.")
	if !ok || strings.ContainsAny(rest, " \t\r\n{}") {
		return false
	}
	root, _, _ := strings.Cut(rest, ".")
	root, _, _ = strings.Cut(root, "[")
	return slices.Contains(roots, root)
}

// ParsePath reads a path: "$.", a root node, a name, and members and zero-based
// indexes below it.
func ParsePath(text string) (Path, error) {
	p := Path{text: text}
	rest, ok := strings.CutPrefix(text, "$.")
	if !ok {
		return p, fmt.Errorf("a path begins with '$.' and one of %s", strings.Join(roots, ", "))
	}
	if len(text) > maxPath {
		return p, fmt.Errorf("the path is longer than %d bytes", maxPath)
	}
	for i, part := range strings.Split(rest, ".") {
		name, indexes, err := splitIndexes(part)
		switch {
		case err != nil:
			return p, err
		case i < 2 && len(indexes) > 0 && (i == 0 || Root(p.Root) == StepOutputs):
			return p, fmt.Errorf("'%s' is not a list", name)
		case i == 0 && !slices.Contains(roots, name):
			return p, fmt.Errorf("'%s' is not one of the root nodes %s", name, strings.Join(roots, ", "))
		case i == 0:
			p.Root = Root(name)
			continue
		case i == 1:
			p.Name = name
		default:
			p.rest = append(p.rest, name)
		}
		for _, index := range indexes {
			p.rest = append(p.rest, index)
		}
	}
	if p.Name == "" {
		return p, fmt.Errorf("the path names nothing below %s", p.Root)
	}
	return p, nil
}

// splitIndexes takes "images[0][1]" apart.
func splitIndexes(part string) (name string, indexes []int, err error) {
	name, rest, found := strings.Cut(part, "[")
	if !pathName.MatchString(name) {
		return "", nil, fmt.Errorf("'%s' is not a name of letters, digits, '_' and '-'", name)
	}
	for found {
		var digits string
		digits, rest, found = strings.Cut(rest, "]")
		if !found {
			return "", nil, fmt.Errorf("'%s' lacks a ]", part)
		}
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil {
			return "", nil, fmt.Errorf("'%s' is not an index", digits)
		}
		indexes = append(indexes, int(n))
		if rest == "" {
			break
		}
		if rest, found = strings.CutPrefix(rest, "["); !found {
			return "", nil, fmt.Errorf("'%s' has text after ]", part)
		}
	}
	return name, indexes, nil
}

// Scope holds the values that references can reach, as JSON has them: nil,
// bool, numbers, string, []any, map[string]any.
type Scope struct {
	Parameters      map[string]any
	StepOutputs     map[string]map[string]any // by step; nil for one that was skipped or failed
	WorkflowOutputs map[string]any
	ImageBuilder    map[string]any
}

// Lookup gives the value that a path leads to. The error says which part of it
// is missing.
func (s *Scope) Lookup(p Path) (any, error) {
	at, err := s.root(p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	for _, part := range p.rest {
		var ok bool
		switch part := part.(type) {
		case string:
			var node map[string]any
			if node, ok = at.(map[string]any); ok {
				at, ok = node[part]
			}
		case int:
			var list []any
			if list, ok = at.([]any); ok && part < len(list) {
				at = list[part]
			} else {
				ok = false
			}
		}
		if !ok {
			return nil, fmt.Errorf("%s: there is no '%v'", p, part)
		}
	}
	return at, nil
}

// root gives the value of the path's first name.
func (s *Scope) root(p Path) (any, error) {
	var node map[string]any
	switch p.Root {
	case StepOutputs:
		outputs, ran := s.StepOutputs[p.Name]
		if !ran {
			return nil, fmt.Errorf("the step '%s' has not run", p.Name)
		}
		if outputs == nil {
			return nil, fmt.Errorf("the step '%s' has no outputs, since it was skipped or failed", p.Name)
		}
		return outputs, nil
	case Parameters:
		node = s.Parameters
	case WorkflowOutputs:
		node = s.WorkflowOutputs
	case ImageBuilder:
		node = s.ImageBuilder
	}
	v, ok := node[p.Name]
	if !ok {
		return nil, fmt.Errorf("there is no '%s'", p.Name)
	}
	return v, nil
}

// Variables are the names of $.imagebuilder (User Guide, "Use dynamic
// variables").
var Variables = []string{
	"cloudWatchLogGroup", "cloudWatchLogStream", "collectImageMetadata", "collectImageScanFindings", "dateTime", "imageBuildNumber", "imageId", "imageName",
	"imageType", "imageVersionNumber", "instanceProfileName", "platform", "s3Logs", "securityGroups", "sourceImageARN", "subnetId", "terminateInstanceOnFailure",
	"workflowPhase", "workingDirectory",
}
