package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// Limits on what a document may be. The largest component the service takes is
// 64 KiB, and the largest public document has 44 KB.
const (
	MaxBytes = 1 << 20 // of the text
	MaxDepth = 64      // of lists and mappings within each other
	MaxNodes = 200_000 // after aliases were followed
)

// Parse reads one YAML (or JSON) document. The node is nil if the text is not
// YAML at all or over a limit; otherwise the tree is complete, and the problems
// are those it has as YAML, such as duplicate keys.
func Parse(data []byte) (*Node, problem.Problems) {
	if p := checkText(data); p != nil {
		return nil, problem.Problems{*p}
	}
	var top, second yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&top); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, problem.Problems{{Line: 1, Column: 1, Rule: "empty-document", Message: "The document is empty."}}
		}
		return nil, problem.Problems{syntaxProblem(data, err)}
	}
	b := &builder{lines: newLines(data)}
	root := b.node(&top, nil, "", 0)
	if err := dec.Decode(&second); err == nil && len(second.Content) > 0 {
		b.add(second.Line, second.Column, "several-documents", "The file holds a second YAML document; only one is allowed.")
	} else if err != nil && !errors.Is(err, io.EOF) {
		b.problems = append(b.problems, syntaxProblem(data, err))
	}
	if b.exhausted {
		return nil, b.problems
	}
	return root, b.problems
}

// checkText finds what no YAML text may hold.
func checkText(data []byte) *problem.Problem {
	if len(data) > MaxBytes {
		return &problem.Problem{Rule: "too-large", Message: fmt.Sprintf("The document has %d bytes; at most %d are allowed.", len(data), MaxBytes)}
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return at(data, i, "nul-byte", "The document holds a NUL byte.")
	}
	if !utf8.Valid(data) {
		i := 0
		for i < len(data) {
			r, size := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			i += size
		}
		return at(data, i, "not-utf8", "The document is not UTF-8 text.")
	}
	return nil
}

func at(data []byte, offset int, rule, message string) *problem.Problem {
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return &problem.Problem{
		Line:    bytes.Count(before, []byte{'\n'}) + 1,
		Column:  utf8.RuneCount(before[start:]) + 1,
		Rule:    rule,
		Message: message,
	}
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxProblem tells where the text stops being YAML. The library often names
// the line where the broken block began, so the place is searched for: it is
// the first line that makes the text fail in this very way.
func syntaxProblem(data []byte, err error) problem.Problem {
	p := problem.Problem{Rule: "syntax", Message: "not valid YAML: " + err.Error()}
	if m := yamlError.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Message = "not valid YAML: " + m[2]
	}
	const searchable = 128 << 10
	if len(data) <= searchable {
		if line := firstFailingLine(data, err.Error()); line > 0 {
			p.Line = line
		}
	}
	if p.Line == 0 {
		p.Line = 1
	}
	if text := lineOf(data, p.Line); text != "" {
		p.Column = len(text) - len(strings.TrimLeft(text, " \t")) + 1
		p.Message += hint(text)
	}
	return p
}

// firstFailingLine gives the number of lines of the shortest prefix that fails
// with the given message, or 0 if none does.
func firstFailingLine(data []byte, message string) int {
	var ends []int
	for i, c := range data {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		ends = append(ends, len(data))
	}
	fails := func(n int) bool {
		var node yaml.Node
		err := yaml.Unmarshal(data[:ends[n-1]], &node)
		return err != nil && err.Error() == message
	}
	low, high := 1, len(ends)
	if high == 0 || !fails(high) {
		return 0
	}
	for low < high {
		middle := (low + high) / 2
		if fails(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

func lineOf(data []byte, line int) string {
	for i := 1; i < line; i++ {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return ""
		}
		data = data[end+1:]
	}
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		data = data[:end]
	}
	return string(data)
}

// hint explains the mistakes that are made most often in component documents.
func hint(line string) string {
	trimmed := strings.TrimLeft(strings.TrimSpace(line), "- ")
	_, value, isKey := strings.Cut(trimmed, ": ")
	switch {
	case strings.Contains(line, "%{"), strings.Contains(line, "{%"):
		return " (this is a template: check what it renders to)"
	case strings.Contains(line, "\t"):
		return " (indent with blanks, not with tabs)"
	case strings.HasPrefix(trimmed, "{{"), isKey && strings.HasPrefix(strings.TrimSpace(value), "{{"):
		return " (put text that begins with '{{' in quotes)"
	case strings.Count(trimmed, ": ") > 1 || (!isKey && strings.Contains(trimmed, ":")):
		return " (put text that holds ': ' in quotes, or use a '|' block)"
	}
	return ""
}
