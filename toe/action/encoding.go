package action

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding is one of the text encodings of the language. No byte order mark is
// written, and one is dropped when reading.
type encoding struct {
	width int // bytes of a code unit
	order binary.ByteOrder
}

var (
	utf8Text = encoding{width: 1}
	utf16LE  = encoding{width: 2, order: binary.LittleEndian}
	utf16BE  = encoding{width: 2, order: binary.BigEndian}
	utf32LE  = encoding{width: 4, order: binary.LittleEndian}
	utf32BE  = encoding{width: 4, order: binary.BigEndian}
)

// encodingOf finds an encoding by a name that may have come out of a reference.
func encodingOf(name string) (encoding, error) {
	if err := checkEncoding(name); err != nil {
		return encoding{}, fmt.Errorf("encoding %w", err)
	}
	return encodings[strings.ToLower(name)], nil
}

func (e encoding) encode(s string) []byte {
	switch e.width {
	case 2:
		units := utf16.Encode([]rune(s))
		b := make([]byte, 2*len(units))
		for i, u := range units {
			e.order.PutUint16(b[2*i:], u)
		}
		return b
	case 4:
		runes := []rune(s)
		b := make([]byte, 4*len(runes))
		for i, r := range runes {
			e.order.PutUint32(b[4*i:], uint32(r))
		}
		return b
	}
	return []byte(s)
}

func (e encoding) decode(b []byte) (string, error) {
	if len(b)%e.width != 0 {
		return "", fmt.Errorf("the file's %d bytes are no whole number of %d-byte characters", len(b), e.width)
	}
	var s string
	switch e.width {
	case 2:
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = e.order.Uint16(b[2*i:])
		}
		s = string(utf16.Decode(units))
	case 4:
		runes := make([]rune, len(b)/4)
		for i := range runes {
			u := e.order.Uint32(b[4*i:])
			if u > utf8.MaxRune {
				return "", fmt.Errorf("the file holds the value %#x, which is no character", u)
			}
			runes[i] = rune(u)
		}
		s = string(runes)
	default:
		s = string(b)
	}
	return strings.TrimPrefix(s, "\ufeff"), nil
}
