package action

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// updater is a package manager: how to update all packages, or some.
type updater struct {
	program string
	update  func(ctx context.Context, h *Host, program string, include, exclude []string) (Result, error)
}

// updaters in the order in which they are looked for. A machine that has dnf
// may have yum as another name of it.
var updaters = []updater{
	{"apt-get", aptUpdate},
	{"dnf", dnfUpdate},
	{"yum", dnfUpdate},
	{"zypper", zypperUpdate},
}

func runUpdateOS(ctx context.Context, h *Host, in Inputs) (Result, error) {
	var include, exclude []string
	if len(in.Entries) > 0 {
		include, exclude = in.Entries[0].Strings("include"), in.Entries[0].Strings("exclude")
	}
	if runtime.GOOS == "windows" {
		return windowsUpdate(ctx, h, include, exclude)
	}
	if os.Geteuid() != 0 {
		return Result{}, errors.New("UpdateOS needs root")
	}
	for _, name := range slices.Concat(include, exclude) {
		if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, " \t\n/") {
			return Result{}, fmt.Errorf("%q is not the name of a package", name)
		}
	}
	asked := len(include) > 0
	include = slices.DeleteFunc(slices.Clone(include), func(name string) bool { return slices.Contains(exclude, name) })
	if asked && len(include) == 0 {
		h.logf("UpdateOS: nothing is left to update once the exclusions are taken away")
		return Result{}, nil
	}
	for _, u := range updaters {
		if program := searchPath(h.Env, u.program); program != "" {
			return u.update(ctx, h, program, include, exclude)
		}
	}
	return Result{}, errors.New("none of the package managers apt-get, dnf, yum, zypper was found on PATH")
}

// aptUpdate never asks a question and keeps configuration files that were
// changed on the machine.
func aptUpdate(ctx context.Context, h *Host, program string, include, exclude []string) (Result, error) {
	quiet := *h
	quiet.Env = append(slices.Clone(h.Env), "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=a")
	if r, err := runProgram(ctx, &quiet, program, "update"); err != nil {
		return r, fmt.Errorf("reading the package lists: %w", err)
	}
	options := []string{"-y", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"}
	if len(include) == 0 && len(exclude) > 0 {
		all, r, err := aptUpgradable(ctx, &quiet, program)
		if err != nil {
			return r, fmt.Errorf("listing what can be updated: %w", err)
		}
		include = slices.DeleteFunc(all, func(name string) bool { return slices.Contains(exclude, name) })
		if len(include) == 0 {
			h.logf("UpdateOS: nothing to update")
			return Result{}, nil
		}
	}
	if len(include) > 0 {
		return runProgram(ctx, &quiet, program, slices.Concat(options, []string{"install", "--only-upgrade"}, include)...)
	}
	return runProgram(ctx, &quiet, program, append(options, "dist-upgrade")...)
}

// aptUpgradable names the packages that dist-upgrade would upgrade.
func aptUpgradable(ctx context.Context, h *Host, program string) ([]string, Result, error) {
	listing := *h
	var out bytes.Buffer
	listing.Stdout = &out
	r, err := runProgram(ctx, &listing, program, "--just-print", "dist-upgrade")
	if err != nil {
		return nil, r, err
	}
	var names []string
	for line := range strings.Lines(out.String()) {
		// "Inst NAME [old] (new …)"; what is not installed has no old version.
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Inst" && strings.HasPrefix(f[2], "[") {
			names = append(names, f[1])
		}
	}
	return names, r, nil
}

func dnfUpdate(ctx context.Context, h *Host, program string, include, exclude []string) (Result, error) {
	args := []string{"-y", "update"}
	for _, name := range exclude {
		args = append(args, "--exclude="+name)
	}
	return runProgram(ctx, h, program, append(args, include...)...)
}

// zypperUpdate names the packages to update where some are left out: zypper
// itself can only lock them, and a lock would outlive a process that dies.
func zypperUpdate(ctx context.Context, h *Host, program string, include, exclude []string) (Result, error) {
	if r, err := runProgram(ctx, h, program, "--non-interactive", "refresh"); err != nil {
		return r, fmt.Errorf("reading the package lists: %w", err)
	}
	if len(include) == 0 && len(exclude) > 0 {
		all, r, err := zypperUpdates(ctx, h, program)
		if err != nil {
			return r, fmt.Errorf("listing what can be updated: %w", err)
		}
		include = slices.DeleteFunc(all, func(name string) bool { return slices.Contains(exclude, name) })
		if len(include) == 0 {
			h.logf("UpdateOS: nothing to update")
			return Result{}, nil
		}
	}
	args := append([]string{"--non-interactive", "update"}, include...)
	r, err := runProgram(ctx, h, program, args...)
	if status(err) == zypperRestart {
		r, err = runProgram(ctx, h, program, args...)
	}
	if status(err) == zypperReboot {
		h.logf("UpdateOS: zypper asks for a restart of the machine")
		return r, nil
	}
	return r, err
}

// Statuses by which zypper ends well, but not as usual (zypper(8), EXIT CODES).
const (
	zypperReboot  = 102 // what was installed wants a restart of the machine
	zypperRestart = 103 // zypper itself was updated, and has not done the rest
)

// status gives the exit status that an error stands for, 0 for others.
func status(err error) int {
	var exit *ExitError
	if errors.As(err, &exit) && exit.Signal == "" {
		return exit.Code
	}
	return 0
}

// zypperUpdates names the packages that an update would update.
func zypperUpdates(ctx context.Context, h *Host, program string) ([]string, Result, error) {
	listing := *h
	var out bytes.Buffer
	listing.Stdout = &out
	r, err := runProgram(ctx, &listing, program, "--non-interactive", "--xmlout", "list-updates")
	if err != nil {
		return nil, r, err
	}
	var list struct {
		Updates []struct {
			Name string `xml:"name,attr"`
			Kind string `xml:"kind,attr"`
		} `xml:"update-status>update-list>update"`
	}
	if err := xml.Unmarshal(out.Bytes(), &list); err != nil {
		return nil, r, err
	}
	var names []string
	for _, u := range list.Updates {
		if u.Kind == "package" {
			names = append(names, u.Name)
		}
	}
	return names, r, nil
}
