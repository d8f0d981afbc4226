package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// startFlags say how a start of a pipeline is to differ from others: the API has
// no members for that, so that they travel as tags of the image.
type startFlags struct {
	noCache            bool
	parameters         []string
	workflowParameters []string
}

// add adds the flags to a command.
func (f *startFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.noCache, "no-cache", false, "run every component, also those whose results were kept, and keep none")
	cmd.Flags().StringArrayVar(&f.parameters, "parameter", nil, "COMPONENT/NAME=VALUE: a component's parameter for this image (may be repeated)")
	cmd.Flags().StringArrayVar(&f.workflowParameters, "workflow-parameter", nil, "WORKFLOW/NAME=VALUE: a workflow's; a list has commas between its elements (may be repeated)")
}

// The limits of tags (API Reference, TagMap).
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// tags are those that say so.
func (f *startFlags) tags() (map[string]string, error) {
	tags := map[string]string{"goldsmith:cache": "on"}
	if f.noCache {
		tags["goldsmith:cache"] = "off"
	}
	for _, kind := range []struct {
		flag, of, prefix string
		given            []string
	}{
		{"--parameter", "COMPONENT", "goldsmith:parameter/", f.parameters},
		{"--workflow-parameter", "WORKFLOW", "goldsmith:workflow-parameter/", f.workflowParameters},
	} {
		for _, given := range kind.given {
			path, value, ok := strings.Cut(given, "=")
			of, name, ok2 := strings.Cut(path, "/")
			key := kind.prefix + path
			_, twice := tags[key]
			var why string
			switch {
			case !ok || !ok2 || of == "" || name == "":
				why = "it must be " + kind.of + "/NAME=VALUE"
			case utf8.RuneCountInString(key) > maxTagKey || utf8.RuneCountInString(value) > maxTagValue:
				why = fmt.Sprintf("it travels as a tag, whose value can have at most %d characters and whose names together %d", maxTagValue, maxTagKey-len(kind.prefix))
			case twice:
				why = "it is given twice"
			}
			if why != "" {
				return nil, usageError{fmt.Errorf("%s %q: %s", kind.flag, given, why)}
			}
			tags[key] = value
		}
	}
	return tags, nil
}
