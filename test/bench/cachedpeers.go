package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is another program that makes a disk with the work of the five components
// of cachedSteps. It begins with an empty disk, where Goldsmith has a parent.
type peer struct {
	name    string
	version []string
	files   map[string]string // of its folder; "VERSION" in them is the line that changes
	command []string
	needs   string // a path that must be there; "" for none
}

// peers are the programs, as Debian has them. What a program has no name for
// of the five runs in the place that it has for scripts.
var peers = []peer{
	{name: "mkosi, incremental", version: []string{"mkosi", "--version"}, command: []string{"mkosi", "--force", "--incremental", "--nspawn-keep-unit", "build"}, files: map[string]string{
		"mkosi.default":  mkosiConfig,
		"mkosi.postinst": "#!/bin/sh\nset -e\n[ \"$1\" = final ] || exit 0\n" + strings.Join(cachedSteps[2:], "\n") + "\n",
	}},
	{name: "debos", version: []string{"dpkg-query", "--show", "debos"}, command: []string{"debos", "--disable-fakemachine", "recipe.yaml"}, needs: "/dev/disk", files: map[string]string{"recipe.yaml": debosRecipe()}},
}

const mkosiConfig = `[Distribution]
Distribution=debian
Release=bookworm

[Output]
Format=gpt_ext4
Output=image.raw

[Partitions]
RootSize=2G

[Content]
Packages=systemd systemd-sysv udev dbus ifupdown linux-image-amd64 nginx-light curl python3 git
`

// debosRecipe has each component as an action.
func debosRecipe() string {
	var b strings.Builder
	b.WriteString(`architecture: amd64
actions:
  - action: debootstrap
    suite: bookworm
    components: [main]
    variant: minbase
  - action: apt
    recommends: false
    packages: [systemd-sysv, udev, dbus, ifupdown, linux-image-amd64]
`)
	for _, script := range cachedSteps {
		fmt.Fprintf(&b, "  - action: run\n    chroot: true\n    command: %q\n", "export DEBIAN_FRONTEND=noninteractive; "+script)
	}
	b.WriteString(`  - action: image-partition
    imagename: image.raw
    imagesize: 2GB
    partitiontype: gpt
    mountpoints: [{mountpoint: /, partition: root}]
    partitions: [{name: root, fs: ext4, start: 1MB, end: 100%}]
  - action: filesystem-deploy
`)
	return b.String()
}

// absent says why the program cannot be measured here, or nothing.
func (p *peer) absent() string {
	if _, err := exec.LookPath(p.command[0]); err != nil {
		return "it is not installed"
	}
	if os.Geteuid() != 0 {
		return "it needs root"
	}
	if p.needs != "" {
		if _, err := os.Stat(p.needs); err != nil {
			return "it needs " + p.needs
		}
	}
	return ""
}

// round builds everything and then again after the one-line change.
func (p *peer) round(dir string) (full, changed cost, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return full, changed, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return full, changed, err
	}
	for i, took := range []*cost{&full, &changed} {
		for name, content := range p.files {
			content = strings.ReplaceAll(content, "VERSION", fmt.Sprint(i))
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
				return full, changed, err
			}
		}
		if *took, err = p.build(dir); err != nil {
			return full, changed, err
		}
	}
	return full, changed, os.RemoveAll(dir)
}

// build runs the program once.
func (p *peer) build(dir string) (cost, error) {
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Dir = dir
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", p.name, err, out[max(0, len(out)-2000):])
	}
	took := time.Since(start).Seconds()
	return cost{took, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}, nil
}

// cost is what a build took, in seconds: by the clock, and of processors.
type cost struct{ clock, cpu float64 }

// peerSides are the runs of a peer.
type peerSides struct {
	full, changed cachedSide
	why           string // none were made
}

// round adds a run of each kind, unless the program cannot be measured here.
func (s *peerSides) round(p *peer, dir string) {
	if s.why == "" {
		s.why = p.absent()
	}
	if s.why != "" {
		return
	}
	full, changed, err := p.round(dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: cached: %v\n", err)
		s.why = "it failed"
		return
	}
	s.full.add(full)
	s.changed.add(changed)
}

// print prints the peer's rows.
func (s *peerSides) print(p *peer) {
	if s.why != "" {
		fmt.Printf("| %s | not measured, %s | |\n", p.name, s.why)
		return
	}
	version, _ := exec.Command(p.version[0], p.version[1:]...).Output()
	s.full.row(fmt.Sprintf("%s (%s), all", p.name, strings.Join(strings.Fields(string(version)), " ")))
	s.changed.row(p.name + ", the last changed")
	s.changed.share(p.name+", the last changed as a part of all", &s.full)
}
