package vm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/cgroup"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/holding"
	"github.com/goldsmith-build/goldsmith/internal/instance/lifeline"
	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// stopping is how long an orderly shutdown may take before Stop gives up:
// longer than the 90 s that systemd gives a service that does not stop, and
// emulation takes its share.
const stopping = 5 * time.Minute

// machine is a running instance. Exec, Put and Get are the Channel's.
type machine struct {
	*guest.Channel

	kind    *Kind
	spec    instance.Spec
	log     *slog.Logger
	groups  *cgroup.Groups
	disk    string // the one that is booted
	held    *holding.Holding
	monitor net.Conn
	cmd     *exec.Cmd
	line    *lifeline.Line

	exited  chan struct{} // closed when QEMU is gone
	outcome report        // good once exited is closed
	cleanup sync.Once
}

func (m *machine) path(name string) string { return filepath.Join(m.spec.Dir, name) }

// ID is instance.Instance's ID.
func (m *machine) ID() string { return m.spec.ID }

// Scratch is where a disk of its own is mounted.
func (m *machine) Scratch() string { return guest.Folder }

// Toe is instance.Instance's Toe.
func (m *machine) Toe() string { return guest.Toe }

// Console is instance.Instance's Console.
func (m *machine) Console() string { return m.path(consoleFile) }

// Enter is the command that opens a shell by way of the server that runs the
// machine (guest.Shell): nothing else leads into a guest without a network.
func (m *machine) Enter() []string { return []string{"goldsmith", "shell", m.spec.ID} }

// Reboot is instance.Instance's Reboot. A boot that comes to a dead end is an
// error at once.
func (m *machine) Reboot(ctx context.Context) error {
	boot, err := m.Channel.Boot(ctx, "")
	if err != nil {
		return err
	}
	var lost *instance.LostError
	if err := m.Channel.Power(ctx, protocol.PowerReboot); err != nil && !errors.As(err, &lost) {
		return fmt.Errorf("asking the guest to reboot: %w", err)
	}
	if err := m.awaitBoot(ctx, boot); err != nil {
		return &instance.LostError{ID: m.spec.ID, Cause: fmt.Errorf("rebooting: %w", err)}
	}
	return nil
}

// Stop is instance.Instance's Stop.
func (m *machine) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopping)
	defer cancel()
	if err := m.powerOff(ctx); err != nil {
		return fmt.Errorf("stopping vm %s: %w", m.spec.ID, err)
	}
	select {
	case <-m.exited:
	case <-ctx.Done():
		return fmt.Errorf("stopping vm %s: %w; the console's last lines:\n%s", m.spec.ID, ctx.Err(), m.held.Console.Tail(10))
	}
	if m.outcome.Error != "" {
		return errors.Join(fmt.Errorf("stopping vm %s: %s", m.spec.ID, m.outcome.Error), m.clean())
	}
	if !m.spec.Overlay {
		if err := m.kind.eject(ctx, m.disk); err != nil {
			return errors.Join(fmt.Errorf("stopping vm %s: %w", m.spec.ID, err), m.clean())
		}
	}
	return m.clean()
}

// powerOff asks the agent for an orderly shutdown, and presses the power button
// if there is no agent to ask.
func (m *machine) powerOff(ctx context.Context) error {
	select {
	case <-m.exited:
		return nil
	default:
	}
	asking, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := m.Channel.Power(asking, protocol.PowerOff)
	var lost *instance.LostError
	if err == nil || errors.As(err, &lost) {
		return nil // on its way, or gone
	}
	m.log.Warn("the guest agent did not power off: pressing the power button", "error", err)
	_ = m.monitor.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err = m.monitor.Write([]byte(`{"execute":"qmp_capabilities"}` + "\n" + `{"execute":"system_powerdown"}` + "\n"))
	if err != nil {
		return fmt.Errorf("pressing the power button: %w", err)
	}
	return nil
}

// Kill is instance.Instance's Kill.
func (m *machine) Kill() error {
	if m.cmd != nil {
		m.line.Close() // the keeper kills QEMU even where it has no namespace that does
		_ = m.cmd.Process.Kill()
		<-m.exited
	}
	return m.clean()
}

// clean removes what is left when QEMU is gone.
func (m *machine) clean() error {
	m.cleanup.Do(func() {
		m.Channel.Close(errors.New("it was stopped"))
		if m.monitor != nil {
			m.monitor.Close()
		}
		if m.line != nil {
			m.line.Close()
		}
	})
	return m.held.Release()
}

// Sweep is instance.Kind's Sweep. QEMU has gone with the server; files and
// empty control groups are left.
func (k *Kind) Sweep(ctx context.Context, dir string) error {
	return layout.Sweep(ctx, dir, k.opts.Log, nil)
}
