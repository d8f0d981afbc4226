package clients

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// configuration lets every client have images waiting at the same time.
const configuration = "builds: 20\n"

// TestEveryClientUnderstandsTheServer tells the story to all clients at once,
// against one server, and holds the table to what they saw.
func TestEveryClientUnderstandsTheServer(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "goldsmith.yaml")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	s, built := serve(t, "--config", config)
	bucket := filepath.Join(s.Dir, "s3", "story")
	if err := os.MkdirAll(bucket, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bucket, "component.yaml"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &record{seen: map[string]map[string]map[outcome]int{}}
	clients := all()
	var mu sync.Mutex
	told := map[string]bool{}
	t.Run("clients", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				d, chapters := c.start(t, s), 0
				for _, ch := range story() {
					t.Run(ch.name, func(t *testing.T) {
						chapters++
						teller := &teller{client: c, driver: d, record: r, names: map[string]string{"me": c.name}}
						if ch.needs == "image" {
							teller.names["image"] = built(t)
						}
						teller.tell(t, ch)
					})
				}
				mu.Lock()
				told[c.name] = chapters == len(story()) // -run may have chosen some
				mu.Unlock()
			})
		}
	})
	if !slices.Contains(slices.Collect(maps.Values(told)), true) || built(t) == "" {
		t.Skip("the table is not looked at: no client heard the whole story, or this machine cannot build the image that they look at")
	}
	holdTable(t, r, clients, told)
}

// serve starts a server and, where this machine can build, the build of an image
// that all clients look at. built waits for it and gives its ARN, or "".
func serve(t *testing.T, args ...string) (s *harness.Server, built func(testing.TB) string) {
	t.Helper()
	if !harness.CanBuild() {
		return harness.Start(t, args...), func(testing.TB) string { return "" }
	}
	s = harness.StartWithParent(t, args...)
	pipeline := s.Define(harness.Pipeline{Name: "shared", NoTests: true, Components: []string{harness.Document("shared", "build", "echo built")}})
	image := s.StartPipeline(pipeline)
	wait := sync.OnceValue(func() string {
		s.Wait(image, patience, "AVAILABLE")
		return image
	})
	return s, func(testing.TB) string { return wait() }
}
