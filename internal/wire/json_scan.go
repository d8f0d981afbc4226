package wire

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep values may lie in each other, in JSON and in forms.
const maxDepth = 64

var errDepth = errors.New("values are nested too deep")

// scanner reads JSON (RFC 8259) strictly. encoding/json would match names
// without regard to case, turn bad UTF-8 into U+FFFD and keep nulls in lists;
// a server that has to echo exactly what it was sent can do none of these.
type scanner struct {
	text  []byte
	pos   int
	depth int
}

func (s *scanner) syntax(what string) error {
	return fmt.Errorf("%s at byte %d", what, s.pos)
}

// next skips white space and gives the next byte without taking it, 0 at the
// end.
func (s *scanner) next() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// take consumes the byte c if it is the next.
func (s *scanner) take(c byte) bool {
	if s.next() != c || c == 0 {
		return false
	}
	s.pos++
	return true
}

// word consumes a literal such as null.
func (s *scanner) word(w string) error {
	if len(s.text)-s.pos < len(w) || string(s.text[s.pos:s.pos+len(w)]) != w {
		return s.syntax("unexpected character")
	}
	s.pos += len(w)
	return nil
}

// number consumes a number and gives its text.
func (s *scanner) number() (string, error) {
	start := s.pos
	digits := func() int {
		n := 0
		for ; s.pos < len(s.text) && '0' <= s.text[s.pos] && s.text[s.pos] <= '9'; s.pos++ {
			n++
		}
		return n
	}
	at := func(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }
	if at('-') {
		s.pos++
	}
	zero := at('0')
	if n := digits(); n == 0 || zero && n > 1 {
		return "", s.syntax("malformed number")
	}
	if at('.') {
		s.pos++
		if digits() == 0 {
			return "", s.syntax("malformed number")
		}
	}
	if at('e') || at('E') {
		s.pos++
		if at('+') || at('-') {
			s.pos++
		}
		if digits() == 0 {
			return "", s.syntax("malformed number")
		}
	}
	return string(s.text[start:s.pos]), nil
}

// str consumes a string, with the quote as the next byte.
func (s *scanner) str() (string, error) {
	s.pos++
	start := s.pos
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			raw := s.text[start:s.pos]
			s.pos++
			if !utf8.Valid(raw) {
				return "", s.syntax("a string is not valid UTF-8")
			}
			return string(raw), nil
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			return "", s.syntax("a control character in a string")
		}
		s.pos++
	}
	return "", s.syntax("a string without an end")
}

// escaped goes on with a string from its first escape.
func (s *scanner) escaped(start int) (string, error) {
	out := append([]byte(nil), s.text[start:s.pos]...)
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return "", s.syntax("a string is not valid UTF-8")
			}
			return string(out), nil
		case c < 0x20:
			return "", s.syntax("a control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		r, err := s.escape()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, r)
	}
	return "", s.syntax("a string without an end")
}

// escape reads what follows a backslash.
func (s *scanner) escape() (rune, error) {
	if s.pos >= len(s.text) {
		return 0, s.syntax("a string without an end")
	}
	c := s.text[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, err := s.hex4()
		if err != nil || !utf16.IsSurrogate(r) {
			return r, err
		}
		if s.word(`\u`) == nil {
			if low, err := s.hex4(); err == nil {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return pair, nil
				}
			}
		}
		return 0, s.syntax("half of a surrogate pair")
	}
	return 0, s.syntax("an unknown escape")
}

func (s *scanner) hex4() (rune, error) {
	if len(s.text)-s.pos < 4 {
		return 0, s.syntax("malformed escape")
	}
	n, err := strconv.ParseUint(string(s.text[s.pos:s.pos+4]), 16, 16)
	if err != nil {
		return 0, s.syntax("malformed escape")
	}
	s.pos += 4
	return rune(n), nil
}

// object consumes an object and calls member with each name; member consumes
// the value.
func (s *scanner) object(member func(name string) error) error {
	return s.series('{', '}', func() error {
		if s.next() != '"' {
			return s.syntax("a member's name was expected")
		}
		name, err := s.str()
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.syntax("':' was expected")
		}
		s.next()
		return member(name)
	})
}

// series consumes a list or object, element by element.
func (s *scanner) series(open, end byte, element func() error) error {
	if !s.take(open) {
		return s.syntax("unexpected character")
	}
	if s.depth++; s.depth > maxDepth {
		return errDepth
	}
	defer func() { s.depth-- }()
	if s.take(end) {
		return nil
	}
	for {
		s.next()
		if err := element(); err != nil {
			return err
		}
		if s.take(end) {
			return nil
		}
		if !s.take(',') {
			return s.syntax("',' was expected")
		}
	}
}

// skip consumes a value of any kind.
func (s *scanner) skip() error {
	switch c := s.next(); c {
	case '{':
		return s.object(func(string) error { return s.skip() })
	case '[':
		return s.series('[', ']', s.skip)
	case '"':
		_, err := s.str()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		_, err := s.number()
		return err
	}
}
