package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// What a person types after a failure; what is none of the choices is asked again.
func TestAsk(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]wish{"\n": fromThere, "b\n": anew, " q \n": end, "": end, "q": end, "yes\n\n": fromThere, "what\nb\n": anew} {
		if got, err := ask(io.Discard, bufio.NewReader(strings.NewReader(typed))); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", typed, got, err, want)
		}
	}
}
