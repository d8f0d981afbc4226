package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/base"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

// parentImages shows the parents of the data folder to the service. Another
// process may add one at any time, so the folder is read again, but not with
// every request.
type parentImages struct {
	store *base.Store

	mu   sync.Mutex
	read time.Time
	list []imagebuilder.Parent
}

// parentsAge is how old the list of parents may be.
const parentsAge = 500 * time.Millisecond

// Parents implements imagebuilder.Parents.
func (p *parentImages) Parents(context.Context) ([]imagebuilder.Parent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.read) < parentsAge {
		return p.list, nil
	}
	found, err := p.store.List()
	if err != nil {
		return nil, err
	}
	list := make([]imagebuilder.Parent, 0, len(found))
	for _, f := range found {
		list = append(list, imagebuilder.Parent{
			Name: f.Name, Version: f.Version, Build: int64(f.Build), OSVersion: f.OSVersion, Platform: f.Platform, Architecture: f.Architecture,
			Snapshot: f.Snapshot, Size: f.Size, RootDevice: f.RootDevice, BootMode: bootMode(f.BootModes), Created: f.Created,
		})
	}
	p.list, p.read = list, time.Now()
	return list, nil
}

// parentSnapshots gives the snapshots of all parents, read anew each time.
func parentSnapshots(parents *base.Store) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) {
		list, err := parents.List()
		all := make([]string, 0, len(list))
		for _, p := range list {
			all = append(all, p.Snapshot)
		}
		return all, err
	}
}

// bootMode is EC2's word for the firmwares that a disk boots with.
func bootMode(modes []string) string {
	bios, uefi := slices.Contains(modes, "legacy-bios"), slices.Contains(modes, "uefi")
	switch {
	case uefi && bios:
		return "uefi-preferred"
	case uefi:
		return "uefi"
	}
	return "legacy-bios"
}

// stockKernel finds a kernel for the trial of KVM: that of any parent that is
// here.
func stockKernel(ctx context.Context, cfg *config.Config, dir datadir.Dir) (string, error) {
	disks, err := OpenDisks(ctx, cfg, dir)
	if err != nil {
		return "", err
	}
	parents, err := base.Open(dir.Parents(), disks.Store)
	if err != nil {
		return "", err
	}
	list, err := parents.List()
	if err == nil && len(list) == 0 {
		err = errors.New("it takes a stock kernel, and no parent image is here yet")
	}
	if err != nil {
		return "", err
	}
	kernel, _, err := parents.Kernel(ctx, list[len(list)-1])
	return kernel, err
}
