package schema

import (
	"github.com/goldsmith-build/goldsmith/toe/action"
)

// object is a JSON object of the schema.
type object = map[string]any

// Draft is the dialect of the schema.
const Draft = "https://json-schema.org/draft/2020-12/schema"

const (
	namePattern = `^[A-Za-z0-9_-]{3,128}$`
	reference   = `\{\{` // a text with a reference has a value that only the run knows
)

func ref(name string) object { return object{"$ref": "#/$defs/" + name} }

func described(description string, o object) object {
	o["description"] = description
	return o
}

// text is what the parser takes as text: any scalar, by its spelling.
func text() object { return object{"type": []string{"string", "number", "boolean"}} }

// optionalText may be a key without a value, too.
func optionalText() object { return object{"type": []string{"string", "number", "boolean", "null"}} }

// flag is what the parser takes as true or false where no reference may stand.
func flag() object {
	return object{"anyOf": []any{object{"type": "boolean"}, object{"enum": []string{"yes", "no", "on", "off"}}}, "default": false}
}

func nameOf(what string) object {
	o := text()
	o["pattern"] = namePattern
	return described(what+": 3 to 128 letters, digits, - or _.", o)
}

// whole is a whole number where no reference may stand.
func whole(o object) object {
	o["type"] = []string{"integer", "string"}
	o["pattern"] = `^[-+]?[0-9]+$`
	return o
}

// strict is an object that has these keys and no others.
func strict(properties object, required ...string) object {
	o := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// Document gives the schema of a component document.
func Document() map[string]any {
	defs := object{
		"phase":     phase(),
		"step":      step(),
		"loop":      loop(),
		"parameter": parameter(),
		"constant":  constant(),
		"condition": conditionOf("condition", false),
		"if":        conditionOf("if", true),
	}
	for _, name := range action.Names() {
		defs[name] = inputs(action.Lookup(name))
	}
	o := strict(object{
		"name":           described("The document's name, for people.", optionalText()),
		"description":    described("What the document is for.", optionalText()),
		"schemaVersion":  object{"enum": []any{1, "1", "1.0"}, "default": 1.0, "description": "The version of the language: 1.0."},
		"parameters":     object{"type": []string{"array", "null"}, "items": ref("parameter"), "description": "Values that whoever runs the document may set."},
		"constants":      object{"type": []string{"array", "null"}, "items": ref("constant"), "description": "Values that the document sets for itself."},
		"phases":         object{"type": "array", "minItems": 1, "items": ref("phase"), "description": "What is done, phase by phase. Image Builder runs build, validate and test."},
		"disableLogging": described("Keeps what the document prints out of the logs.", flag()),
	}, "schemaVersion", "phases")
	o["$schema"], o["title"], o["$defs"] = Draft, "Component document", defs
	return described("A component document of EC2 Image Builder and Goldsmith.", o)
}

func phase() object {
	return strict(object{
		"name":           nameOf("The phase's name, which no other phase has"),
		"steps":          object{"type": "array", "minItems": 1, "items": ref("step"), "description": "The steps, in the order in which they run."},
		"disableLogging": described("Keeps what the phase prints out of the logs.", flag()),
	}, "name", "steps")
}

func step() object {
	var names, rules []any
	for _, name := range action.Names() {
		m := action.Lookup(name)
		names = append(names, object{"const": name, "description": actionTexts[name]})
		then := object{"properties": object{"inputs": ref(name)}}
		if !m.Optional {
			then["required"] = []string{"inputs"}
		}
		if m.Once {
			then["properties"].(object)["timeoutSeconds"] = object{"enum": []any{-1, "-1"}}
			then["properties"].(object)["maxAttempts"] = object{"enum": []any{1, "1"}}
		}
		rules = append(rules, object{
			"if":   object{"properties": object{"action": object{"const": name}}, "required": []string{"action"}},
			"then": then,
		})
	}
	seconds := whole(object{"default": 7200, "anyOf": []any{object{"enum": []any{-1, "-1"}}, object{"minimum": 1, "pattern": "^[+]?0*[1-9]"}}})
	attempts := whole(object{"default": 1, "minimum": 1})
	attempts["pattern"] = `^[+]?0*[1-9][0-9]*$`
	o := strict(object{
		"name":           nameOf("The step's name, which no other step of the phase has"),
		"action":         object{"anyOf": names, "description": "What the step does."},
		"timeoutSeconds": described("How long one attempt may take; -1 for no limit.", seconds),
		"onFailure":      object{"enum": []string{"Abort", "Continue", "Ignore"}, "default": "Abort", "description": "Abort ends the run, Continue goes on and fails at the end, Ignore goes on as if nothing had happened."},
		"maxAttempts":    described("How often the step is tried in all.", attempts),
		"inputs":         object{"description": "What the action works on."},
		"loop":           described("Runs the action once for every value.", ref("loop")),
		"if":             described("Runs the step only if a condition holds.", ref("if")),
		"disableLogging": described("Keeps what the step prints out of the logs.", flag()),
	}, "name", "action")
	o["allOf"] = rules
	return o
}

func loop() object {
	count := func(what string) object { return described(what, whole(object{})) }
	delimiters := []string{".", ",", ";", ":", "\n", "\t", " ", "-", "_"}
	o := strict(object{
		"name": nameOf("The loop's name, for {{ name.value }} and {{ name.index }}"),
		"for": described("Counts from start to end, both included.", strict(object{
			"start": count("The first number."), "end": count("The last number."), "updateBy": count("What is added each time; not 0."),
		}, "start", "end", "updateBy")),
		"forEach": object{"description": "The values, as a list or as one text to split.", "anyOf": []any{
			object{"type": "array", "minItems": 1, "items": optionalText()},
			strict(object{
				"list":      described("The values in one text.", text()),
				"delimiter": object{"enum": delimiters, "default": ",", "description": "What stands between the values."},
			}, "list"),
		}},
	})
	o["oneOf"] = []any{object{"required": []string{"for"}}, object{"required": []string{"forEach"}}}
	return o
}

// variable is a mapping of one name to its definition.
func variable(what string, body object) object {
	return object{
		"type": "object", "minProperties": 1, "maxProperties": 1,
		"propertyNames":        object{"pattern": namePattern},
		"additionalProperties": body,
		"description":          what,
	}
}

func parameter() object {
	return variable("A parameter: its name, and what it is.", strict(object{
		"type":          object{"const": "string", "description": "The only type there is."},
		"default":       described("The value where none is given.", optionalText()),
		"description":   described("What the parameter is for.", optionalText()),
		"allowedValues": object{"type": []string{"array", "null"}, "minItems": 1, "items": optionalText(), "description": "The only values that may be given."},
	}, "type"))
}

func constant() object {
	return variable("A constant: its name, and its value.", strict(object{
		"type":  object{"const": "string", "description": "The only type there is."},
		"value": described("The value.", text()),
	}, "type", "value"))
}
