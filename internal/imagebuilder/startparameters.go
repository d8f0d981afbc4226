package imagebuilder

import (
	"maps"
	"slices"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
	"github.com/goldsmith-build/goldsmith/toe"
)

// Tags of an image that give a parameter another value for this one image: the
// prefix, the name of the component or workflow, a slash, and the parameter's
// name. The API's starts have no member for that.
const (
	parameterTag         = "goldsmith:parameter/"
	workflowParameterTag = "goldsmith:workflow-parameter/"
)

// startParameters are the values that the start of an image gave.
type startParameters []startParameter

type startParameter struct {
	tag   string // as it was written, for errors
	of    string // normalised name of a component or workflow
	name  string
	value string
}

// readStartParameters takes the values with a prefix out of an image's tags, in
// the order of their names.
func readStartParameters(tags map[string]string, prefix string) (startParameters, error) {
	var all startParameters
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		rest, ok := strings.CutPrefix(tag, prefix)
		if !ok {
			continue
		}
		of, name, ok := strings.Cut(rest, "/")
		if !ok || of == "" || name == "" {
			return nil, invalid("tags", "The tag '%s' names no parameter: it must be %sNAME/PARAMETER.", fault.Clip(tag), prefix)
		}
		all = append(all, startParameter{tag: tag, of: normalise(of), name: name, value: tags[tag]})
	}
	return all, nil
}

// refuse is an error about one of them.
func (p startParameter) refuse(format string, args ...any) error {
	return invalid("tags."+p.tag, format, args...)
}

// checkStartParameters holds the values that a start gives to what the
// components and workflows declare, so that the caller hears of it and not the
// image.
func (s *Service) checkStartParameters(tx *store.Tx, r request, parts pipelineParts, shape *api.Image) error {
	components, err := readStartParameters(shape.Tags, parameterTag)
	if err != nil {
		return err
	}
	flows, err := readStartParameters(shape.Tags, workflowParameterTag)
	if err != nil {
		return err
	}
	if len(components) > 0 {
		if parts.recipe == nil {
			return components[0].refuse("Parameters of components can be given to images of image recipes only.")
		}
		if _, err := s.planComponents(tx, r, parts.recipe.Components, components); err != nil {
			return err
		}
	}
	if len(flows) > 0 {
		_, err = s.planWorkflows(tx, r, shape)
	}
	return err
}

// onto puts the values for a component into its parameters. used notes which
// were.
func (all startParameters) onto(c *engine.Component, doc *toe.Document, used map[string]bool) error {
	for _, p := range all {
		if p.of != normalise(c.Name) {
			continue
		}
		used[p.tag] = true
		at := slices.IndexFunc(doc.Parameters, func(d toe.Parameter) bool { return d.Name == p.name })
		if at < 0 {
			return p.refuse("The component '%s' has no parameter '%s'%s.", c.Name, fault.Clip(p.name), which("it has", parameterNames(doc)))
		}
		if allowed := doc.Parameters[at].AllowedValues; allowed != nil && !slices.Contains(allowed, p.value) {
			return p.refuse("The value '%s' of the parameter '%s' is not among its allowedValues: %s.", fault.Clip(p.value), p.name, strings.Join(allowed, ", "))
		}
		i := slices.IndexFunc(c.Parameters, func(v engine.Parameter) bool { return v.Name == p.name })
		if i < 0 {
			c.Parameters = append(c.Parameters, engine.Parameter{Name: p.name})
			i = len(c.Parameters) - 1
		}
		c.Parameters[i].Value = p.value
	}
	return nil
}

// unused refuses values for what is not there. kind is "component" or
// "workflow", names those that are.
func (all startParameters) unused(used map[string]bool, kind string, names []string) error {
	for _, p := range all {
		if !used[p.tag] {
			return p.refuse("The image has no %s '%s'%s.", kind, fault.Clip(p.of), which("it has", names))
		}
	}
	return nil
}

// which adds a list to an error, if there is anything in it.
func which(words string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; " + words + ": " + strings.Join(names, ", ")
}

func parameterNames(doc *toe.Document) []string {
	var names []string
	for _, p := range doc.Parameters {
		names = append(names, p.Name)
	}
	return names
}

// ontoWorkflows puts the values for workflows into their parameters.
func (all startParameters) ontoWorkflows(flows []engine.Workflow) error {
	used := map[string]bool{}
	var names []string
	for i := range flows {
		w := &flows[i]
		names = append(names, w.Name)
		for _, p := range all {
			if p.of != normalise(w.Name) {
				continue
			}
			used[p.tag] = true
			if err := p.ontoWorkflow(w); err != nil {
				return err
			}
		}
	}
	return all.unused(used, "workflow", names)
}

// ontoWorkflow sets one value; a list of strings has its elements between
// commas.
func (p startParameter) ontoWorkflow(w *engine.Workflow) error {
	doc, problems := workflow.Parse("", []byte(w.Data))
	if doc == nil {
		return p.refuse("The document of the workflow '%s' is not valid any more: %s", w.Name, describeProblems(problems))
	}
	at := slices.IndexFunc(doc.Parameters, func(d workflow.Parameter) bool { return d.Name == p.name })
	if at < 0 {
		var names []string
		for _, d := range doc.Parameters {
			names = append(names, d.Name)
		}
		return p.refuse("The workflow '%s' has no parameter '%s'%s.", w.Name, fault.Clip(p.name), which("it has", names))
	}
	value := []string{p.value}
	if doc.Parameters[at].Type == workflow.StringList {
		value = strings.Split(p.value, ",")
	}
	w.Parameters = slices.DeleteFunc(slices.Clone(w.Parameters), func(v engine.WorkflowParameter) bool { return v.Name == p.name })
	w.Parameters = append(w.Parameters, engine.WorkflowParameter{Name: p.name, Value: value})
	given := make([]workflow.Given, 0, len(w.Parameters))
	for _, v := range w.Parameters {
		given = append(given, workflow.Given(v))
	}
	if _, problems := doc.Values(given); len(problems) > 0 {
		return p.refuse("%s", problems[0].Text())
	}
	return nil
}

// givenAtStart is what a plan says of the values of its start.
func givenAtStart(components, flows startParameters) []engine.GivenParameter {
	var all []engine.GivenParameter
	for _, p := range components {
		all = append(all, engine.GivenParameter{Kind: "component", Of: p.of, Name: p.name, Value: p.value})
	}
	for _, p := range flows {
		all = append(all, engine.GivenParameter{Kind: "workflow", Of: p.of, Name: p.name, Value: p.value})
	}
	return all
}
