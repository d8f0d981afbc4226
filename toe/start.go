package toe

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
	"github.com/goldsmith-build/goldsmith/toe/problem"
	"github.com/goldsmith-build/goldsmith/toe/source"
)

// start is the step that a run begins with; a nil start is the first one.
type start struct {
	document, phase, step int
	name                  string // as it was given
}

// skips says whether a step lies before the start.
func (s *start) skips(document, phase, step int) bool {
	if s == nil {
		return false
	}
	return slices.Compare([]int{document, phase, step}, []int{s.document, s.phase, s.step}) < 0
}

// findStart reads Options.From: PHASE.STEP, with DOCUMENT: before it where there
// are several documents.
func findStart(o *Options, docs []*loaded) (*start, error) {
	if o.From == "" {
		return nil, nil
	}
	usage := func(format string, args ...any) (*start, error) {
		return nil, &UsageError{fmt.Sprintf("the first step %q: ", o.From) + fmt.Sprintf(format, args...)}
	}
	s := &start{name: o.From}
	place := o.From
	if colon := strings.LastIndexByte(place, ':'); colon >= 0 {
		found := findDocument(docs, place[:colon])
		if len(found) != 1 {
			return usage("%d documents are named %q", len(found), place[:colon])
		}
		s.document, place = found[0], place[colon+1:]
	} else if len(docs) > 1 {
		return usage("it must be DOCUMENT:PHASE.STEP, since there are several documents")
	}
	d := docs[s.document].doc
	phase, step, ok := strings.Cut(place, ".")
	if !ok {
		return usage("it must be PHASE.STEP")
	}
	if s.phase = slices.Index(d.PhaseNames(), phase); s.phase < 0 {
		return usage("there is no phase '%s'%s", phase, suggest(phase, d.PhaseNames()))
	}
	names := stepNames(d.Phases[s.phase].Steps)
	if s.step = slices.Index(names, step); s.step < 0 {
		return usage("the phase '%s' has no step '%s'%s", phase, step, suggest(step, names))
	}
	if len(o.Phases) > 0 && !slices.Contains(o.Phases, phase) {
		return usage("the phase '%s' is not among those selected", phase)
	}
	return s, nil
}

// findDocument gives the documents that a name stands for: a number from 1, a
// path, the last part of one, or a document's own name.
func findDocument(docs []*loaded, name string) []int {
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= len(docs) {
		return []int{n - 1}
	}
	for _, is := range []func(*loaded) bool{
		func(d *loaded) bool { return d.source.Path == name || d.source.ComponentArn == name },
		func(d *loaded) bool { return filepath.Base(d.source.Path) == name || d.doc.Name == name },
	} {
		var found []int
		for i, d := range docs {
			if is(d) {
				found = append(found, i)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func stepNames(steps []Step) []string {
	names := make([]string, len(steps))
	for i := range steps {
		names[i] = steps[i].Name
	}
	return names
}

func suggest(word string, known []string) string {
	if near := problem.Nearest(word, known); near != "" {
		return ", did you mean '" + near + "'?"
	}
	return ""
}

// readChain reads what an earlier run left for later steps out of its log
// folder.
func readChain(folder string, documents int) (*chain, error) {
	const most = 256 << 20
	f, err := os.Open(filepath.Join(folder, chainFile))
	if err != nil {
		return nil, fmt.Errorf("reading the outputs of the earlier run: %w", err)
	}
	defer f.Close()
	var published publishedChain
	if err := json.NewDecoder(io.LimitReader(f, most)).Decode(&published); err != nil {
		return nil, fmt.Errorf("reading the outputs of the earlier run: %s: %w", f.Name(), err)
	}
	if published.Version != chainVersion {
		return nil, fmt.Errorf("reading the outputs of the earlier run: %s is of version %d, this program knows %d", f.Name(), published.Version, chainVersion)
	}
	c := newChain(documents)
	for i, d := range published.Documents {
		for name, e := range d {
			if i < documents && e != nil {
				c.documents[i][name] = e
			}
		}
	}
	return c, nil
}

// withStart settles where the run starts and what steps before that have left.
// Problems are references to steps before the start that left nothing.
func (x *executor) withStart() (Problems, error) {
	from, err := findStart(x.o, x.docs)
	if err != nil {
		return nil, err
	}
	x.from, x.chain = from, newChain(len(x.docs))
	if x.o.OutputsFrom != "" {
		if from == nil {
			return nil, &UsageError{"an earlier run's outputs (--outputs-from) are of use only with a first step (--from)"}
		}
		earlier, err := readChain(x.o.OutputsFrom, len(x.docs))
		if err != nil {
			return nil, err
		}
		x.adopt(earlier)
	}
	if from == nil {
		return nil, nil
	}
	var problems Problems
	for i := from.document; i < len(x.docs); i++ {
		problems = append(problems, x.missingOutputs(i)...)
	}
	problems.Sort()
	return problems, nil
}

// adopt takes what the steps before the start left from an earlier run, and
// nothing of what the later ones did.
func (x *executor) adopt(earlier *chain) {
	for i, d := range x.docs {
		for j := range d.doc.Phases {
			ph := &d.doc.Phases[j]
			for k, step := range stepNames(ph.Steps) {
				if e := earlier.documents[i][ph.Name+"."+step]; e != nil && x.from.skips(i, j, k) {
					x.chain.set(i, ph.Name, step, e)
				}
			}
		}
	}
}

// missingOutputs finds references of steps that will run to steps that lie
// before the start and of which nothing is known.
func (x *executor) missingOutputs(document int) Problems {
	d := x.docs[document].doc
	var problems Problems
	for j := range d.Phases {
		ph := &d.Phases[j]
		for k := range ph.Steps {
			if x.from.skips(document, j, k) || !x.selected(ph.Name) {
				continue
			}
			ph.Steps[k].texts(func(n *source.Node) {
				problems = append(problems, x.missingIn(document, n)...)
			})
		}
	}
	return problems
}

func (x *executor) missingIn(document int, n *source.Node) Problems {
	d := x.docs[document].doc
	var problems Problems
	parsed, _ := reference.Parse(n.Text)
	for _, r := range parsed.Refs() {
		if r.Kind != reference.Chain || x.chain.documents[document][r.Phase+"."+r.Step] != nil {
			continue
		}
		phase := slices.Index(d.PhaseNames(), r.Phase)
		step := slices.Index(stepNames(d.Phases[phase].Steps), r.Step)
		if x.from.skips(document, phase, step) && len(problems) < maxProblems {
			pr := n.ProblemAt(r.Offset, "before-start", fmt.Sprintf("%s: the step '%s' lies before %s, where the run starts, and no earlier run's outputs are given for it.", shorten(r.Text), r.Step, x.from.name))
			pr.Document = d.location
			problems = append(problems, pr)
		}
	}
	return problems
}
