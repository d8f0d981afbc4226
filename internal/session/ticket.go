package session

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Ticket is what is known of a session.
type Ticket struct {
	Role       string            `json:"r"` // ARN
	Name       string            `json:"n"` // of the session
	Issued     time.Time         `json:"i"`
	Expires    time.Time         `json:"e"`
	Policy     string            `json:"p,omitempty"` // inline session policy
	PolicyARNs []string          `json:"a,omitempty"` // managed session policies
	Tags       map[string]string `json:"t,omitempty"`
	Transitive []string          `json:"x,omitempty"` // keys of Tags that pass on to sessions that this one assumes
	Source     string            `json:"s,omitempty"` // source identity
}

// Limited reports whether session policies limit what the session may do.
func (t *Ticket) Limited() bool { return t.Policy != "" || len(t.PolicyARNs) > 0 }

// maxPacked is the most bytes that the policies and tags of a session may take
// when they are packed: what fits into a header with room to spare.
const maxPacked = 4096

// PackedSize is how much of the room for policies and tags a ticket takes, in
// percent; 0 for one without any.
func (t *Ticket) PackedSize() (percent int, err error) {
	if !t.Limited() && len(t.Tags) == 0 {
		return 0, nil
	}
	packed, err := pack(Ticket{Policy: t.Policy, PolicyARNs: t.PolicyARNs, Tags: t.Tags})
	if err != nil {
		return 0, err
	}
	return (len(packed)*100 + maxPacked - 1) / maxPacked, nil
}

// pack makes JSON small. What a token carries goes over the wire with every
// request.
func pack(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding a session: %w", err)
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxUnpacked bounds what a token may unpack to. Only what this package sealed
// is ever unpacked.
const maxUnpacked = 1 << 18

func unpack(data []byte, v any) error {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxUnpacked))
	if err != nil {
		return fmt.Errorf("reading a session: %w", err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("reading a session: %w", err)
	}
	return nil
}
