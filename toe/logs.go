package toe

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// logFolder is the TOE_… folder of a run and the files in it. A failure to
// write is remembered and reported at the end of the run: a log that is not
// complete is no success, but it must not change what the steps do either.
type logFolder struct {
	dir   string
	trace func([]byte)
	now   func() time.Time

	secrets secrets // that must not be written

	ship *shipper // nil for nowhere

	mu      sync.Mutex
	console *os.File
	buffer  []byte
	err     error // the first failure to write

	application *os.File
	debug       *slog.Logger
}

// folderName gives the original's form of a log folder's name.
func folderName(start time.Time, executionID string) string {
	safe := strings.Map(func(r rune) rune {
		if r == '/' || r == ':' {
			return '-'
		}
		return r
	}, strings.Trim(executionID, "/"))
	return fmt.Sprintf("TOE_%s_UTC-0_%s", start.UTC().Format("2006-01-02_15-04-05"), safe)
}

// openLogs opens the files of a log folder, which is made if need be. A run
// that goes on after a restart appends to the same files.
func openLogs(dir string, now func() time.Time, trace func([]byte)) (*logFolder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the log folder: %w", err)
	}
	open := func(name string) (*os.File, error) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return nil, fmt.Errorf("opening the log: %w", err)
		}
		return f, nil
	}
	console, err := open("console.log")
	if err != nil {
		return nil, err
	}
	application, err := open("application.log")
	if err != nil {
		console.Close()
		return nil, err
	}
	l := &logFolder{dir: dir, trace: trace, now: now, console: console, application: application}
	l.debug = slog.New(slog.NewTextHandler(writeFunc(l.writeApplication), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return l, nil
}

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

func (l *logFolder) writeApplication(p []byte) (int, error) {
	_, err := l.application.Write(p)
	l.remember("application.log", err)
	return len(p), nil
}

func (l *logFolder) remember(name string, err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		var pathErr *os.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		l.err = fmt.Errorf("writing the log %s: %w", name, err)
	}
}

// detach ends the sending of lines and gives what sent them, or nil.
func (l *logFolder) detach() *shipper {
	l.mu.Lock()
	defer l.mu.Unlock()
	ship := l.ship
	l.ship = nil
	return ship
}

// fail remembers a failure that is none of a file's.
func (l *logFolder) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}

// failure gives the first failure to write a log, or nil.
func (l *logFolder) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// line writes one message to console.log.
func (l *logFolder) line(message string) { l.lines("", []byte(message)) }

func (l *logFolder) linef(format string, args ...any) { l.line(fmt.Sprintf(format, args...)) }

// lines writes text to console.log, with the time, the level and a prefix
// before each of its lines, in one write.
func (l *logFolder) lines(prefix string, text []byte) {
	text = l.secrets.hideBytes(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buffer[:0]
	var head [64]byte
	now := l.now()
	h := now.AppendFormat(head[:0], "2006-01-02 15:04:05.000 Info ")
	for start := 0; start <= len(text); {
		end := start
		for end < len(text) && text[end] != '\n' {
			end++
		}
		if start == len(text) && start > 0 {
			break // the text ended in a line end
		}
		b = append(b, h...)
		b = append(b, prefix...)
		b = append(b, text[start:end]...)
		b = append(b, '\n')
		if l.ship != nil {
			l.ship.add(now, prefix+string(text[start:end]))
		}
		start = end + 1
	}
	l.buffer = b
	if _, err := l.console.Write(b); err != nil && l.err == nil {
		l.err = fmt.Errorf("writing the log console.log: %w", errors.Unwrap(err))
	}
	if l.trace != nil {
		l.trace(b)
	}
}

// writeJSON replaces a file of the folder by the value.
func (l *logFolder) writeJSON(name string, v any) {
	b, err := json.MarshalIndent(v, "", "    ")
	if err == nil {
		b = append(l.secrets.hideBytes(b), '\n')
		err = replaceFile(filepath.Join(l.dir, name), b, 0o644)
	}
	l.remember(name, err)
}

// writeDocument keeps a copy of a document: document.yaml, document-2.yaml …
func (l *logFolder) writeDocument(index int, data []byte) {
	name := "document.yaml"
	if index > 0 {
		name = fmt.Sprintf("document-%d.yaml", index+1)
	}
	l.remember(name, replaceFile(filepath.Join(l.dir, name), data, 0o644))
}

func (l *logFolder) close() {
	l.remember("console.log", l.console.Close())
	l.remember("application.log", l.application.Close())
}

// replaceFile puts a complete file in place of an older one. It does not wait
// for the disk.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, mode); err != nil {
		_ = os.Remove(temporary)
		return err
	}
	return os.Rename(temporary, path)
}
