package fault

import (
	"strings"
	"unicode/utf8"
)

// mostRepeated is how many characters of a client's input a message repeats.
const mostRepeated = 200

// Clip gives s as a message may repeat it: valid UTF-8, at most 200 characters
// and an ellipsis where some were left out, so that hostile input cannot fill
// answers and logs.
func Clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= mostRepeated {
		return s
	}
	end, n := 0, 0
	for end = range s {
		if n == mostRepeated {
			break
		}
		n++
	}
	return s[:end] + "…"
}
