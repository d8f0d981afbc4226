package stepcache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// Where the objects lie.
const (
	statePrefix = "steps/"
	logPrefix   = "steplogs/"
)

// MaxLog is how much of a component's log is kept beside a state, in bytes: the
// end of it.
const MaxLog = 64 << 10

// maxEntry bounds an entry, in bytes: chains are as long as recipes, and a
// component may fetch many files.
const maxEntry = 4 << 20

// logGrace is how old a log without a state must be before Trim removes it: logs
// are written first.
const logGrace = time.Hour

// Cache holds states. Several processes on several machines may use the same
// objects: every entry appears whole or not at all, the same key means the same
// state, and an entry may vanish at any time.
type Cache struct {
	objects objects.Store
	limit   int64
	now     func() time.Time
}

// New gives the cache in an object store. limit bounds what Trim leaves, in
// bytes of changed blocks, uncompressed; with 0 or less nothing is kept and
// nothing found.
func New(o objects.Store, limit int64) *Cache {
	return &Cache{objects: o, limit: limit, now: time.Now}
}

// Enabled reports whether anything is kept.
func (c *Cache) Enabled() bool { return c != nil && c.limit > 0 }

// Get gives the state of a key. An entry that cannot be understood counts as
// missing; the error is of the store.
func (c *Cache) Get(ctx context.Context, key string) (State, bool, error) {
	if !c.Enabled() || !keyForm.MatchString(key) {
		return State{}, false, nil
	}
	data, ok, err := c.read(ctx, statePrefix+key, maxEntry)
	if err != nil || !ok {
		return State{}, false, err
	}
	s, err := decode(key, data)
	return s, err == nil, nil
}

// Put keeps a state whose snapshot is stored, with the end of its last
// component's log. What was there under its key is replaced.
func (c *Cache) Put(ctx context.Context, s State, log []byte) error {
	s.Version = version
	if err := s.check(s.Key()); err != nil {
		return fmt.Errorf("keeping the state of a volume: %w", err)
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("keeping the state of a volume: %w", err)
	}
	if len(data) > maxEntry {
		return fmt.Errorf("keeping the state of a volume: its entry of %d bytes is longer than %d", len(data), maxEntry)
	}
	log = log[max(0, len(log)-MaxLog):]
	if err := c.objects.Put(ctx, logPrefix+s.Key(), bytes.NewReader(log)); err != nil {
		return fmt.Errorf("keeping a component's log: %w", err)
	}
	if err := c.objects.Put(ctx, statePrefix+s.Key(), bytes.NewReader(data)); err != nil {
		return fmt.Errorf("keeping the state of a volume: %w", err)
	}
	return nil
}

// Log gives the end of what the component of a key printed when it ran; empty if
// that is gone.
func (c *Cache) Log(ctx context.Context, key string) ([]byte, error) {
	data, _, err := c.read(ctx, logPrefix+key, MaxLog)
	return data, err
}

// toucher is a store that can make an object look new without writing it.
type toucher interface {
	Touch(ctx context.Context, key string) error
}

// Used makes a state the one that was used last.
func (c *Cache) Used(ctx context.Context, s State) error {
	var err error
	if t, ok := c.objects.(toucher); ok {
		err = t.Touch(ctx, statePrefix+s.Key())
	} else {
		var data []byte
		if data, err = json.Marshal(s); err == nil {
			err = c.objects.Put(ctx, statePrefix+s.Key(), bytes.NewReader(data))
		}
	}
	if errors.Is(err, objects.ErrNotFound) {
		err = nil // another process has dropped it just now
	}
	if err != nil {
		return fmt.Errorf("noting the use of a state: %w", err)
	}
	return nil
}

// Drop forgets a state, such as one whose snapshot is gone.
func (c *Cache) Drop(ctx context.Context, key string) error {
	for _, name := range []string{statePrefix + key, logPrefix + key} {
		if err := c.objects.Delete(ctx, name); err != nil {
			return fmt.Errorf("forgetting a state: %w", err)
		}
	}
	return nil
}

// Snapshots gives the snapshots that the states need.
func (c *Cache) Snapshots(ctx context.Context) ([]string, error) {
	entries, err := c.entries(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.whole {
			all = append(all, e.state.Snapshot)
		}
	}
	return all, nil
}

// Trimmed is what a Trim did.
type Trimmed struct {
	States int   // that were forgotten
	Kept   int   // that stay
	Bytes  int64 // that those hold
}

// Trim forgets the states that were used least recently until the rest fits the
// limit, and entries that cannot be understood. A component's blocks count once,
// however many states hold them. The blocks go with the next collection of the
// snapshots' store.
func (c *Cache) Trim(ctx context.Context) (t Trimmed, err error) {
	entries, err := c.entries(ctx)
	if err != nil {
		return t, err
	}
	slices.SortFunc(entries, func(a, b entry) int { return b.used.Compare(a.used) }) // latest first
	held := map[string]bool{}
	full := false
	for _, e := range entries {
		more := e.needs(held)
		if full = full || t.Bytes+more > c.limit; full || !e.whole {
			if err := c.Drop(ctx, e.key); err != nil {
				return t, err
			}
			t.States++
			continue
		}
		for _, l := range e.state.Chain {
			if !l.Passed { // another run may have kept the state there
				held[l.Key] = true
			}
		}
		t.Bytes += more
		t.Kept++
	}
	return t, c.dropLogs(ctx)
}

// entry is a state as Trim sees it.
type entry struct {
	key   string
	used  time.Time
	state State
	whole bool // false: it cannot be understood
}

// needs is how many bytes the entry holds besides those of the links in held.
func (e *entry) needs(held map[string]bool) (n int64) {
	for _, l := range e.state.Chain {
		if !held[l.Key] {
			n += l.Bytes
		}
	}
	return n
}

// entries reads all states.
func (c *Cache) entries(ctx context.Context) ([]entry, error) {
	var all []entry
	for info, err := range c.objects.List(ctx, statePrefix) {
		if err != nil {
			return nil, fmt.Errorf("listing the states of volumes: %w", err)
		}
		e := entry{key: strings.TrimPrefix(info.Key, statePrefix), used: info.Modified}
		data, ok, err := c.read(ctx, info.Key, maxEntry)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue // dropped meanwhile
		}
		e.state, err = decode(e.key, data)
		e.whole = err == nil
		all = append(all, e)
	}
	return all, nil
}

// dropLogs removes logs whose state is gone: of a Put or a Drop that died half
// way.
func (c *Cache) dropLogs(ctx context.Context) error {
	young := c.now().Add(-logGrace)
	for info, err := range c.objects.List(ctx, logPrefix) {
		if err != nil {
			return fmt.Errorf("listing the logs of states: %w", err)
		}
		if info.Modified.After(young) {
			continue
		}
		_, err := c.objects.Stat(ctx, statePrefix+strings.TrimPrefix(info.Key, logPrefix))
		if errors.Is(err, objects.ErrNotFound) {
			err = c.objects.Delete(ctx, info.Key)
		}
		if err != nil {
			return fmt.Errorf("removing the log of a state that is gone: %w", err)
		}
	}
	return nil
}

// read reads an object of at most most bytes; longer ones are cut.
func (c *Cache) read(ctx context.Context, key string, most int64) ([]byte, bool, error) {
	body, err := c.objects.Get(ctx, key)
	if errors.Is(err, objects.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", key, err)
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, most))
	if err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", key, err)
	}
	return data, true, nil
}
