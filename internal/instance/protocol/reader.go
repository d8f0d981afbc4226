package protocol

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MalformedError is a line that is not a frame. The reader stands behind it,
// so that the caller may go on reading to find the next hello.
type MalformedError struct {
	Why  string
	Line string // its first bytes, quoted
}

// Error says what was wrong with the line.
func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed line %s: %s", e.Line, e.Why)
}

// Reader reads frames from a peer that is not trusted. It holds at most
// MaxLine bytes.
type Reader struct {
	in   *bufio.Reader
	line []byte
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 64<<10)}
}

// Read gives the next frame; blank lines are skipped. The error is a
// *MalformedError for a line that is not a frame, else that of the stream: a
// line without a newline before the end is io.ErrUnexpectedEOF.
func (r *Reader) Read() (Frame, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return Frame{}, err
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return decode(line)
		}
	}
}

// readLine gives the next line without its newline. An overlong one is
// swallowed whole without being kept.
func (r *Reader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	length := 0
	for {
		part, err := r.in.ReadSlice('\n')
		length += len(part)
		if length <= MaxLine+1 {
			r.line = append(r.line, part...)
		}
		switch {
		case err == nil && length > MaxLine+1:
			return nil, &MalformedError{Why: fmt.Sprintf("%d bytes long, the limit is %d", length-1, MaxLine), Line: quote(r.line)}
		case err == nil:
			return r.line[:length-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
			// More of the same line follows.
		case errors.Is(err, io.EOF) && length > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func decode(line []byte) (Frame, error) {
	var f Frame
	if err := json.Unmarshal(line, &f); err != nil {
		return Frame{}, &MalformedError{Why: err.Error(), Line: quote(line)}
	}
	why := ""
	switch {
	case f.Type == "":
		why = "no type"
	case len(f.Data) > MaxChunk:
		why = fmt.Sprintf("%d bytes of data, the limit is %d", len(f.Data), MaxChunk)
	case f.Type == Credit && (f.Bytes <= 0 || f.Bytes > Window):
		why = "credit out of range"
	case f.Type == Exit && (f.Status < 0 || f.Status > 255):
		why = "exit status out of range"
	default:
		return f, nil
	}
	return Frame{}, &MalformedError{Why: why, Line: quote(line)}
}

// quote gives the beginning of a line in a form that is safe in a log.
func quote(line []byte) string {
	const most = 64
	if len(line) > most {
		return fmt.Sprintf("%q…", line[:most])
	}
	return fmt.Sprintf("%q", line)
}
