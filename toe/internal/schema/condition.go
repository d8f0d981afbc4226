package schema

import (
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
)

// numbers are the operators that compare numbers.
var numbers = []string{"numberEquals", "numberLessThan", "numberLessThanEquals", "numberGreaterThan", "numberGreaterThanEquals"}

// conditionOf gives the schema of an expression: exactly one operator with the
// key that belongs beside it. With outcomes, it is that of a step's if, which
// may have then and else beside any operator of it.
func conditionOf(name string, outcomes bool) object {
	properties := object{
		"value": described("What the operator looks at.", text()),
		"path":  described("The file that the operator looks at.", text()),
	}
	var each []any
	for _, op := range condition.Operators() {
		properties[op] = operand(op, name)
		required, without := []string{op}, object{}
		for _, companion := range []string{"value", "path"} {
			if companion == condition.Second(op) {
				required = append(required, companion)
			} else {
				without[companion] = false
			}
		}
		each = append(each, object{"required": required, "properties": without})
	}
	if outcomes {
		for key, when := range map[string]string{"then": "holds", "else": "does not hold"} {
			properties[key] = object{"enum": condition.Outcomes, "default": map[string]string{"then": "Execute", "else": "Skip"}[key], "description": "What to do with the step if the condition " + when + "."}
		}
	}
	o := strict(properties)
	o["oneOf"] = each
	return described("A comparison, or conditions under and, or, not.", o)
}

func operand(op, name string) object {
	list := object{"type": "array", "minItems": 1, "items": ref(name)}
	switch op {
	case condition.And, condition.Or:
		return described(operatorTexts[op], list)
	case condition.Not:
		list["maxItems"] = 1
		return object{"anyOf": []any{ref(name), list}, "description": operatorTexts[op]}
	}
	if slices.Contains(numbers, op) {
		return object{"type": []string{"number", "string"}, "pattern": `^[-+]?([0-9]+[.])?[0-9]+$|` + reference, "description": operatorText(op)}
	}
	return described(operatorText(op), text())
}

func operatorText(op string) string {
	t, ok := operatorTexts[op]
	if !ok {
		panic(fmt.Sprintf("the operator %s has no description", op)) // held by a test
	}
	return t
}
