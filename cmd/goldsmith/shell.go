package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/guest"
	"github.com/goldsmith-build/goldsmith/internal/instance/sandbox"
)

// shellCommand is 'goldsmith shell IMAGE'.
func shellCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shell IMAGE",
		Short: "Open a shell in the kept instance of a failed image",
		Long: "Open a shell in the kept instance of a failed image. IMAGE is the ARN of the image build version.\n" +
			"An instance is kept where the infrastructure configuration says terminateInstanceOnFailure=false, and by\n" +
			"'goldsmith build --on-failure'. It takes memory and disk until the image is deleted, and ends within a minute then.\n" +
			"The shell is where the failed step was: with its environment, working folder and user. For a component, the\n" +
			"command that it names runs it again from the failed step, after you have mended its document there.\n" +
			"If the server that ran it has stopped, the instance is started again on its volume. The shell's\n" +
			"exit status is the command's.",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, data, err := existingData(cmd)
			if err != nil {
				return err
			}
			return openShell(cmd.Context(), data, args[0])
		},
	}
}

// openShell opens a shell in the kept instance of an image.
func openShell(ctx context.Context, data datadir.Dir, image string) error {
	kept, err := engine.FindKept(string(data), image)
	if err != nil {
		return err
	}
	// The lock says whether the server lives: after a crash the note is old, and
	// its process ids may be anybody's.
	if len(kept.Enter) > 0 && data.Locked() && unix.Kill(kept.PID, 0) == nil {
		return enter(ctx, kept.Kind, kept.Dir, kept.Enter, kept.Shell)
	}
	return enterVolume(ctx, kept)
}

// enter opens a shell in a running instance and ends with its status: on a
// terminal through the guest agent, which gives the guest no way to the host's
// terminal but bytes; and for a script on standard input, where a terminal of
// its own would only echo it, through argv. shell is the program in the guest
// that leads to where its step failed; nil for a plain shell.
func enter(ctx context.Context, kind, dir string, argv, shell []string) error {
	if plain := len(argv) - 2; len(shell) > 0 && plain > 0 && slices.Equal(argv[plain:], []string{"/bin/sh", "-l"}) {
		argv = append(slices.Clone(argv[:plain]), shell...)
	}
	if kind != "sandbox" || term.IsTerminal(int(os.Stdin.Fd())) {
		exit, err := guest.Shell(ctx, dir, shell, os.Stdin, os.Stdout)
		if err == nil && exit != 0 {
			err = exitStatus(exit)
		}
		return err
	}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitStatus(exit.ExitCode())
	}
	return err
}

// exitStatus is the status of a program that ran in our place.
type exitStatus int

// Error says what the status was.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// enterVolume starts a sandbox on the volume of a kept instance whose server is
// gone, opens a shell in it, and stops it in an orderly way.
func enterVolume(ctx context.Context, kept engine.Kept) (err error) {
	if kept.Volume == "" {
		return fmt.Errorf("the instance %s was a %s on a throw-away copy of the AMI; it went with its server", kept.ID, kept.Kind)
	}
	toe, err := executor()
	if err != nil {
		return err
	}
	dir := filepath.Join(kept.Dir, "shell")
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("another shell has the volume of %s (if it was killed, remove %s)", kept.ID, dir)
		}
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintf(os.Stderr, "Starting %s again on its volume\n", kept.ID)
	inst, err := sandbox.New(sandbox.Options{}).Launch(ctx, instance.Spec{ID: engine.NewInstanceID(), Dir: dir, Volume: kept.Volume, Toe: toe, VCPU: 2, MemoryMiB: 2048, Hostname: "ip-" + kept.ID[2:10]})
	if err != nil {
		return fmt.Errorf("starting %s: %w", kept.ID, err)
	}
	shellErr := enter(ctx, "sandbox", dir, inst.Enter(), nil)
	stop, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := inst.Stop(stop); err != nil {
		return errors.Join(shellErr, err, inst.Kill())
	}
	return shellErr
}
