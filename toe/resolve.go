package toe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
)

// iteration is a loop's current value.
type iteration struct {
	name  string
	index int
	value string
}

// resolver puts values in place of the references of a step.
type resolver struct {
	ctx  context.Context
	x    *executor
	at   *place
	loop *iteration // nil outside a loop

	// look finds values before anything runs; nil for value.
	look func(reference.Ref) (value string, keep bool, err error)

	secret bool // a value was secret
}

func (r *resolver) expand(t reference.Text) (string, error) {
	look := r.look
	if look == nil {
		look = r.value
	}
	return t.Expand(func(ref reference.Ref) (string, bool, error) {
		value, keep, err := look(ref)
		if err != nil {
			err = fmt.Errorf("%s: %w", ref.Text, err)
		}
		return value, keep, err
	})
}

func (r *resolver) value(ref reference.Ref) (value string, keep bool, err error) {
	switch ref.Kind {
	case reference.Name:
		return r.at.doc.values[ref.Name], false, nil
	case reference.Chain:
		value, err = r.x.chain.value(r.at.document, ref.Phase, ref.Step, ref.Side, ref.Index, ref.Key)
		return value, false, err
	case reference.Loop:
		if r.loop == nil {
			return "", true, nil
		}
		if ref.Property == "index" {
			return strconv.Itoa(r.loop.index), false, nil
		}
		return r.loop.value, false, nil
	case reference.Env:
		value, ok := lookupEnv(r.x.env, ref.Name)
		if !ok {
			r.x.logs.linef("The environment variable %s is not set; it is empty", ref.Name)
		}
		return value, false, nil
	case reference.Context:
		return r.context(ref.Name), false, nil
	}
	value, err = r.cloudValue(ref)
	return value, false, err
}

// cloudValue asks AWS. A value that is secret is kept out of logs from now on.
func (r *resolver) cloudValue(ref reference.Ref) (string, error) {
	cloud := r.x.o.Cloud
	if cloud == nil {
		return "", action.ErrNoCloud
	}
	if ref.Kind == reference.IMDS {
		return cloud.Metadata(r.ctx, ref.Name)
	}
	name := ref.Name
	if ref.Resolve != nil {
		inner, _, err := r.value(*ref.Resolve)
		if err != nil {
			return "", err
		}
		name = inner
	}
	value, secret, err := cloud.Parameter(r.ctx, name)
	if err != nil {
		return "", err
	}
	if secret {
		if strings.ContainsAny(value, "\r\n") {
			return "", errors.New("the secret has several lines")
		}
		r.x.logs.secrets.add(value)
		r.secret = true
	}
	return value, nil
}

// context gives a value of the run. Times are those of the run's start, so
// that all of its steps see the same.
func (r *resolver) context(key string) string {
	start := r.x.start.UTC()
	switch key {
	case "executionId":
		return r.x.id
	case "accountId":
		return "" // only the metadata service knows it, and asking would slow every run down
	case "region":
		region, ok := lookupEnv(r.x.env, "AWS_REGION")
		if !ok {
			region, _ = lookupEnv(r.x.env, "AWS_DEFAULT_REGION")
		}
		return region
	case "osPlatform":
		return runtime.GOOS
	case "osName":
		return osRelease()["NAME"]
	case "osVersion":
		return osRelease()["VERSION_ID"]
	case "date":
		return start.Format("2006-01-02")
	case "dateTime":
		return start.Format("2006-01-02T15:04:05Z07:00")
	case "uuid":
		return uuid.NewString()
	case "hostname":
		name, _ := os.Hostname()
		return name
	case "phase":
		return r.at.phase.Name
	case "step":
		return r.at.step.Name
	}
	return "" // Parse refuses other keys
}

// osRelease reads os-release(5) once; it is empty where there is none.
var osRelease = sync.OnceValue(func() map[string]string {
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		values := map[string]string{}
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				values[key] = strings.Trim(value, `"'`)
			}
		}
		return values
	}
	return nil
})

// homeFolder is the user's home by the user database.
func homeFolder() string {
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	return ""
}

// resolved are a step's inputs with their references resolved.
type resolved struct {
	inputs action.Inputs
	shown  []map[string]any    // for logs
	texts  []map[string]string // for chaining
}

// inputs resolves and converts a step's inputs.
func (r *resolver) inputs(s *Step) (*resolved, error) {
	out := &resolved{}
	if s.condition != nil {
		shown, _ := s.condition.Expanded(r.expand).(map[string]any)
		out.shown = []map[string]any{shown}
		out.inputs.Condition = func() (bool, error) { return s.condition.Eval(r.conditionEnv()) }
		return out, nil
	}
	for i := range s.entries {
		values, texts := map[string]any{}, map[string]string{}
		for j := range s.entries[i].fields {
			f := &s.entries[i].fields[j]
			value, text, err := r.field(f)
			if err != nil {
				return nil, fmt.Errorf("the input '%s': %w", f.schema.Name, err)
			}
			values[f.schema.Name], texts[f.schema.Name] = value, text
		}
		for _, f := range s.module.Fields {
			if _, ok := texts[f.Name]; !ok && f.Default != "" {
				texts[f.Name] = f.Default
			}
		}
		out.shown = append(out.shown, shownInputs(s, values))
		out.texts = append(out.texts, texts)
		out.inputs.Entries = append(out.inputs.Entries, action.NewEntry(s.module, values))
	}
	return out, nil
}

// shownInputs are the inputs for logs: what was given, and for ExecuteDocument
// also what was not (user guide, "ExecuteDocument": detailed output).
func shownInputs(s *Step, values map[string]any) map[string]any {
	if !s.module.Once {
		return values
	}
	shown := maps.Clone(values)
	for _, f := range s.module.Fields {
		if _, ok := shown[f.Name]; ok {
			continue
		}
		shown[f.Name] = ""
		if f.Type == action.Pairs {
			shown[f.Name] = nil
		}
	}
	return shown
}

// field resolves one input. A value that came out of references is checked
// like a literal.
func (r *resolver) field(f *field) (value any, text string, err error) {
	switch {
	case f.isList:
		list := make([]string, len(f.list))
		for i, t := range f.list {
			if list[i], err = r.expand(t); err != nil {
				return nil, "", err
			}
		}
		return list, strings.Join(list, ","), nil
	case f.schema.Type == action.Pairs, f.schema.Type == action.StringMap:
		return r.pairs(f)
	}
	if text, err = r.expand(f.text); err != nil {
		return nil, "", err
	}
	if !f.text.Literal() {
		if err := f.schema.Check(text); err != nil {
			return nil, "", err
		}
	}
	value, err = f.schema.Convert(text)
	return value, text, err
}

func (r *resolver) pairs(f *field) (any, string, error) {
	pairs := make([]action.Pair, len(f.pairs))
	byName := map[string]string{}
	texts := make([]string, len(f.pairs))
	for i, p := range f.pairs {
		name, err := r.expand(p.name)
		if err != nil {
			return nil, "", err
		}
		value, err := r.expand(p.value)
		if err != nil {
			return nil, "", err
		}
		pairs[i] = action.Pair{Name: name, Value: value}
		byName[name] = value
		texts[i] = name + "=" + value
	}
	text := strings.Join(texts, ",")
	if f.schema.Type == action.StringMap {
		return byName, text, nil
	}
	return pairs, text, nil
}
