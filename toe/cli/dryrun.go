package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/action"
)

// dryRun prints what a run would do, and does nothing.
func (f *runFlags) dryRun(cmd *cobra.Command, o toe.Options) error {
	plan, problems, err := toe.MakePlan(cmd.Context(), o)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		for _, p := range problems {
			fmt.Fprintln(cmd.ErrOrStderr(), p)
		}
		return &exitError{toe.ExitFailed}
	}
	out := cmd.OutOrStdout()
	if f.json {
		err = writeJSON(out, plan)
	} else {
		_, err = io.WriteString(out, planText(plan))
	}
	if err != nil {
		return fmt.Errorf("printing the plan: %w", err)
	}
	return nil
}

// planText gives a plan as people read it, in order, one step after another.
func planText(plan *toe.Plan) string {
	w := &planWriter{}
	for i := range plan.Documents {
		w.document(&plan.Documents[i], "")
	}
	if w.steps == 0 {
		w.line("", "No step would run.")
	}
	return w.String()
}

type planWriter struct {
	strings.Builder
	steps int
}

// line writes a line; control characters of documents do not reach a terminal.
func (w *planWriter) line(indent, text string) { w.WriteString(indent + printable(text) + "\n") }

func (w *planWriter) document(d *toe.PlannedDocument, indent string) {
	title := d.Name
	if d.Path != d.Name {
		title += " (" + d.Path + ")"
	}
	w.line(indent, "Document "+title)
	for _, name := range slices.Sorted(maps.Keys(d.Values)) {
		w.line(indent, "  "+name+" = "+quoteIfNeeded(d.Values[name]))
	}
	for _, ph := range d.Phases {
		w.line(indent, "  Phase "+ph.Name)
		for i := range ph.Steps {
			w.step(&ph.Steps[i], indent+"    ")
		}
	}
}

func (w *planWriter) step(s *toe.PlannedStep, indent string) {
	w.steps++
	head := fmt.Sprintf("%d. %s: %s", w.steps, s.Name, s.Action)
	if word := map[string]string{toe.PlanSkip: "skipped", toe.PlanFail: "FAILS", toe.PlanUndecided: "perhaps", toe.PlanNotReached: "not reached"}[s.Decision]; word != "" {
		head += " - " + word
	}
	if s.Reason != "" {
		head += " (" + s.Reason + ")"
	}
	w.line(indent, head)
	indent += "   "
	if s.If != nil {
		w.line(indent, "if: "+compact(s.If))
	}
	if s.Decision == toe.PlanSkip || s.Decision == toe.PlanNotReached {
		return
	}
	w.inputs(s.Inputs, indent)
	if s.Loop != nil {
		w.loop(s.Loop, indent)
	}
	if len(s.Unresolved) > 0 {
		w.line(indent, "known only to the run: "+strings.Join(s.Unresolved, ", "))
	}
	if s.Document != nil {
		w.document(s.Document, indent)
	}
}

func (w *planWriter) loop(l *toe.PlannedLoop, indent string) {
	if l.Count < 0 {
		w.line(indent, "in a loop whose values only the run knows")
		return
	}
	if len(l.Iterations) == 0 {
		w.line(indent, fmt.Sprintf("%d times", l.Count))
		return
	}
	w.line(indent, fmt.Sprintf("%d times:", l.Count))
	for _, it := range l.Iterations {
		w.line(indent, fmt.Sprintf("- %d: %s", it.Index, quoteIfNeeded(it.Value)))
		w.inputs(it.Inputs, indent+"  ")
	}
	if more := l.Count - len(l.Iterations); more > 0 {
		w.line(indent, fmt.Sprintf("- and %d more", more))
	}
}

func (w *planWriter) inputs(entries []map[string]any, indent string) {
	for i, e := range entries {
		if len(entries) > 1 {
			w.line(indent, fmt.Sprintf("inputs[%d]", i))
		}
		for _, key := range slices.Sorted(maps.Keys(e)) {
			w.input(key, e[key], indent)
		}
	}
}

func (w *planWriter) input(key string, value any, indent string) {
	switch v := value.(type) {
	case []string:
		w.line(indent, key+":")
		for _, item := range v {
			w.block("  "+indent, item)
		}
	case []action.Pair:
		w.line(indent, key+":")
		for _, p := range v {
			w.line(indent, "  "+p.Name+" = "+quoteIfNeeded(p.Value))
		}
	case string:
		if strings.Contains(v, "\n") {
			w.line(indent, key+":")
			w.block("  "+indent, v)
			return
		}
		w.line(indent, key+": "+quoteIfNeeded(v))
	default:
		w.line(indent, key+": "+compact(v))
	}
}

func (w *planWriter) block(indent, text string) {
	for line := range strings.Lines(text) {
		w.line(indent, strings.TrimRight(line, "\r\n"))
	}
}

func compact(v any) string {
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if err := out.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func quoteIfNeeded(s string) string {
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\n\"") {
		return compact(s)
	}
	return s
}

// printable puts a mark in place of control characters, tabs excepted.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}
