package holding

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/egress"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/metadata"
)

// Layout is how a kind uses an instance's folder.
type Layout struct {
	Record    string   // file of what Sweep needs, written before anything else is made
	Console   string   // log of the guest's console
	Service   string   // log of the helper
	Leftovers []string // what means nothing once the instance is gone, in the order of its removal
	Temporary string   // how the names of folders begin that are to be removed with all in them, "" for none
}

// record is what is kept of an instance for Sweep.
type record struct {
	ID     string
	Groups []string
}

// living holds the folders of this process's instances.
var living sync.Map

// Holding is what one instance holds. Its members are good after Begin.
type Holding struct {
	Console *guest.Console
	Service *guest.Console

	layout   Layout
	dir, id  string
	groups   *cgroup.Groups
	control  *guest.Control
	filter   *egress.Filter
	endpoint *metadata.Endpoint

	release sync.Once
	failed  error
}

// Claim takes an instance's folder for one instance of this process. Release
// gives it back.
func (l Layout) Claim(dir, id string, groups *cgroup.Groups) (*Holding, error) {
	if _, taken := living.LoadOrStore(dir, id); taken {
		return nil, fmt.Errorf("an instance in %s is running already", dir)
	}
	return &Holding{layout: l, dir: dir, id: id, groups: groups}, nil
}

func (h *Holding) path(name string) string { return filepath.Join(h.dir, name) }

// Begin writes the record, the row before the action, and opens the logs.
func (h *Holding) Begin() (err error) {
	b, err := json.Marshal(record{ID: h.id, Groups: h.groups.Dirs})
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.path(h.layout.Record), b, 0o644); err != nil {
		return fmt.Errorf("preparing the instance's folder: %w", err)
	}
	if h.Console, err = guest.OpenConsole(h.path(h.layout.Console)); err != nil {
		return err
	}
	h.Service, err = guest.OpenConsole(h.path(h.layout.Service))
	return err
}

// Network is how an instance's network is guarded.
type Network struct {
	Groups   []string         // control groups of the processes that are its way out; none: it is not guarded
	Reach    []netip.AddrPort // what of the host guests may reach all the same
	Metadata http.Handler     // answers at 169.254.169.254; nil: nothing does
}

// Bound serves the control socket, makes the control groups with their limits,
// and puts the network's rules into force before there is a network.
func (h *Holding) Bound(channel *guest.Channel, limits cgroup.Limits, network Network) (err error) {
	if h.control, err = guest.ServeControl(channel, h.dir); err != nil {
		return err
	}
	if err := h.groups.Create(limits); err != nil {
		return err
	}
	if len(network.Groups) == 0 {
		return nil
	}
	rules, err := egress.ForHost(network.Reach)
	if err != nil {
		return err
	}
	if network.Metadata != nil {
		if h.endpoint, err = metadata.Listen(network.Metadata); err != nil {
			return err
		}
		rules.Redirect = h.endpoint.Address
	}
	h.filter, err = egress.Attach(network.Groups, rules)
	return err
}

// Release gives everything back, once; later calls say what the first found. The
// instance's processes are gone by then.
func (h *Holding) Release() error {
	h.release.Do(func() {
		if h.control != nil {
			h.control.Close()
		}
		var failed []error
		if h.endpoint != nil {
			failed = append(failed, h.endpoint.Close())
		}
		if h.filter != nil {
			failed = append(failed, h.filter.Close())
		}
		for _, c := range []*guest.Console{h.Console, h.Service} {
			if c == nil {
				continue
			}
			// A log that the disk had no room for is not something that is left: the
			// instance is gone, and its volume is to be removed, which makes room.
			if err := c.Close(); err != nil {
				slog.Warn("the log of an instance is not whole", "dir", h.dir, "err", err)
			}
		}
		failed = append(failed, cgroup.Remove(h.groups.Dirs), h.layout.clear(h.dir))
		living.Delete(h.dir)
		h.failed = errors.Join(failed...)
	})
	return h.failed
}

// clear removes what an instance that is gone needs no more, the record last.
func (l Layout) clear(dir string) error {
	var failed []error
	if l.Temporary != "" {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), l.Temporary) {
				failed = append(failed, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
		}
	}
	for _, name := range append(append([]string{}, l.Leftovers...), l.Record) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// Sweep removes what a dead server's instance left in its folder; before, if
// not nil, undoes what is the kind's own. The kernel has ended processes, rules
// and loop devices with the server: empty control groups and files are left.
func (l Layout) Sweep(_ context.Context, dir string, log *slog.Logger, before func(dir string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, alive := living.Load(dir); alive {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(dir, l.Record))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping %s: %w", dir, err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		// It is written before anything else is made: half a record means that
		// there is nothing to remove.
		log.Warn("record of a dead instance is incomplete", "dir", dir, "error", err)
	}
	var failed []error
	if before != nil {
		failed = append(failed, before(dir))
	}
	failed = append(failed, cgroup.Remove(r.Groups), l.clear(dir))
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("sweeping %s: %w", dir, err)
	}
	return nil
}

// TryNetwork says why the network of instances cannot be guarded here, nil if it
// can: it puts rules into force on a group that it makes for that.
func TryNetwork(all []cgroup.Hierarchy) error {
	g := cgroup.Plan(all, fmt.Sprintf("try-network-%d", os.Getpid()))
	if g.Helper == "" {
		return errors.New("it needs control groups version 2 beside its own, mounted at /sys/fs/cgroup")
	}
	if err := g.Create(cgroup.Limits{MemoryMiB: 64, CPUs: 1, PIDs: 64}); err != nil {
		return errors.Join(err, cgroup.Remove(g.Dirs))
	}
	f, err := egress.Attach([]string{g.Helper, g.Leaf}, egress.Rules{})
	if err == nil {
		err = f.Close()
	}
	return errors.Join(err, cgroup.Remove(g.Dirs))
}
