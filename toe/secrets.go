package toe

import (
	"encoding/json"
	"strings"
	"sync"
)

// hidden stands in logs where a secret would.
const hidden = "********"

// secrets are values that must not be written to logs or sent as events.
type secrets struct {
	mu       sync.RWMutex
	values   []string
	replacer *strings.Replacer // nil while there are none
}

// add makes a value a secret, also in the form it has within JSON. The empty
// text cannot be one.
func (s *secrets) add(value string) {
	if value == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	forms := []string{value}
	if quoted, err := json.Marshal(value); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	for _, f := range forms {
		s.values = append(s.values, f, hidden)
	}
	s.replacer = strings.NewReplacer(s.values...)
}

// hide puts a mark in place of every secret.
func (s *secrets) hide(text string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.replacer == nil || text == "" {
		return text
	}
	return s.replacer.Replace(text)
}

func (s *secrets) hideBytes(text []byte) []byte {
	s.mu.RLock()
	none := s.replacer == nil
	s.mu.RUnlock()
	if none {
		return text
	}
	return []byte(s.hide(string(text)))
}
