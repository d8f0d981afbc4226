package roundtrip

import (
	"os"
	"testing"
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
	t.Log(script(t, py, url, "roundtrip.py", url, control, rounds()))
}

func TestEveryConstraintOfTheModelIsEnforced(t *testing.T) {
	t.Parallel()
	py := python(t)
	url, _ := start(t, true)
	t.Log(script(t, py, url, "constraints.py", url))
}
