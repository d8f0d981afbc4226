package cli

import (
	"io"
	"time"

	"github.com/goldsmith-build/goldsmith/toe"
)

// SplitParameters is for the package's tests.
var SplitParameters = splitParameters

// NewLive makes a view with a clock of one's own.
func NewLive(w io.Writer, terminal, colour bool, width int, now func() time.Time) (event func(toe.Event), start, finish func()) {
	l := newLive(progressPlain, w)
	l.terminal, l.colour, l.now, l.width = terminal, colour, now, func() int { return width }
	return l.event, l.start, l.finish
}
