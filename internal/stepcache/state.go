package stepcache

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// version is that of the entries' form. Others are not read.
const version = 1

// keyForm is the form of keys: SHA-256, hex.
var keyForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Link is a component that made a state.
type Link struct {
	Key       string         `json:"key"`       // of the state after it
	Component string         `json:"component"` // ARN, of the run that made the state
	Bytes     int64          `json:"bytes"`     // of the blocks that it changed, not compressed
	Fetched   []action.Fetch `json:"fetched,omitempty"`
	Passed    bool           `json:"passed,omitempty"` // no state was kept after it alone: what it changed and printed is with the next link
}

// State is the disk after some components.
type State struct {
	Version  int       `json:"version"`
	Snapshot string    `json:"snapshot"` // content digest of the disk
	Image    string    `json:"image"`    // ARN of the image whose build made it
	Made     time.Time `json:"made"`
	Chain    []Link    `json:"chain"` // the components that made it, in their order; never empty
}

// Key is that of the state's last component.
func (s *State) Key() string { return s.Chain[len(s.Chain)-1].Key }

// decode reads an entry and refuses one that Put would not have written under
// the key.
func decode(key string, data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, err
	}
	if s.Version != version {
		return State{}, fmt.Errorf("it is of version %d", s.Version)
	}
	return s, s.check(key)
}

func (s *State) check(key string) error {
	if len(s.Chain) == 0 || s.Snapshot == "" || s.Key() != key {
		return fmt.Errorf("it is not the state %s", key)
	}
	for _, l := range s.Chain {
		if !keyForm.MatchString(l.Key) || l.Bytes < 0 {
			return fmt.Errorf("its chain has the link %q of %d bytes", l.Key, l.Bytes)
		}
	}
	return nil
}
