package reference

import (
	"regexp"
	"strconv"
	"strings"
)

// Kind is the form of a reference.
type Kind int

// The forms of reference.
const (
	Name    Kind = iota // a parameter or constant: Color
	Chain               // phase.step.outputs[0].stdout
	Loop                // loop.index, loopName.value
	SSM                 // aws:ssm:/path, aws:ssm:resolve(Name)
	Env                 // env:PATH
	IMDS                // aws:imds:instance-id
	Context             // context:executionId
)

// Ref is one reference.
type Ref struct {
	Kind   Kind
	Text   string // as written, braces included
	Offset int    // in bytes, in the text it was found in

	Name string // of the parameter, loop, variable, path or key

	Phase, Step string // of a Chain
	Side        string // of a Chain: "inputs" or "outputs"
	Index       int    // of a Chain: the list element, 0 if none was written
	Key         string // of a Chain

	Property string // of a Loop: "index" or "value"
	Resolve  *Ref   // of an SSM reference written resolve(…): where its name comes from
}

// Foreign is text in double braces that is not a reference: templates of other
// languages. It is left as it is.
type Foreign struct {
	Text   string
	Offset int
}

// Text is a string with its references found.
type Text struct {
	raw  string
	refs []Ref
}

var (
	name    = regexp.MustCompile(`^[A-Za-z0-9_-]{3,128}$`)
	loop    = regexp.MustCompile(`^([A-Za-z0-9_-]{1,128})\.(index|value)$`)
	chain   = regexp.MustCompile(`^([A-Za-z0-9_-]{3,128})\.([A-Za-z0-9_-]{3,128})\.(inputs|outputs)(?:\[([0-9]{1,6})\])?\.([A-Za-z0-9_-]{1,128})$`)
	context = regexp.MustCompile(`^context:[A-Za-z0-9_.-]+$`)
	ssmName = regexp.MustCompile(`^[A-Za-z0-9_.:/-]+$`)
	resolve = regexp.MustCompile(`^resolve\((.*)\)$`)
)

// Parse finds the references of a string, and what only looks like one. Blanks
// inside the braces count for nothing, and a value is never searched again.
func Parse(raw string) (Text, []Foreign) {
	t := Text{raw: raw}
	var foreign []Foreign
	for from := 0; ; {
		open := strings.Index(raw[from:], "{{")
		if open < 0 {
			return t, foreign
		}
		open += from
		length := strings.Index(raw[open+2:], "}}")
		if length < 0 {
			return t, foreign
		}
		inner := raw[open+2 : open+2+length]
		// Jump to the last opening before the close, so that hostile runs of
		// braces cost one pass and "{{{ a }}}" is a reference in single braces.
		if last := strings.LastIndex(inner, "{{"); last >= 0 {
			from = open + 2 + last
			continue
		}
		if strings.HasPrefix(inner, "{") {
			from = open + 1
			continue
		}
		whole := raw[open : open+2+length+2]
		if ref, ok := parseOne(strings.TrimSpace(inner)); ok {
			ref.Text, ref.Offset = whole, open
			t.refs = append(t.refs, ref)
		} else {
			foreign = append(foreign, Foreign{Text: whole, Offset: open})
		}
		from = open + len(whole)
	}
}

func parseOne(s string) (Ref, bool) {
	if strings.ContainsAny(s, "{}\n\r") {
		return Ref{}, false
	}
	switch kind, rest := prefix(s); kind {
	case Env:
		return Ref{Kind: Env, Name: rest}, rest != "" && !strings.ContainsAny(rest, "=\x00")
	case IMDS:
		return Ref{Kind: IMDS, Name: strings.TrimLeft(rest, "/")}, rest != "" && ssmName.MatchString(rest)
	case SSM:
		return parseSSM(rest)
	case Context:
		return Ref{Kind: Context, Name: rest}, context.MatchString(s)
	}
	if name.MatchString(s) {
		return Ref{Kind: Name, Name: s}, true
	}
	if m := loop.FindStringSubmatch(s); m != nil {
		return Ref{Kind: Loop, Name: m[1], Property: m[2]}, true
	}
	if m := chain.FindStringSubmatch(s); m != nil {
		index, _ := strconv.Atoi(m[4]) // "" is 0; at most six digits
		return Ref{Kind: Chain, Phase: m[1], Step: m[2], Side: m[3], Index: index, Key: m[5]}, true
	}
	return Ref{}, false
}

func prefix(s string) (Kind, string) {
	for _, p := range []struct {
		text string
		kind Kind
	}{{"env:", Env}, {"aws:imds:", IMDS}, {"aws:ssm:", SSM}, {"context:", Context}} {
		if rest, ok := strings.CutPrefix(s, p.text); ok {
			return p.kind, rest
		}
	}
	return Name, s
}

// parseSSM reads a parameter's name, or resolve() around the name of a
// parameter of the document or around one more SSM reference. It goes one
// level deep.
func parseSSM(rest string) (Ref, bool) {
	if m := resolve.FindStringSubmatch(rest); m != nil {
		inner := strings.TrimSpace(m[1])
		if name.MatchString(inner) {
			return Ref{Kind: SSM, Resolve: &Ref{Kind: Name, Name: inner}}, true
		}
		nested, ok := strings.CutPrefix(inner, "aws:ssm:")
		if !ok || !ssmName.MatchString(nested) {
			return Ref{}, false
		}
		return Ref{Kind: SSM, Resolve: &Ref{Kind: SSM, Name: nested}}, true
	}
	return Ref{Kind: SSM, Name: rest}, ssmName.MatchString(rest)
}

// Refs gives the references in the order of the text.
func (t Text) Refs() []Ref { return t.refs }

// Raw gives the text as it was written.
func (t Text) Raw() string { return t.raw }

// Literal says whether the text holds no reference, so that Raw is its value.
func (t Text) Literal() bool { return len(t.refs) == 0 }

// Expand puts a value in place of every reference. The function gives the
// value, or keep to leave the reference as it is written; its first error ends
// the expansion.
func (t Text) Expand(value func(Ref) (text string, keep bool, err error)) (string, error) {
	if len(t.refs) == 0 {
		return t.raw, nil
	}
	var b strings.Builder
	from := 0
	for _, r := range t.refs {
		b.WriteString(t.raw[from:r.Offset])
		from = r.Offset + len(r.Text)
		text, keep, err := value(r)
		if err != nil {
			return "", err
		}
		if keep {
			text = r.Text
		}
		b.WriteString(text)
	}
	b.WriteString(t.raw[from:])
	return b.String(), nil
}
