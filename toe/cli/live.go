package cli

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/goldsmith-build/goldsmith/toe"
)

// The ways to show a run to people.
const (
	progressAuto     = "auto"     // terminal on one, else plain
	progressTerminal = "terminal" // live output above a line of progress
	progressPlain    = "plain"    // lines only
	progressNone     = "none"
)

// live shows a run while it goes on: every step with its output, and on a
// terminal a last line with where the run is and for how long.
type live struct {
	w        io.Writer
	terminal bool
	colour   bool
	width    func() int
	now      func() time.Time

	mu      sync.Mutex
	steps   []liveStep        // that are running: one, and those it is nested in
	rest    map[string]string // of each stream, an output line that has not ended
	drawn   bool              // the progress line is on the screen
	stop    chan struct{}
	stopped chan struct{}
}

type liveStep struct {
	title string
	begun time.Time
}

// newLive makes the view that the flag asks for, or nil for none.
func newLive(mode string, w io.Writer) *live {
	f, _ := w.(*os.File)
	terminal := f != nil && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
	switch mode {
	case progressNone:
		return nil
	case progressPlain:
		terminal = false
	case progressTerminal:
		terminal = true
	}
	l := &live{w: w, terminal: terminal, now: time.Now, rest: map[string]string{}}
	l.colour = terminal && os.Getenv("NO_COLOR") == ""
	l.width = func() int {
		if f != nil {
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
				return width
			}
		}
		return 80
	}
	return l
}

// start keeps the time in the progress line going, until finish.
func (l *live) start() {
	if !l.terminal {
		return
	}
	l.stop, l.stopped = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
				l.mu.Lock()
				l.draw()
				l.mu.Unlock()
			}
		}
	}()
}

func (l *live) finish() {
	if l.stop != nil {
		close(l.stop)
		<-l.stopped
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

// event shows one event.
func (l *live) event(e toe.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Event {
	case toe.EventDocumentStarted:
		l.line(l.bold("Document " + printable(e.Document)))
	case toe.EventStepStarted:
		title := fmt.Sprintf("%s %d/%d %s", e.Phase, e.Number, e.Of, e.Step)
		l.steps = append(l.steps, liveStep{title, l.now()})
		l.line(l.bold(title) + " (" + e.Action + ")")
	case toe.EventAttempt:
		if e.Attempt > 1 {
			l.line(fmt.Sprintf("  attempt %d", e.Attempt))
		}
	case toe.EventOutput:
		l.output(e)
	case toe.EventStepFinished:
		l.finished(e)
	case toe.EventResult:
		if e.Failure != nil && e.Failure.Step == "" && e.Failure.ErrorMessage != "" && e.Failure.Document == "" {
			l.line(l.red(printable(e.Failure.ErrorMessage)))
		}
	}
	l.draw()
}

func (l *live) output(e toe.Event) {
	text := l.rest[e.Stream] + e.Text
	for {
		line, after, whole := strings.Cut(text, "\n")
		if !whole && len(line) < toe.MaxEventText {
			l.rest[e.Stream] = line
			return
		}
		l.outputLine(line)
		text = after
	}
}

// outputLine shows a line as a terminal would have left it: what a progress bar
// overwrote is gone. Colours stay on a terminal, other control sequences never.
func (l *live) outputLine(line string) {
	line = strings.TrimSuffix(line, "\r")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	reset := ""
	if l.colour && strings.Contains(line, "\x1b[") {
		reset = "\x1b[0m"
	}
	l.line("  " + l.sanitize(line) + reset)
}

// escape is a control sequence of a terminal, or a piece of one.
var escape = regexp.MustCompile(`\x1b(?:\[[0-9;:?]*[ -/]*[@-~]?|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?`)

var colourEscape = regexp.MustCompile(`^\x1b\[[0-9;]*m$`)

func (l *live) sanitize(line string) string {
	var b strings.Builder
	from := 0
	for _, at := range escape.FindAllStringIndex(line, -1) {
		b.WriteString(printable(line[from:at[0]]))
		if sequence := line[at[0]:at[1]]; l.colour && colourEscape.MatchString(sequence) {
			b.WriteString(sequence)
		}
		from = at[1]
	}
	b.WriteString(printable(line[from:]))
	return b.String()
}

func (l *live) finished(e toe.Event) {
	for _, stream := range []string{"stdout", "stderr"} {
		if l.rest[stream] != "" {
			l.outputLine(l.rest[stream])
			l.rest[stream] = ""
		}
	}
	if len(l.steps) == 0 {
		return
	}
	s := l.steps[len(l.steps)-1]
	l.steps = l.steps[:len(l.steps)-1]
	status := e.Status
	switch status {
	case toe.StatusSuccess:
		status = l.green(status)
	case toe.StatusFailed, toe.StatusTimedOut:
		status = l.red(status)
	}
	text := fmt.Sprintf("%s: %s, %s", s.title, status, elapsed(l.now().Sub(s.begun)))
	if e.Error != "" {
		text += ": " + printable(strings.ReplaceAll(e.Error, "\n", " "))
	}
	l.line(text)
}

func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d:%02d min", int(d.Minutes()), int(d.Seconds())%60)
}

// line writes a line above the progress line.
func (l *live) line(text string) {
	l.clear()
	fmt.Fprintln(l.w, text)
}

// write puts other lines of the program above the progress line.
func (l *live) write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	n, err := l.w.Write(p)
	l.draw()
	return n, err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (l *live) clear() {
	if l.drawn {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.drawn = false
	}
}

// draw writes the progress line.
func (l *live) draw() {
	if !l.terminal || len(l.steps) == 0 {
		l.clear()
		return
	}
	s := l.steps[len(l.steps)-1]
	running := l.now().Sub(s.begun)
	text := fmt.Sprintf("%s  %d:%02d", s.title, int(running.Minutes()), int(running.Seconds())%60)
	if width := l.width() - 1; utf8.RuneCountInString(text) > width {
		text = string([]rune(text)[:max(width, 0)])
	}
	l.clear()
	fmt.Fprint(l.w, l.bold(text))
	l.drawn = true
}

func (l *live) bold(s string) string  { return l.styled("1", s) }
func (l *live) red(s string) string   { return l.styled("31", s) }
func (l *live) green(s string) string { return l.styled("32", s) }

func (l *live) styled(code, s string) string {
	if !l.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
