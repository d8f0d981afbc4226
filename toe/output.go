package toe

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// MaxLoggedOutput is how much of each stream of a program is logged and sent
// as events. What it prints beyond that is read, counted and dropped, so that
// endless output fills neither memory nor disk.
const MaxLoggedOutput = 64 << 20

// maxLine is where a line is split that does not end.
const maxLine = MaxEventText

// stream passes what a program prints on to console.log and to events, in
// whole lines. It is an io.Writer that never fails, for one goroutine.
type stream struct {
	logs   *logFolder
	prefix string            // of each line in console.log
	emit   func(text string) // sends an event; nil for none
	quiet  bool              // logging is disabled

	rest    []byte // a line that has not ended yet
	logged  int64
	dropped int64
}

// Write takes a piece of output.
func (s *stream) Write(p []byte) (int, error) {
	n := len(p)
	if s.quiet {
		return n, nil
	}
	if room := MaxLoggedOutput - s.logged; int64(len(p)) > room {
		s.dropped += int64(len(p)) - room
		p = p[:room]
	}
	s.logged += int64(len(p))
	last := bytes.LastIndexByte(p, '\n')
	if last < 0 {
		s.rest = append(s.rest, p...)
	} else {
		s.pass(append(s.rest, p[:last+1]...))
		s.rest = append(s.rest[:0], p[last+1:]...)
	}
	for len(s.rest) >= maxLine {
		cut := cutText(s.rest, maxLine)
		s.pass(s.rest[:cut])
		s.rest = append(s.rest[:0], s.rest[cut:]...)
	}
	return n, nil
}

// pass hands over whole lines, or a piece of a long one.
func (s *stream) pass(text []byte) {
	s.logs.lines(s.prefix, text)
	if s.emit == nil {
		return
	}
	for len(text) > 0 {
		cut := cutText(text, MaxEventText)
		s.emit(string(bytes.ToValidUTF8(text[:cut], []byte("\ufffd"))))
		text = text[cut:]
	}
}

// cutText says where to cut a text that may be longer than most: after its
// last line end, or else between two characters.
func cutText(text []byte, most int) int {
	if len(text) <= most {
		return len(text)
	}
	if i := bytes.LastIndexByte(text[:most], '\n'); i >= 0 {
		return i + 1
	}
	for cut := most; cut > most-utf8.UTFMax; cut-- {
		if utf8.RuneStart(text[cut]) {
			return cut
		}
	}
	return most
}

// flush passes on an unfinished last line.
func (s *stream) flush() {
	if len(s.rest) > 0 {
		s.pass(s.rest)
		s.rest = s.rest[:0]
	}
}

// close passes on what is left and says what was dropped.
func (s *stream) close() {
	s.flush()
	if s.dropped > 0 {
		s.logs.line(fmt.Sprintf("%s%d more bytes were printed and are not logged", s.prefix, s.dropped))
	}
}
