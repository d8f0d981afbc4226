package access

import (
	"strings"
	"unicode/utf8"
)

// A pattern is text with wildcards and policy variables, taken apart once. "*"
// stands for any number of characters, "?" for one.
type pattern []token

// token is a piece of a pattern: literal text, a wildcard, or a variable.
type token struct {
	kind     tokenKind
	text     string // literal text, or the variable's key in lower case
	fallback string // of a variable
	optional bool   // the variable has a fallback
}

type tokenKind byte

const (
	literal tokenKind = iota
	anyOne            // ?
	anyMany           // *
	variable
)

// syntax says what is special in a text.
type syntax struct {
	wildcards bool
	variables bool // policies of the language's first version have none: their "${" is text
}

// compile takes text apart. It fails for a variable that is malformed.
func compile(text string, special syntax) (pattern, bool) {
	var p pattern
	add := func(s string) {
		if n := len(p); n > 0 && p[n-1].kind == literal {
			p[n-1].text += s
		} else if s != "" {
			p = append(p, token{kind: literal, text: s})
		}
	}
	for text != "" {
		i := strings.IndexAny(text, "*?$")
		if i < 0 {
			add(text)
			break
		}
		add(text[:i])
		text = text[i:]
		switch {
		case text[0] != '$' && !special.wildcards:
			add(text[:1])
			text = text[1:]
		case text[0] == '*':
			if n := len(p); n == 0 || p[n-1].kind != anyMany { // "**" says no more than "*"
				p = append(p, token{kind: anyMany})
			}
			text = text[1:]
		case text[0] == '?':
			p = append(p, token{kind: anyOne})
			text = text[1:]
		case special.variables && strings.HasPrefix(text, "${"):
			end := strings.IndexByte(text, '}')
			if end < 0 {
				return nil, false
			}
			inner := text[2:end]
			text = text[end+1:]
			if inner == "*" || inner == "?" || inner == "$" { // the escapes of the special characters
				add(inner)
				continue
			}
			t, ok := parseVariable(inner)
			if !ok {
				return nil, false
			}
			p = append(p, t)
		default:
			add("$")
			text = text[1:]
		}
	}
	return p, true
}

// parseVariable reads "key" or "key, 'value if it is absent'".
func parseVariable(inner string) (token, bool) {
	key, fallback, optional := strings.Cut(inner, ",")
	key = strings.TrimSpace(key)
	if !strings.Contains(key, ":") || strings.ContainsAny(key, "*?${") {
		return token{}, false
	}
	t := token{kind: variable, text: lower(key), optional: optional}
	if optional {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return token{}, false
		}
		t.fallback = fallback[1 : len(fallback)-1]
	}
	return t, true
}

// expand puts the request's values in the place of variables. The values are
// literal text: a user named "*" is not everybody. It fails if the request has
// no single value for a variable, and then the whole statement says nothing.
func (p pattern) expand(context Lookup) (pattern, bool) {
	has := false
	for _, t := range p {
		has = has || t.kind == variable
	}
	if !has {
		return p, true
	}
	out := make(pattern, 0, len(p))
	for _, t := range p {
		if t.kind != variable {
			out = append(out, t)
			continue
		}
		values, ok := context(t.text)
		switch {
		case ok && len(values) == 1:
			out = append(out, token{kind: literal, text: values[0]})
		case !ok && t.optional:
			out = append(out, token{kind: literal, text: t.fallback})
		default:
			return nil, false
		}
	}
	return out, true
}

// match reports whether the whole of s fits an expanded pattern. The cost is at
// most the product of the lengths: only the last "*" is ever tried again.
func (p pattern) match(s string) bool {
	i, star, from := 0, -1, ""
	for {
		switch {
		case i < len(p) && p[i].kind == anyMany:
			star, from = i, s
			i++
			continue
		case i < len(p) && p[i].kind == anyOne && s != "":
			_, size := utf8.DecodeRuneInString(s)
			s = s[size:]
			i++
			continue
		case i < len(p) && p[i].kind == literal && strings.HasPrefix(s, p[i].text):
			s = s[len(p[i].text):]
			i++
			continue
		case i == len(p) && s == "":
			return true
		}
		if star < 0 || from == "" {
			return false
		}
		_, size := utf8.DecodeRuneInString(from)
		from = from[size:]
		i, s = star+1, from
	}
}

// text gives a pattern without wildcards as text.
func (p pattern) text() string {
	var b strings.Builder
	for _, t := range p {
		b.WriteString(t.text)
	}
	return b.String()
}

// lower makes ASCII letters small and leaves all else: Unicode's folding knows
// letters beyond ASCII that become ASCII ones.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// arnPattern is a pattern of ARNs: each of the six parts matches by itself, so
// that a wildcard in the place of a region cannot reach into the account.
type arnPattern [6]pattern

// anything is the resource "*".
var anything = arnPattern{}

// compileARN reads "*" or an ARN with wildcards and variables. A "${…}" may hold
// colons, which part nothing.
func compileARN(text string, variables bool) (arnPattern, bool) {
	if text == "*" {
		return anything, true
	}
	parts := splitARN(text, variables)
	if len(parts) != 6 || parts[0] != "arn" {
		return arnPattern{}, false
	}
	var a arnPattern
	for i, part := range parts {
		var ok bool
		if a[i], ok = compile(part, syntax{wildcards: true, variables: variables}); !ok {
			return arnPattern{}, false
		}
	}
	return a, true
}

// splitARN cuts at the first five colons outside variables.
func splitARN(text string, variables bool) []string {
	var parts []string
	begin, inside := 0, false
	for i := 0; i < len(text) && len(parts) < 5; i++ {
		switch {
		case variables && strings.HasPrefix(text[i:], "${"):
			inside = true
		case text[i] == '}':
			inside = false
		case text[i] == ':' && !inside:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// isAnything reports whether the pattern is "*".
func (a *arnPattern) isAnything() bool { return len(a[0]) == 0 }

// expand is pattern.expand for every part.
func (a *arnPattern) expand(context Lookup) (arnPattern, bool) {
	var out arnPattern
	for i, p := range a {
		var ok bool
		if out[i], ok = p.expand(context); !ok {
			return arnPattern{}, false
		}
	}
	return out, true
}

// match reports whether an ARN fits an expanded pattern; what is no ARN, such as
// the "*" of an operation without a resource, fits "*" only.
func (a *arnPattern) match(arn string) bool {
	if a.isAnything() {
		return true
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return false
	}
	for i, p := range a {
		if !p.match(parts[i]) {
			return false
		}
	}
	return true
}

// written gives a pattern as it was written, but for the case of its letters.
func (p pattern) written() string {
	var b strings.Builder
	for _, t := range p {
		switch t.kind {
		case anyOne:
			b.WriteByte('?')
		case anyMany:
			b.WriteByte('*')
		default:
			b.WriteString(t.text)
		}
	}
	return b.String()
}
