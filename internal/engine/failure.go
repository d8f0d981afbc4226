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
	return fmt.Sprintf("Document %s failed! Phase '%s', step '%s' (%s): %s", e.ComponentARN, e.Phase, e.Step, e.Action, e.message())
}

// message is the executor's message with what else is known: the note and the
// last of stderr.
func (e *componentError) message() string {
	text := e.ErrorMessage
	if e.note != "" {
		text += " (" + e.note + ")"
	}
	if tail := lastLines(e.stderr, 400); tail != "" {
		text += ". Stderr: " + tail
	}
	return text
}

// context is what the failure context tells of it.
func (e *componentError) context() *ComponentFailure {
	c := e.ComponentFailure
	c.ErrorMessage = cut(e.message(), maxReason)
	return &c
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

// exitWords are those of a command that failed: its exit status, and the last
// that it said on standard error, if it said anything.
func exitWords(exit int, stderr string) string {
	if last := lastLines(stderr, 400); last != "" {
		return fmt.Sprintf("exit status %d: %s", exit, last)
	}
	return fmt.Sprintf("exit status %d", exit)
}
