package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store/storetest"
)

var postgres storetest.Shared

func TestMain(m *testing.M) {
	if text := os.Getenv(assigned); text != "" {
		exit(work(text))
	}
	code := m.Run()
	if err := postgres.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "ending the tests' database server:", err)
		code = 1
	}
	os.Exit(code)
}

// TestNoneLostNoneTwice is the simulation in small.
func TestNoneLostNoneTwice(t *testing.T) {
	t.Parallel()
	s := setting{pipelines: 60, due: 40, accounts: 4, workers: 3, builds: 4, deaths: 2, lease: 3 * time.Second, dir: t.TempDir(), program: []string{os.Args[0]}}
	out, err := s.run(t.Context(), postgres.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	if out.deaths != s.deaths {
		t.Errorf("%d workers were killed, want %d", out.deaths, s.deaths)
	}
	t.Logf("%+v", out)
}
