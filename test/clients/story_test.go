package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// call is one call of the story and what has to come back. Texts hold names in
// the form $(name): "$(me)" is the client's own name, others were saved by
// earlier calls.
type call struct {
	op    string
	in    object
	pages string            // as said.Pages
	want  object            // paths of the output, such as "component.tags.a" or "list.0.arn", and their values
	save  map[string]string // names and the paths that they are saved from

	err  string // the error's code, if the call has to fail
	says string // what the error's message holds

	ends  object // with until: an output like this ends the waiting
	until string // the call is repeated until the output is as wanted; this says what that waits for

}

// special values of want.
type special string

const (
	absent  special = "absent"  // there is no such member
	present special = "present" // there is one, and it is not empty
)

// count wants a list of that length.
type count int

// matching wants a text that the pattern matches whole.
type matching string

// chapter is a part of the story: its calls follow each other, and the chapter
// ends with the first one that fails.
type chapter struct {
	name  string
	needs string // a name without which the chapter is left out, such as a built image
	calls []call
}

// teller tells the story to one client.
type teller struct {
	client client
	driver driver
	names  map[string]string
	record *record
}

// missing is a name that nothing was saved under.
type missing string

func (m missing) Error() string { return "nothing was saved as " + string(m) }

var reference = regexp.MustCompile(`\$\(([a-zA-Z]+)\)`)

// fill puts saved values in the place of references, in all texts of v.
func (t *teller) fill(v any) (any, error) {
	switch v := v.(type) {
	case string:
		var lost error
		out := reference.ReplaceAllStringFunc(v, func(s string) string {
			value, ok := t.names[s[2:len(s)-1]]
			if !ok {
				lost = missing(s)
			}
			return value
		})
		return out, lost
	case matching:
		s, err := t.fill(string(v))
		if err != nil {
			return nil, err
		}
		return matching(s.(string)), nil
	case object:
		out := object{}
		for k, item := range v {
			key, err := t.fill(k)
			if err != nil {
				return nil, err
			}
			if out[key.(string)], err = t.fill(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	case list:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = t.fill(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// list is a JSON list.
type list = []any

// tell makes the calls of a chapter.
func (t *teller) tell(tb *testing.T, ch chapter) {
	if ch.needs != "" && t.names[ch.needs] == "" {
		tb.Skipf("there is no %s", ch.needs)
	}
	for i, c := range ch.calls {
		outcome, err := t.make(tb.Context(), c)
		if outcome == unreached && !t.knows(tb.Context(), c.op) {
			outcome = unknown
		}
		t.record.add(c.op, t.client.name, outcome)
		label := fmt.Sprintf("call %d of the chapter, %s", i+1, c.op)
		switch outcome {
		case failed:
			tb.Errorf("%s: %v", label, err)
			return // what follows builds on it
		case unreached:
			tb.Logf("%s: left out: %v", label, err)
			if errors.Is(err, errEnded) {
				return
			}
		case unknown, refused:
			tb.Logf("%s: %s: %v", label, outcome, err)
		}
	}
}

// knows asks whether the client has an operation at all.
func (t *teller) knows(ctx context.Context, op string) bool {
	got, err := t.driver.Call(ctx, said{Operation: "knows:" + op})
	return err == nil && got.Lacks == ""
}

var errEnded = errors.New("what was waited for will not come")

// patience bounds how long a call is repeated.
const patience = time.Minute

// make makes a call, again and again if it says so, and judges the answer.
func (t *teller) make(ctx context.Context, c call) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		outcome, err := t.once(ctx, c)
		if outcome != failed || c.until == "" || ctx.Err() != nil || errors.Is(err, errEnded) {
			return outcome, err
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return failed, fmt.Errorf("waited %s until %s: %w", patience, c.until, err)
		}
	}
}

func (t *teller) once(ctx context.Context, c call) (outcome, error) {
	in, err := t.fill(c.in)
	if err != nil {
		return unreached, err
	}
	want, err := t.fill(c.want)
	if err != nil {
		return unreached, err
	}
	arguments, _ := in.(object)
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	got, err := t.driver.Call(ctx, said{Operation: c.op, Input: arguments, Pages: c.pages})
	switch {
	case err != nil:
		return failed, fmt.Errorf("the driver: %w", err)
	case got.Lacks != "":
		return unknown, fmt.Errorf("%s", got.Lacks)
	case got.Error != nil && strings.HasPrefix(got.Error.Code, "UnsupportedOperation"):
		return refused, fmt.Errorf("%s: %s", got.Error.Code, got.Error.Message)
	case got.Error != nil && c.err == "":
		return failed, fmt.Errorf("%s: %s", got.Error.Code, got.Error.Message)
	case c.err != "":
		return t.judgeError(c, got.Error)
	}
	for name, path := range c.save {
		value, ok := at(got.Output, path)
		if !ok {
			return failed, fmt.Errorf("no %s in the output %s", path, encoded(got.Output))
		}
		t.names[name] = fmt.Sprint(value)
	}
	if err := t.judge(got.Output, want.(object)); err != nil {
		if c.ends != nil && t.judge(got.Output, c.ends) == nil {
			if strings.Contains(encoded(got.Output), "in this version") {
				return unreached, fmt.Errorf("%w: the server stores it and does not run it: %s", errEnded, encoded(got.Output))
			}
			return failed, fmt.Errorf("%w: %s", errEnded, encoded(got.Output))
		}
		return failed, fmt.Errorf("%w\nthe output: %s", err, encoded(got.Output))
	}
	return succeeded, nil
}

// judgeError holds an error to the one that is wanted: its code, its class where
// the client has classes, and its words.
func (t *teller) judgeError(c call, got *failure) (outcome, error) {
	if got == nil {
		return failed, fmt.Errorf("no error; %s is wanted", c.err)
	}
	if got.Code == "ParamValidation" && c.err != got.Code {
		return unknown, fmt.Errorf("the client refuses it: %s", got.Message)
	}
	says, err := t.fill(c.says)
	if err != nil {
		return unreached, err
	}
	if got.Code != c.err {
		return failed, fmt.Errorf("the error is %s (%s), %s is wanted", got.Code, got.Message, c.err)
	}
	if !strings.Contains(got.Message, says.(string)) {
		return failed, fmt.Errorf("%s says %q, without %q", got.Code, got.Message, says)
	}
	if got.Class != "" && got.Class != c.err {
		return failed, fmt.Errorf("a program catches %s as %s", c.err, got.Class)
	}
	if !t.client.untyped && got.Class == "" && !t.client.generic {
		return failed, fmt.Errorf("%s has no class in this client", c.err)
	}
	return errorAsWanted, nil
}

// judge holds an output to what is wanted of it.
func (t *teller) judge(output, want object) error {
	for path, value := range want {
		got, ok := at(output, path)
		switch value := value.(type) {
		case special:
			if empty := !ok || got == nil || got == ""; (value == absent) != empty && !(value == absent && t.client.zeroes && nothing(got)) {
				return fmt.Errorf("%s is to be %s, but is %s", path, value, encoded(got))
			}
		case count:
			if l, _ := got.([]any); len(l) != int(value) {
				return fmt.Errorf("%s is to have %d items, but is %s", path, value, encoded(got))
			}
		case matching:
			s, _ := got.(string)
			if !regexp.MustCompile(`^(?:` + string(value) + `)$`).MatchString(s) {
				return fmt.Errorf("%s is to match %s, but is %s", path, value, encoded(got))
			}
		default:
			wanted := generic(value)
			if t.client.zeroes {
				wanted, got = pruned(wanted), pruned(got)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				return fmt.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
	return nil
}

// nothing reports whether v is what clients take for an absent value.
func nothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case int:
		return v == 0
	}
	return false
}

// pruned is v without what some clients cannot tell from absent: false and zero
// members of objects.
func pruned(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, item := range v {
			if item = pruned(item); item == nil || item != "" && nothing(item) {
				continue
			}
			out[k] = item
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = pruned(item)
		}
		return out
	case bool:
		if !v {
			return nil
		}
	}
	return v
}

// at follows a path of names and indexes.
func at(v any, path string) (any, bool) {
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case object:
			next, ok := x[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

// generic gives v the types that decoded JSON has.
func generic(v any) any {
	var out any
	if err := json.Unmarshal([]byte(encoded(v)), &out); err != nil {
		panic(err)
	}
	return out
}

func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
