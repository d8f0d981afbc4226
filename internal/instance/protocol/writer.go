package protocol

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// ErrTooLong is a frame that does not fit in a line, such as an Exec with very
// long arguments.
var ErrTooLong = errors.New("longer than a line of the guest protocol may be")

// Writer writes frames; it may be used by several goroutines at once.
type Writer struct {
	mu  sync.Mutex
	out io.Writer
	buf []byte
	err error
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{out: w} }

// Resync ends a line that a dead predecessor may have left unfinished.
func (w *Writer) Resync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush([]byte{'\n'})
}

// Write writes a frame as one line with one call of the underlying writer.
// After an error of that writer every later call fails with the same error.
func (w *Writer) Write(f Frame) error {
	if f.Type == Data {
		return w.writeData(f)
	}
	line, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encoding a %s frame: %w", f.Type, err)
	}
	if len(line) > MaxLine {
		return fmt.Errorf("%s of %d bytes: %w", f.Type, len(line), ErrTooLong)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush(append(line, '\n'))
}

// writeData spares the general encoder, which would double the cost of bulk
// data inside an emulated machine.
func (w *Writer) writeData(f Frame) error {
	if len(f.Data) > MaxChunk {
		return fmt.Errorf("data of %d bytes: %w", len(f.Data), ErrTooLong)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := append(w.buf[:0], `{"type":"data","id":`...)
	b = strconv.AppendUint(b, f.ID, 10)
	b = append(b, `,"stream":`...)
	b = strconv.AppendQuote(b, f.Stream)
	b = append(b, `,"data":"`...)
	b = base64.StdEncoding.AppendEncode(b, f.Data)
	b = append(b, "\"}\n"...)
	w.buf = b
	return w.flush(b)
}

func (w *Writer) flush(line []byte) error {
	if w.err != nil {
		return w.err
	}
	_, w.err = w.out.Write(line)
	return w.err
}
