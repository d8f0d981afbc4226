package action

import (
	"bytes"
	"context"
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

func zypperUpdate(ctx context.Context, h *Host, program string, include, exclude []string) (Result, error) {
	if len(exclude) > 0 && len(include) == 0 {
		return Result{}, errors.New("zypper cannot leave packages out of a whole update; name those to include")
	}
	if r, err := runProgram(ctx, h, program, "--non-interactive", "refresh"); err != nil {
		return r, fmt.Errorf("reading the package lists: %w", err)
	}
	return runProgram(ctx, h, program, append([]string{"--non-interactive", "update"}, include...)...)
}
