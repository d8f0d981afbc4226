package schema

import (
	"fmt"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// patterns are the forms of texts that the parser checks by functions of its
// own, by "Action.input" or input.
var patterns = map[string]string{
	"S3Download.source":        `^s3://[^/]+/.`,
	"S3Upload.destination":     `^s3://[^/]+/.`,
	"WebDownload.source":       `^https?://.`,
	"WebDownload.checksum":     `^[0-9a-fA-F]+$`,
	"permissions":              `^(0o)?[0-7]{1,5}$`,
	"encoding":                 `^[uU][tT][fF]-?(8|(16|32)(-[lLbB][eE])?)$`,
	"expectedBucketOwner":      `^[0-9]{12}$`,
	"document-s3-bucket-owner": `^[0-9]{12}$`,
	"SetRegistry.path":         `^(HKEY_(CLASSES_ROOT|USERS|LOCAL_MACHINE|CURRENT_CONFIG|CURRENT_USER)|HK(CR|U|LM|CC|CU):)([\\/]|$)`,
	"logOptions":               `^[iwearucmopvxIWEARUCMOPVX+!*]+$`,
}

// inputs gives the schema of an action's inputs.
func inputs(m *action.Module) object {
	if m.Shape == action.Condition {
		return described(actionTexts[m.Name], ref("condition"))
	}
	entry := entry(m)
	if m.Shape == action.List {
		return object{"type": "array", "minItems": 1, "items": entry, "description": actionTexts[m.Name] + " One element an operation, in order."}
	}
	if m.Optional {
		return described(actionTexts[m.Name], object{"anyOf": []any{entry, object{"type": "null"}, object{"type": "array", "maxItems": 0}}})
	}
	return described(actionTexts[m.Name], entry)
}

func entry(m *action.Module) object {
	properties := object{}
	var required []string
	for i := range m.Fields {
		f := &m.Fields[i]
		properties[f.Name] = field(m, f)
		if f.Required {
			required = append(required, f.Name)
		}
	}
	o := strict(properties, required...)
	var one []any
	for _, name := range m.OneOf {
		one = append(one, object{"required": []string{name}, "properties": object{name: object{"not": object{"type": "null"}}}})
	}
	if one != nil {
		o["oneOf"] = one
	}
	return o
}

func field(m *action.Module, f *action.Field) object {
	o := value(m, f)
	if !f.Required { // a key without a value is an input left out
		o = object{"anyOf": []any{o, object{"type": "null"}}}
	}
	description := fieldText(m.Name, f.Name)
	if len(f.NotOn) > 0 {
		description += " Not on " + strings.Join(f.NotOn, ", ") + "."
	}
	if f.Default != "" {
		if converted, err := f.Convert(f.Default); err == nil {
			o["default"] = converted
		}
	}
	if f.Ignored != "" {
		o["deprecated"] = true
		description = "Has no effect: " + f.Ignored + "."
	}
	return described(description, o)
}

func value(m *action.Module, f *action.Field) object {
	list := object{"type": "array", "items": optionalText()}
	if f.Required {
		list["minItems"] = 1
	}
	switch f.Type {
	case action.Bool:
		return object{"anyOf": []any{object{"type": "boolean"}, object{"type": "string", "pattern": `^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[yY][eE][sS]|[nN][oO]|[oO][nN]|[oO][fF][fF])$|` + reference}}}
	case action.Int:
		return object{"type": []string{"integer", "string"}, "pattern": `^\+?[0-9]+$|` + reference, "minimum": 0}
	case action.Strings:
		return list
	case action.StringMap:
		return object{"type": "object", "additionalProperties": optionalText()}
	case action.Pairs:
		return object{"type": "array", "items": strict(object{
			"name": described("The parameter's name.", text()), "value": described("Its value.", text()),
		}, "name", "value")}
	case action.Any:
		return object{"anyOf": []any{text(), list}}
	}
	if len(f.Values) > 0 {
		return object{"anyOf": []any{object{"enum": f.Values}, object{"type": "string", "pattern": reference}}}
	}
	o := text()
	if pattern := patternOf(m.Name, f.Name); pattern != "" {
		o["pattern"] = pattern + "|" + reference
	}
	if f.NotEmpty {
		o["minLength"] = 1
	}
	return o
}

func patternOf(module, input string) string {
	if p, ok := patterns[module+"."+input]; ok {
		return p
	}
	return patterns[input]
}

// fieldText describes an input: in the action's own words, or in those of all
// actions that have it.
func fieldText(module, input string) string {
	if t, ok := inputTexts[module+"."+input]; ok {
		return t
	}
	if t, ok := inputTexts[input]; ok {
		return t
	}
	panic(fmt.Sprintf("the input %s of %s has no description", input, module)) // held by a test
}
