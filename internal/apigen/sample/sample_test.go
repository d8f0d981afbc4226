package sample

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

func TestConstraints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*PutThingInput)
		want   *shape.Violation // nil: all is well
	}{
		"smallest":           {func(*PutThingInput) {}, nil},
		"required":           {func(in *PutThingInput) { in.Name = nil }, &shape.Violation{Path: "name", Rule: shape.Required}},
		"required list":      {func(in *PutThingInput) { in.Things = nil }, &shape.Violation{Path: "things", Rule: shape.Required}},
		"longest, in runes":  {func(in *PutThingInput) { in.Name = new("ééééé") }, nil},
		"too long":           {func(in *PutThingInput) { in.Name = new("éééééé") }, &shape.Violation{Path: "name", Rule: shape.MaxLength, Limit: "5", Value: "éééééé"}},
		"too short":          {func(in *PutThingInput) { in.Name = new("") }, &shape.Violation{Path: "name", Rule: shape.MinLength, Limit: "1"}},
		"pattern":            {func(in *PutThingInput) { in.Name = new("A") }, &shape.Violation{Path: "name", Rule: shape.Matches, Limit: `[a-z\u00e9]+`, Value: "A"}},
		"enumeration":        {func(in *PutThingInput) { in.Color = new(ColorX8664) }, nil},
		"not in it":          {func(in *PutThingInput) { in.Color = new(Color("red")) }, &shape.Violation{Path: "color", Rule: shape.Enum, Limit: "RED, dark-blue, x86_64", Value: "red"}},
		"secrets stay so":    {func(in *PutThingInput) { in.Secret = new("pw") }, &shape.Violation{Path: "secret", Rule: shape.MinLength, Limit: "3"}},
		"most items":         {func(in *PutThingInput) { in.Things = things(3) }, nil},
		"too many items":     {func(in *PutThingInput) { in.Things = things(4) }, &shape.Violation{Path: "things", Rule: shape.MaxItems, Limit: "3"}},
		"an item's member":   {func(in *PutThingInput) { in.Things = append(things(1), Thing{}) }, &shape.Violation{Path: "things[1].name", Rule: shape.Required}},
		"two levels down":    {func(in *PutThingInput) { in.Things = []Thing{{Name: new("a"), Inside: []Thing{{Name: new("B")}}}} }, &shape.Violation{Path: "things[0].inside[0].name", Rule: shape.Matches, Limit: `[a-z\u00e9]+`, Value: "B"}},
		"a map's key":        {func(in *PutThingInput) { in.ByName = map[string]Thing{"B": {}} }, &shape.Violation{Path: "byName.B", Rule: shape.Matches, Limit: `[a-z\u00e9]+`, Value: "B"}},
		"a map's structure":  {func(in *PutThingInput) { in.ByName = map[string]Thing{"b": {}} }, &shape.Violation{Path: "byName.b.name", Rule: shape.Required}},
		"the first key":      {func(in *PutThingInput) { in.ByName = map[string]Thing{"c": {}, "b": {}, "d": {}} }, &shape.Violation{Path: "byName.b.name", Rule: shape.Required}},
		"no items":           {func(in *PutThingInput) { in.Tags = map[string]string{} }, &shape.Violation{Path: "tags", Rule: shape.MinItems, Limit: "1"}},
		"forbidden prefix":   {func(in *PutThingInput) { in.Tags = map[string]string{"aws:a": "abc"} }, &shape.Violation{Path: "tags.aws:a", Rule: shape.Matches, Limit: `^(?!aws:)[a-z:\s]*$`, Value: "aws:a"}},
		"a map's value":      {func(in *PutThingInput) { in.Tags = map[string]string{"a": "b"} }, &shape.Violation{Path: "tags.a", Rule: shape.MinLength, Limit: "3"}},
		"numbers":            {func(in *PutThingInput) { in.Percentages = []int32{0, 100} }, nil},
		"a number too large": {func(in *PutThingInput) { in.Percentages = []int32{0, 101} }, &shape.Violation{Path: "percentages[1]", Rule: shape.MaxValue, Limit: "100", Value: "101"}},
		"a number too small": {func(in *PutThingInput) { in.Percentages = []int32{-1} }, &shape.Violation{Path: "percentages[0]", Rule: shape.MinValue, Limit: "0", Value: "-1"}},
		"a list's string":    {func(in *PutThingInput) { in.Names = []string{"a", ""} }, &shape.Violation{Path: "names[1]", Rule: shape.MinLength, Limit: "1"}},
		"a ratio":            {func(in *PutThingInput) { in.Ratio = new(1.5) }, &shape.Violation{Path: "ratio", Rule: shape.MaxValue, Limit: "1", Value: "1.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := &PutThingInput{Name: new("a"), Things: []Thing{}}
			c.change(in)
			err := in.Validate()
			var got *shape.Violation
			if !errors.As(err, &got) && err != nil {
				t.Fatalf("not a violation: %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func things(n int) []Thing {
	list := make([]Thing, n)
	for i := range list {
		list[i].Name = new("a")
	}
	return list
}
