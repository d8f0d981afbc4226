package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// nothing is a kind of instance that does nothing, well.
type nothing string

func (k nothing) Name() string                        { return string(k) }
func (nothing) Probe(context.Context) instance.Report { return instance.Report{Usable: true} }
func (nothing) Sweep(context.Context, string) error   { return nil }
func (nothing) Launch(_ context.Context, spec instance.Spec) (instance.Instance, error) {
	return idle(spec.ID), nil
}

// idle is an instance that does nothing.
type idle string

func (i idle) ID() string                 { return string(i) }
func (idle) Scratch() string              { return "/scratch" }
func (idle) Toe() string                  { return "/scratch/toe" }
func (idle) Enter() []string              { return []string{"true"} }
func (idle) Console() string              { return "" }
func (idle) Reboot(context.Context) error { return nil }
func (idle) Stop(context.Context) error   { return nil }
func (idle) Kill() error                  { return nil }

func (idle) Put(_ context.Context, _ string, _ fs.FileMode, content io.Reader) error {
	_, err := io.Copy(io.Discard, content)
	return err
}

func (idle) Get(_ context.Context, _ string, to io.Writer) error {
	_, err := io.WriteString(to, "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n")
	return err
}

func (idle) Exec(_ context.Context, cmd instance.Command) (int, error) {
	if strings.Contains(strings.Join(cmd.Argv, " "), "dpkg-query") {
		_, err := io.WriteString(cmd.Stdout, "ii \tbash\t5.2\n")
		return 0, err
	}
	return 0, nil
}

// blank are disks without blocks.
type blank struct{}

func (blank) Volume(_ context.Context, _, file string, _ int64) (string, error) {
	return "nothing", os.WriteFile(file, nil, 0o600)
}

func (blank) Snapshot(_ context.Context, file, _, _, _ string) (engine.Stored, error) {
	return engine.Stored{Snapshot: "made"}, os.Remove(file)
}

func (blank) Disk(context.Context, string) (string, func(), error) { return "/nothing", func() {}, nil }

func (blank) Collect(context.Context, func(context.Context) ([]store.Held, error)) error { return nil }

// parents is a parent image.
type parents struct{}

func (parents) Parents(context.Context) ([]imagebuilder.Parent, error) {
	return []imagebuilder.Parent{{
		Name: "debian-12-x86", Version: "2026.11.21", Build: 1, OSVersion: "Debian 12", Platform: "Linux", Snapshot: "parent", Size: 2 << 30,
		RootDevice: "/dev/xvda", BootMode: "uefi-preferred", Created: time.Unix(1_790_000_000, 0),
	}}, nil
}
