package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/version"
)

// Abilities is what a worker can do and has room for, as it tells the others.
type Abilities struct {
	Version      string    `json:"version"`
	Architecture string    `json:"architecture"` // "x86_64", "arm64"
	Processors   int       `json:"processors"`
	Running      int       `json:"running"`       // images that it works on
	MemoryFree   int64     `json:"memoryFreeMiB"` // that programs can have
	DiskFree     int64     `json:"diskFreeMiB"`   // in its data folder
	Kinds        []Ability `json:"kinds"`         // none: it has not looked yet
}

// Ability is what a worker found out about a kind of instance.
type Ability struct {
	Kind   string `json:"kind"` // "sandbox", "vm"
	Usable bool   `json:"usable"`
	How    string `json:"how"`
	Remedy string `json:"remedy,omitempty"`
}

// Worker is a process that builds, as it was last heard of.
type Worker struct {
	ID        string    `json:"id"`
	Host      string    `json:"host"`
	Node      string    `json:"node"` // names its data folder
	Started   time.Time `json:"started"`
	Seen      time.Time `json:"seen"` // by the database's clock
	Builds    int64     `json:"builds"`
	Abilities `json:"abilities"`
}

// Workers gives the workers that are registered, and the time by the database's
// clock.
func Workers(tx *store.Tx) (all []Worker, now time.Time, err error) {
	rows, err := tx.Workers()
	if err != nil {
		return nil, now, err
	}
	for _, row := range rows {
		all = append(all, workerOf(row))
	}
	now, err = tx.Clock()
	return all, now, err
}

func workerOf(row store.Worker) Worker {
	w := Worker{ID: row.ID, Host: row.Host, Node: row.Node, Started: row.Started, Seen: row.Seen, Builds: row.Builds}
	if json.Unmarshal(row.About, &w.Abilities) != nil {
		w.Abilities = Abilities{} // of another version: nothing is known of it
	}
	return w
}

// lacks gives what of some needs a worker cannot do. Of one that has not looked
// yet nothing is known to be lacking.
func (a Abilities) lacks(needs []string) (missing []string) {
	for _, need := range needs {
		if architecture, ok := strings.CutPrefix(need, architecturePrefix); ok {
			if a.Architecture != "" && architecture != a.Architecture {
				missing = append(missing, need)
			}
			continue
		}
		usable := func(k Ability) bool { return k.Kind == need && k.Usable }
		if len(a.Kinds) > 0 && !slices.ContainsFunc(a.Kinds, usable) {
			missing = append(missing, need)
		}
	}
	return missing
}

// architecturePrefix begins the need of an architecture.
const architecturePrefix = "architecture:"

// host is this machine's architecture, as images name it.
func host() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

// probe asks the kinds of instances what they can do here. It takes seconds the
// first time.
func (e *Engine) probe(ctx context.Context) []Ability {
	var found []Ability
	for i, kind := range []instance.Kind{e.Builder, e.Tester} {
		if i == 1 && kind.Name() == e.Builder.Name() {
			break
		}
		r := kind.Probe(ctx)
		found = append(found, Ability{kind.Name(), r.Usable, r.How, r.Remedy})
	}
	return found
}

// abilities is what this worker can do and has room for now.
func (e *Engine) abilities() Abilities {
	a := Abilities{Version: version.Version, Architecture: host(), Processors: runtime.NumCPU(), MemoryFree: memoryFree()}
	var fs unix.Statfs_t
	if unix.Statfs(e.Dir, &fs) == nil {
		a.DiskFree = int64(fs.Bavail) * fs.Bsize >> 20
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a.Running, a.Kinds = len(e.running), e.found
	return a
}

// memoryFree is how much memory programs can have without swapping, in MiB; 0 if
// nobody knows.
func memoryFree() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib >> 10
		}
	}
	return 0
}

// about is what this worker tells the others of itself.
func (e *Engine) about() []byte {
	data, err := json.Marshal(e.abilities())
	if err != nil {
		return nil // it is made of texts and numbers
	}
	return data
}

// look finds out what this worker can do, and tells the others; images that
// waited for such a worker are given places.
func (e *Engine) look() {
	ctx, cancel := e.untilStopped()
	defer cancel()
	e.lookAgain(ctx)
}

// lookAgain is look for a janitor, who comes again: what a worker can do may
// change until it has launched an instance.
func (e *Engine) lookAgain(ctx context.Context) {
	found := e.probe(ctx)
	if ctx.Err() != nil {
		return
	}
	e.mu.Lock()
	same := slices.Equal(e.found, found)
	e.found = found
	e.mu.Unlock()
	if same {
		return
	}
	err := e.Store.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Beat(e.id, e.about()); err != nil {
			return err
		}
		return e.refit(ctx, tx)
	})
	if err != nil && ctx.Err() == nil {
		e.Log.Warn("telling what this worker can do", "err", err)
	}
}
