package engine

import (
	"fmt"
	"strings"
)

// componentError is a component whose phase failed, with the last of what it
// printed to stderr.
type componentError struct {
	ComponentFailure
	stderr string
	note   string // what the engine found out besides, such as a full disk
}

// Error begins as Image Builder's reason does and goes on with what its users
// have to dig out of logs.
func (e *componentError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Document %s failed! Phase '%s', step '%s' (%s): %s", e.ComponentARN, e.Phase, e.Step, e.Action, e.ErrorMessage)
	if e.note != "" {
		fmt.Fprintf(&b, " (%s)", e.note)
	}
	if tail := lastLines(e.stderr, 400); tail != "" {
		fmt.Fprintf(&b, ". Stderr: %s", tail)
	}
	return b.String()
}

// distributionError says which regions failed.
type distributionError struct {
	DistributionFailure
}

// Error lists the regions as Image Builder words them.
func (e *distributionError) Error() string {
	parts := make([]string, 0, len(e.Regions))
	for _, r := range e.Regions {
		parts = append(parts, fmt.Sprintf("In region '%s' - '%s'", r.Region, r.ErrorMessage))
	}
	return "Distribution failed. " + strings.Join(parts, "; ")
}

// lastLines gives the end of text, at most n bytes, from the start of a line
// where that is possible.
func lastLines(text string, n int) string {
	text = strings.TrimSpace(text)
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	if _, rest, ok := strings.Cut(text, "\n"); ok && rest != "" {
		text = rest
	}
	return strings.ToValidUTF8(text, "")
}
