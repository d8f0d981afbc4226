package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// ConsoleLimit is the size at which a console log is moved aside to NAME.1 and
// begun anew, so that a guest that writes without end takes at most twice as
// much of the host's disk.
const ConsoleLimit = 8 << 20

// consoleTail is how much of a console's end is kept in memory.
const consoleTail = 8 << 10

// Console keeps what a guest writes on its console.
type Console struct {
	path string

	mu      sync.Mutex
	file    *os.File
	size    int
	failed  error
	tail    []byte
	watcher func(line string) bool
	partial []byte
}

// OpenConsole begins a console log at path.
func OpenConsole(path string) (*Console, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the console log: %w", err)
	}
	return &Console{path: path, file: file}, nil
}

// Watch calls f with every line, cut to 1 KiB, from now on and until f gives
// false; nil stops that too. A line that grows is shown again. f must neither
// block nor use the Console.
func (c *Console) Watch(f func(line string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watcher, c.partial = f, nil
}

// Write appends to the log. It never fails: a guest must not stop because the
// host's disk is full, and what does not fit is lost. Close tells.
func (c *Console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tail = append(c.tail, b...)
	if len(c.tail) > consoleTail {
		c.tail = append(c.tail[:0], c.tail[len(c.tail)-consoleTail:]...)
	}
	if c.watcher != nil {
		c.lines(b)
	}
	if c.size+len(b) > ConsoleLimit {
		c.rotate()
	}
	if c.failed == nil {
		n, err := c.file.Write(b)
		c.size += n
		c.failed = err
	}
	return len(b), nil
}

// lines shows the watcher every line that b completes, and the one that it
// leaves without an end: prompts and firmware do not end their lines.
func (c *Console) lines(b []byte) {
	const longest = 1 << 10
	show := func(line []byte) {
		if c.watcher != nil && len(line) > 0 && !c.watcher(string(line[:min(len(line), longest)])) {
			c.watcher = nil
		}
	}
	c.partial = append(c.partial, b...)
	for {
		end := bytes.IndexAny(c.partial, "\r\n")
		if end < 0 {
			break
		}
		show(c.partial[:end])
		c.partial = c.partial[end+1:]
	}
	show(c.partial)
	if len(c.partial) > longest || c.watcher == nil {
		c.partial = nil
	}
}

func (c *Console) rotate() {
	if c.failed != nil {
		return
	}
	c.file.Close()
	if c.failed = os.Rename(c.path, c.path+".1"); c.failed != nil {
		return
	}
	c.file, c.failed = os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	c.size = 0
}

// Tail gives the last n lines in a form that is safe to show: no control
// characters, no escape sequences.
func (c *Console) Tail(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for line := range strings.FieldsFuncSeq(string(c.tail), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(printable(stripEscapes(line))); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Copy copies r to the console until its end.
func (c *Console) Copy(r io.Reader) {
	_, _ = io.Copy(c, r) // Write never fails, and a console that broke has ended
}

// Close closes the log; the error is the first that kept the console from
// being written whole.
func (c *Console) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.failed == nil || !errors.Is(c.failed, os.ErrClosed) {
		err = c.failed
	}
	if c.file != nil {
		if closeErr := c.file.Close(); err == nil && !errors.Is(closeErr, os.ErrClosed) {
			err = closeErr
		}
	}
	c.failed = os.ErrClosed
	if err != nil {
		return fmt.Errorf("writing the console log: %w", err)
	}
	return nil
}

// stripEscapes removes terminal control sequences (ECMA-48 CSI and OSC).
func stripEscapes(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != 0x1b {
			out.WriteByte(s[i])
			continue
		}
		if i+1 >= len(s) {
			break
		}
		switch i++; s[i] {
		case '[':
			for i++; i < len(s) && (s[i] < 0x40 || s[i] > 0x7e); i++ {
			}
		case ']':
			for i++; i < len(s) && s[i] != 0x07 && s[i] != 0x1b; i++ {
			}
		}
	}
	return out.String()
}
