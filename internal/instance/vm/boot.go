package vm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
)

// deadEnds are what a console says when a boot will not go on by itself, with
// what that means for a person.
var deadEnds = []struct{ text, meaning string }{
	{"Kernel panic - not syncing", "its kernel panicked"},
	{"Boot failed:", "its firmware found nothing to boot"}, // SeaBIOS, whose last words may not get out
	{"No bootable device", "its firmware found nothing to boot"},
	{"No bootable option or device was found", "its firmware found nothing to boot"},
	{"UEFI Interactive Shell", "its firmware found nothing to boot"},
	{"grub rescue>", "its boot loader did not find its files"},
	{"grub>", "its boot loader found no configuration"},
	{"(initramfs)", "its initial file system did not find the root"},
	{"dracut:/#", "its initial file system did not find the root"},
	{"You are in emergency mode", "it fell into emergency mode"},
	{"Give root password for maintenance", "it fell into emergency mode"},
	{"Cannot open access to console, the root account is locked", "it fell into emergency mode"},
}

// bootError is a boot that came to a dead end.
type bootError struct{ meaning string }

func (e *bootError) Error() string { return e.meaning }

// watchBoot gives a context that ends when the console shows a dead end. It is
// for boots only: later on anything in the guest may write such words.
func watchBoot(ctx context.Context, console *guest.Console) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	console.Watch(func(line string) bool {
		for _, d := range deadEnds {
			if strings.Contains(line, d.text) {
				// The lines around it belong into the error.
				time.AfterFunc(time.Second, func() { cancel(&bootError{d.meaning}) })
				return false
			}
		}
		return true
	})
	return ctx, func() {
		console.Watch(nil)
		cancel(nil)
	}
}

// awaitBoot waits for an agent of a boot other than the given one.
func (m *machine) awaitBoot(ctx context.Context, other string) error {
	ctx, cancel := context.WithTimeout(ctx, m.spec.BootTimeout)
	defer cancel()
	ctx, stop := watchBoot(ctx, m.held.Console)
	defer stop()
	_, err := m.Channel.Boot(ctx, other)
	if err == nil {
		return nil
	}
	var dead *bootError
	var lost *instance.LostError
	switch {
	case errors.As(context.Cause(ctx), &dead):
		err = dead
	case errors.As(err, &lost):
		err = lost.Cause
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("its guest agent has not answered within %s", m.spec.BootTimeout)
	}
	select {
	case <-m.exited: // the console is complete then
	case <-ctx.Done():
	case <-time.After(time.Second): // QEMU lives, but its agent is of no use
	}
	if tail := m.held.Console.Tail(15); tail != "" {
		return fmt.Errorf("%w; the console's last lines:\n%s", err, tail)
	}
	return err
}
