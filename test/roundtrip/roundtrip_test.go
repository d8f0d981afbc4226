package roundtrip

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/test/harness"
)

// rounds is how often every operation is tried; each round has its own seed.
func rounds() string {
	if n := os.Getenv("GOLDSMITH_ROUNDTRIP_ROUNDS"); n != "" {
		return n
	}
	return "8"
}

func TestBotocoreAndTheServerUnderstandEachOther(t *testing.T) {
	t.Parallel()
	py := python(t)
	url, control := start(t, false)
	names := map[string][]string{}
	for _, s := range services() {
		for _, op := range s.Operations {
			names[s.Name] = append(names[s.Name], op.Name)
		}
	}
	encoded, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(script(t, py, url, "roundtrip.py", url, control, rounds(), string(encoded)))
}

func TestEveryConstraintOfTheModelIsEnforced(t *testing.T) {
	t.Parallel()
	py := python(t)
	url, _ := start(t, true)
	t.Log(script(t, py, url, "constraints.py", url, "echo"))
}

// TestTheServiceKeepsItsConstraints sends the same requests to a real server,
// which now also has its own reasons to refuse them.
func TestTheServiceKeepsItsConstraints(t *testing.T) {
	t.Parallel()
	py := python(t)
	s := harness.Start(t)
	key, err := datadir.Dir(s.Dir).Key()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(scriptAs(t, key.AccessKeyID, key.SecretAccessKey, py, s.URL, "constraints.py", s.URL, "service"))
}
