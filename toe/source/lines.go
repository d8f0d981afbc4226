package source

import (
	"bytes"
	"sync"
	"unicode/utf8"
)

// lines are those of a document's text, found when the first is asked for.
type lines struct {
	split func() [][]byte
}

func newLines(data []byte) *lines {
	return &lines{split: sync.OnceValue(func() [][]byte { return bytes.Split(data, []byte("\n")) })}
}

// column gives the column, from 1 and in characters, of a place in the text
// that ends the line (from 1), or 0 if the line ends in some other way: YAML
// knows ends of lines that nothing else takes for such.
func (l *lines) column(line int, text string, offset int) int {
	if l == nil {
		return 0
	}
	all := l.split()
	if line < 1 || line > len(all) {
		return 0
	}
	whole := bytes.TrimSuffix(all[line-1], []byte("\r"))
	before := len(whole) - len(text)
	if before < 0 || string(whole[before:]) != text {
		return 0
	}
	return utf8.RuneCount(whole[:before+offset]) + 1
}
