//go:build linux

package toe_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/action"
	"github.com/goldsmith-build/goldsmith/toe/cli"
	"github.com/goldsmith-build/goldsmith/toe/internal/condition"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// coverage is what passing cases exercised: for each thing, the steps that did.
type coverage struct {
	cases    map[string]bool
	steps    map[string][]string // "given CopyFile.source" → "Name", "Into" …
	failures map[string][]string // action → "Step: message"
}

func newCoverage() *coverage {
	return &coverage{cases: map[string]bool{}, steps: map[string][]string{}, failures: map[string][]string{}}
}

func (v *coverage) mark(thing, by string) {
	if !slices.Contains(v.steps[thing], by) {
		v.steps[thing] = append(v.steps[thing], by)
	}
}

// add records what a case that went as expected has exercised.
func (v *coverage) add(t *testing.T, c *conformanceCase, r *toe.Result) {
	t.Helper()
	v.cases[c.name] = true
	results := map[string]*toe.StepResult{}
	for _, ph := range r.Detail.Documents[0].Phases {
		for _, s := range ph.Steps {
			results[s.Name] = s
		}
	}
	messages := map[string]string{}
	for _, e := range c.expect {
		messages[e.step] = e.message
	}
	for _, s := range c.steps(t) {
		result := results[s.Name]
		if result == nil {
			continue
		}
		by := c.name + "/" + s.Name
		for _, feature := range features {
			if feature.used(s, result) {
				v.mark(feature.name, by)
			}
		}
		if s.Action == "Assert" {
			v.operators(s.raw["inputs"], result, by)
		}
		if c.name == s.Action {
			v.module(s, result, messages[s.Name])
		}
	}
	for name := range c.refuse {
		v.mark("refused "+c.name, name)
	}
}

// module records a step in its action's own case.
func (v *coverage) module(s *conformanceStep, r *toe.StepResult, message string) {
	m := action.Lookup(s.Action)
	v.mark("run "+m.Name, s.Name)
	if (r.Status == toe.StatusFailed || r.Status == toe.StatusTimedOut) && m.Shape != action.Condition { // a false assertion is no error
		v.failures[m.Name] = append(v.failures[m.Name], s.Name+": "+message)
	}
	for _, in := range s.inputs() {
		for _, f := range m.Fields {
			if _, ok := in[f.Name]; ok {
				v.mark("given "+m.Name+"."+f.Name, s.Name)
			} else if r.Status == toe.StatusSuccess {
				v.mark("without "+m.Name+"."+f.Name, s.Name)
			}
		}
	}
	var outputs []map[string]string
	_ = json.Unmarshal([]byte(r.Outputs), &outputs) // no outputs are no evidence
	for _, o := range outputs {
		for key := range o {
			v.mark("output "+m.Name+"."+key, s.Name)
		}
	}
}

// operators records the operators of an assertion: the outermost with the
// result, those within without.
func (v *coverage) operators(in any, r *toe.StepResult, by string) {
	m, ok := in.(map[string]any)
	if !ok {
		return
	}
	for _, op := range condition.Operators() {
		if _, ok := m[op]; ok {
			v.mark(fmt.Sprintf("%s is %t", op, r.Status == toe.StatusSuccess), by)
		}
	}
}

// feature is a part of the language beside actions and operators.
type feature struct {
	name string
	used func(s *conformanceStep, r *toe.StepResult) bool
}

// holds says whether a key of the step has a value of a form.
func holds(pattern string, keys ...string) func(*conformanceStep, *toe.StepResult) bool {
	form := regexp.MustCompile(pattern)
	return func(s *conformanceStep, r *toe.StepResult) bool {
		var at any = s.raw
		for _, key := range keys {
			m, ok := at.(map[string]any)
			if !ok || m[key] == nil {
				return false
			}
			at = m[key]
		}
		return form.MatchString(fmt.Sprintf("%v", at)) && r.Status != ""
	}
}

func refers(pattern string) func(*conformanceStep, *toe.StepResult) bool {
	form := regexp.MustCompile(`\{\{ *` + pattern + ` *\}\}`)
	return func(s *conformanceStep, r *toe.StepResult) bool {
		b, _ := json.Marshal(s.raw)
		return form.Match(b) && r.Status == toe.StatusSuccess
	}
}

func ended(status string) func(*conformanceStep, *toe.StepResult) bool {
	return func(_ *conformanceStep, r *toe.StepResult) bool { return r.Status == status }
}

var features = []feature{
	{"`timeoutSeconds`", holds(`^[1-9]`, "timeoutSeconds")},
	{"`timeoutSeconds: -1`", holds(`^-1$`, "timeoutSeconds")},
	{"`maxAttempts`", holds(`^[2-9]`, "maxAttempts")},
	{"`onFailure: Abort`", holds(`^Abort$`, "onFailure")},
	{"`onFailure: Continue`", holds(`^Continue$`, "onFailure")},
	{"`onFailure: Ignore`", holds(`^Ignore$`, "onFailure")},
	{"`disableLogging` of a step", holds(`^true$`, "disableLogging")},
	{"`loop.for` upwards", holds(`^[1-9]`, "loop", "for", "updateBy")},
	{"`loop.for` downwards", holds(`^-`, "loop", "for", "updateBy")},
	{"`loop.forEach`, a list", holds(`^\[`, "loop", "forEach")},
	{"`loop.forEach`, delimited, default `,`", func(s *conformanceStep, r *toe.StepResult) bool {
		return holds(`.`, "loop", "forEach", "list")(s, r) && !holds(`(?s).`, "loop", "forEach", "delimiter")(s, r)
	}},
	{"delimiter `.`", holds(`^[.]$`, "loop", "forEach", "delimiter")},
	{"delimiter `;`", holds(`^;$`, "loop", "forEach", "delimiter")},
	{"delimiter `:`", holds(`^:$`, "loop", "forEach", "delimiter")},
	{"delimiter `\\n`", holds(`^\n$`, "loop", "forEach", "delimiter")},
	{"delimiter `\\t`", holds(`^\t$`, "loop", "forEach", "delimiter")},
	{"delimiter blank", holds(`^ $`, "loop", "forEach", "delimiter")},
	{"delimiter `-`", holds(`^-$`, "loop", "forEach", "delimiter")},
	{"delimiter `_`", holds(`^_$`, "loop", "forEach", "delimiter")},
	{"`loop.name`", holds(`.`, "loop", "name")},
	{"`{{ loop.value }}`", refers(`loop\.value`)},
	{"`{{ loop.index }}`", refers(`loop\.index`)},
	{"`{{ NAME.value }}`, `{{ NAME.index }}`", refers(`down\.(value|index)`)},
	{"a loop with `maxAttempts`", func(s *conformanceStep, r *toe.StepResult) bool {
		return holds(`.`, "loop")(s, r) && holds(`.`, "maxAttempts")(s, r)
	}},
	{"a loop with `if`", func(s *conformanceStep, r *toe.StepResult) bool {
		return holds(`.`, "loop")(s, r) && holds(`.`, "if")(s, r)
	}},
	{"`if`, run", func(s *conformanceStep, r *toe.StepResult) bool {
		return holds(`.`, "if")(s, r) && r.Status == toe.StatusSuccess
	}},
	{"`if`, skipped", ended(toe.StatusSkipped)},
	{"`then: Abort`", holds(`^Abort$`, "if", "then")},
	{"`then: Execute`", holds(`^Execute$`, "if", "then")},
	{"`then: Skip`", holds(`^Skip$`, "if", "then")},
	{"`else: Abort`", holds(`^Abort$`, "if", "else")},
	{"`else: Execute`", holds(`^Execute$`, "if", "else")},
	{"`else: Skip`", holds(`^Skip$`, "if", "else")},
	{"parameters and constants", refers(`(Color|What)`)},
	{"`{{ phase.step.outputs.key }}`", refers(`build\.\w+\.outputs\.\w+`)},
	{"`{{ phase.step.outputs[i].key }}`", refers(`build\.\w+\.outputs\[\d\]\.\w+`)},
	{"`{{ phase.step.inputs.key }}`", refers(`build\.\w+\.inputs\.\w+`)},
	{"`{{ phase.step.inputs[i].key }}`", refers(`build\.\w+\.inputs\[\d\]\.\w+`)},
	{"`{{ env:NAME }}`", refers(`env:CONFORMANCE`)},
	{"`{{ aws:ssm:NAME }}`", refers(`aws:ssm:/\w+`)},
	{"`{{ aws:ssm:resolve(…) }}`", refers(`aws:ssm:resolve\(.*\)`)},
	{"`{{ aws:imds:PATH }}`", refers(`aws:imds:\S+`)},
	{"`{{ context:executionId }}`", refers(`context:executionId`)},
	{"`{{ context:accountId }}`", refers(`context:accountId`)},
	{"`{{ context:region }}`", refers(`context:region`)},
	{"`{{ context:osPlatform }}`", refers(`context:osPlatform`)},
	{"`{{ context:osName }}`", refers(`context:osName`)},
	{"`{{ context:osVersion }}`", refers(`context:osVersion`)},
	{"`{{ context:date }}`", refers(`context:date`)},
	{"`{{ context:dateTime }}`", refers(`context:dateTime`)},
	{"`{{ context:uuid }}`", refers(`context:uuid`)},
	{"`{{ context:hostname }}`", refers(`context:hostname`)},
	{"`{{ context:phase }}`", refers(`context:phase`)},
	{"`{{ context:step }}`", refers(`context:step`)},
	{"exit status 194, the same step again", func(s *conformanceStep, r *toe.StepResult) bool {
		return s.Name == "Asked" && r.Status == toe.StatusSuccess
	}},
}

// table renders what was found. What nothing exercised fails the test.
func (v *coverage) table(t *testing.T) []byte {
	t.Helper()
	p := &page{t: t, found: v, windows: windowsEvidence(t)}
	p.line("# Conformance")
	p.line("")
	p.line("Made by `go test ./toe -run TestConformance -update` from what its cases (`toe/testdata/conformance`) ran and found as expected; the same test")
	p.line("fails when this page is not current, or when a row has no case. A name is a step of the case that is named for the action; `given` and")
	p.line("`left out` name up to three steps that did so and ended as expected. Platforms: **run**: the cases ran there; **checked**: validation accepts the")
	p.line("action there, the build for it compiles, and what needs nothing of that system is tested here; **refused**: validation refuses it there.")
	p.line("")
	p.actions()
	p.operators()
	p.language()
	p.flags()
	return p.b.Bytes()
}

type page struct {
	t       *testing.T
	found   *coverage
	windows map[string][]string
	b       bytes.Buffer
}

func (p *page) line(format string, args ...any) {
	if len(args) == 0 {
		p.b.WriteString(format + "\n")
		return
	}
	fmt.Fprintf(&p.b, format+"\n", args...)
}

// by names up to three steps, or reports that there is none.
func (p *page) by(thing string, required bool) string {
	all := p.found.steps[thing]
	if len(all) == 0 {
		all = p.windows[thing]
	}
	switch {
	case len(all) == 0 && required:
		p.t.Errorf("no case exercises: %s", thing)
		return "**none**"
	case len(all) == 0:
		return "–"
	case len(all) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:3], ", "), len(all)-3)
	}
	return strings.Join(all, ", ")
}

func (p *page) actions() {
	p.line("## Actions")
	for _, name := range action.Names() {
		m := action.Lookup(name)
		p.line("")
		p.line("### %s", name)
		p.line("")
		p.line("Linux %s · Windows %s · macOS %s", p.platform(m, action.Linux), p.platform(m, action.Windows), p.platform(m, action.Darwin))
		p.line("")
		if len(m.Fields) > 0 {
			p.line("| input | type | required | default | given | left out | not on |")
			p.line("| --- | --- | --- | --- | --- | --- | --- |")
			for _, f := range m.Fields {
				p.input(m, &f)
			}
			p.line("")
		}
		for _, key := range m.Outputs {
			p.line("- output `%s`: %s", key, p.by("output "+name+"."+key, true))
		}
		for _, f := range p.found.failures[name] {
			step, message, _ := strings.Cut(f, ": ")
			p.line("- fails, %s: `%s`", step, message)
		}
		p.line("- %s", p.by("run "+name, true))
	}
}

// platform tries what validation says about the action.
func (p *page) platform(m *action.Module, platform string) string {
	d, problems := toe.Parse("p.yaml", everyAction(p.t))
	if d == nil || len(problems) > 0 {
		p.t.Fatal(problems)
	}
	refused := slices.ContainsFunc(d.Check(toe.CheckOptions{Platform: platform}), func(pr toe.Problem) bool {
		return strings.HasPrefix(pr.Message, "The action "+m.Name+" in step")
	})
	switch {
	case refused != !m.On(platform):
		p.t.Errorf("%s on %s: validation does not follow the action's platforms", m.Name, platform)
	case refused:
		return "refused"
	case platform == runtime.GOOS && len(p.found.steps["run "+m.Name]) > 0:
		return "run"
	}
	return "checked"
}

func everyAction(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/every-action.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *page) input(m *action.Module, f *action.Field) {
	required, without, values := "no", "", f.Type.String()
	switch {
	case f.Required:
		required, without = "yes", p.refusedWithout(m, f)
	case slices.Contains(m.OneOf, f.Name):
		required, without = "one of "+strings.Join(m.OneOf, ", "), p.by("without "+m.Name+"."+f.Name, true)
	default:
		without = p.by("without "+m.Name+"."+f.Name, true)
	}
	if len(f.Values) > 0 {
		values = "`" + strings.Join(f.Values, "` `") + "`"
	}
	byDefault := ""
	if f.Default != "" {
		byDefault = "`" + f.Default + "`"
	}
	if f.Ignored != "" {
		values += ", without effect"
	}
	p.line("| `%s` | %s | %s | %s | %s | %s | %s |", f.Name, values, required, byDefault, p.by("given "+m.Name+"."+f.Name, true), without, strings.Join(f.NotOn, ", "))
}

// refusedWithout tries a document in which the input is missing, and one in
// which it is a list of lists, which no input is.
func (p *page) refusedWithout(m *action.Module, f *action.Field) string {
	others := []string{"unused: x"}
	for _, o := range m.Fields {
		if o.Name != f.Name {
			others = append(others, o.Name+": "+map[action.Type]string{action.Strings: "[x]", action.StringMap: "{}", action.Pairs: "[]", action.Bool: "true", action.Int: "1"}[o.Type])
		}
	}
	try := func(inputs string) string {
		inputs = "{" + inputs + "}"
		if m.Shape == action.List {
			inputs = "[" + inputs + "]"
		}
		_, problems := toe.Parse("p.yaml", []byte(steps("{name: Without, action: "+m.Name+", inputs: "+inputs+"}")))
		return problems.Error()
	}
	if got, want := try(strings.Join(others, ", ")), fmt.Sprintf("%s needs the input '%s'.", m.Name, f.Name); !strings.Contains(got, want) {
		p.t.Errorf("%s without %s: %s", m.Name, f.Name, got)
	}
	if got := try(f.Name + ": [[x]]"); !strings.Contains(got, "'"+f.Name+"'") || !strings.Contains(got, "must be") {
		p.t.Errorf("%s with a list of lists as %s: %s", m.Name, f.Name, got)
	}
	return "refused"
}

func (p *page) operators() {
	p.line("")
	p.line("## Operators")
	p.line("")
	p.line("| operator | beside it | true | false |")
	p.line("| --- | --- | --- | --- |")
	for _, op := range condition.Operators() {
		p.line("| `%s` | %s | %s | %s |", op, condition.Second(op), p.by(op+" is true", true), p.by(op+" is false", true))
	}
}

func (p *page) language() {
	p.line("")
	p.line("## Language")
	p.line("")
	p.line("| construct | exercised by |")
	p.line("| --- | --- |")
	for _, f := range features {
		p.line("| %s | %s |", f.name, p.by(f.name, true))
	}
	for _, name := range []string{"logging-document", "logging-phase"} {
		if !p.found.cases[name] {
			p.t.Errorf("the case %s is missing", name)
		}
		p.line("| `disableLogging` of a %s | %s |", strings.TrimPrefix(name, "logging-"), name)
	}
	p.line("")
	p.line("Refused by validation: ")
	p.line("")
	for _, thing := range slices.Sorted(maps.Keys(p.found.steps)) {
		if name, ok := strings.CutPrefix(thing, "refused "); ok {
			all := slices.Clone(p.found.steps[thing])
			slices.Sort(all)
			p.line("- %s: %s", name, strings.Join(all, ", "))
		}
	}
}

// flags lists the command line as it is defined, and the scripts that use it.
func (p *page) flags() {
	p.line("")
	p.line("## Command line")
	p.line("")
	p.line("Scripts are in `toe/cli/testdata`.")
	p.line("")
	p.line("| command | flag | default | used in |")
	p.line("| --- | --- | --- | --- |")
	uses := scriptUses(p.t)
	for _, c := range cli.New().Commands() {
		rows := 0
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			rows++
			p.flag(c, f, uses)
		})
		if rows == 0 {
			p.line("| `%s` | | | %s |", c.Name(), strings.Join(uses[c.Name()], ", "))
		}
	}
}

func (p *page) flag(c *cobra.Command, f *pflag.Flag, uses map[string][]string) {
	name := "`--" + f.Name + "`"
	by := uses[c.Name()+" --"+f.Name]
	if f.Shorthand != "" {
		name += " `-" + f.Shorthand + "`"
		by = append(slices.Clone(by), uses[c.Name()+" -"+f.Shorthand]...)
	}
	slices.Sort(by)
	by = slices.Compact(by)
	if len(by) == 0 {
		p.t.Errorf("no script uses %s --%s", c.Name(), f.Name)
		by = []string{"**none**"}
	}
	byDefault := f.DefValue
	if byDefault == "[]" {
		byDefault = ""
	}
	p.line("| `%s` | %s | %s | %s |", c.Name(), name, byDefault, strings.Join(by, ", "))
}

var flagForm = regexp.MustCompile(`^--?[A-Za-z][A-Za-z0-9-]*`)

// scriptUses finds which script uses which flag of which command.
func scriptUses(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("cli/testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no scripts", err)
	}
	uses := map[string][]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			_, command, ok := strings.Cut(line, "toe ")
			words := strings.Fields(command)
			if !ok || len(words) == 0 || strings.HasPrefix(line, "#") {
				continue
			}
			name := strings.TrimSuffix(filepath.Base(file), ".txtar")
			uses[words[0]] = append(uses[words[0]], name)
			for _, word := range words[1:] {
				if f := flagForm.FindString(word); f != "" {
					uses[words[0]+" "+f] = append(uses[words[0]+" "+f], name)
				}
			}
		}
	}
	for name := range uses {
		slices.Sort(uses[name])
		uses[name] = slices.Compact(uses[name])
	}
	return uses
}

// windowsEvidence reads what the tests of package action have exercised of the
// actions that only Windows has; that package's tests hold the file current.
func windowsEvidence(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("action/testdata/windows-evidence.txt")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		if thing, by, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			found[thing] = append(found[thing], by)
		}
	}
	return found
}
