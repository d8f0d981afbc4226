package imagebuilder

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Parents are the parent images whose disks the server has.
type Parents interface {
	// Parents gives all of them. It is asked with every request that concerns a
	// managed image, and so has to be quick.
	Parents(ctx context.Context) ([]Parent, error)
}

// Parent is an image that builds may start from, made by "goldsmith base".
type Parent struct {
	Name         string // as ARNs have it: "debian-12-x86"
	Version      string // "2026.11.21"
	Build        int64  // from 1
	OSVersion    string // "Debian 12"
	Platform     string // "Linux"
	Architecture string // "x86_64", "arm64"
	Snapshot     string // id of the disk in the disk store
	Size         int64  // bytes of the disk
	RootDevice   string // "/dev/xvda"
	BootMode     string // of EC2: "legacy-bios", "uefi", "uefi-preferred"
	Created      time.Time
}

// knownVersion is the version that a known image has while its disk is missing:
// older than any that comes of making one.
var knownVersion = store.Version{Major: 2026, Minor: 1, Patch: 1, Build: 1}

// managedImage is one version of an image of the account "aws".
type managedImage struct {
	Parent
	title   string
	kind    api.ImageType
	version store.Version
	disk    bool // false: it cannot be built on
}

// managedImages gives those that there are and those that are known, by name
// and version.
func (s *Service) managedImages(ctx context.Context) ([]managedImage, error) {
	var all []managedImage
	if s.parents != nil {
		parents, err := s.parents.Parents(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing the parent images: %w", err)
		}
		for _, p := range parents {
			v, err := parseVersion(p.Version)
			if err != nil || exact(v) != nil || p.Build < 1 || normalise(p.Name) != p.Name {
				s.log.Warn("a parent image cannot be named by an ARN and is left out", "name", p.Name, "version", p.Version)
				continue
			}
			v.Build = p.Build
			all = append(all, managedImage{Parent: p, title: titleOf(p.Name), kind: api.ImageTypeAmi, version: v, disk: true})
		}
	}
	for _, k := range known {
		if slices.ContainsFunc(all, func(m managedImage) bool { return m.Name == k.name }) {
			continue
		}
		all = append(all, managedImage{
			Parent: Parent{Name: k.name, Version: versionText(knownVersion), Build: knownVersion.Build, OSVersion: k.osVersion, Platform: string(k.platform), Architecture: k.architecture,
				Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
			title: k.title, kind: k.kind, version: knownVersion,
		})
	}
	slices.SortFunc(all, func(a, b managedImage) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), compareVersions(a.version, b.version))
	})
	return all, nil
}

func titleOf(name string) string {
	for _, k := range known {
		if k.name == name {
			return k.title
		}
	}
	return name
}

func compareVersions(a, b store.Version) int {
	return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor), cmp.Compare(a.Patch, b.Patch), cmp.Compare(a.Build, b.Build))
}

// managedImage finds the highest version of a managed image that an ARN selects.
func (s *Service) managedImage(ctx context.Context, a arn) (managedImage, error) {
	all, err := s.managedImages(ctx)
	if err != nil {
		return managedImage{}, err
	}
	pattern := a.version
	if a.form != buildForm {
		pattern.Build = store.Any
	}
	for _, m := range slices.Backward(all) {
		if m.Name == a.Name && m.version.Matches(pattern) {
			return m, nil
		}
	}
	return managedImage{}, notFound(a.String())
}

// missing says why a known image cannot be built on, and which command brings
// its disk where one does.
func (m managedImage) missing() error {
	switch {
	case m.kind == api.ImageTypeDocker:
		return fault.New(api.CodeClient, "The parent image %s is a container image, and container images are not built in this version.", m.Name)
	case m.Platform != string(api.PlatformLinux):
		return fault.New(api.CodeClient, "The parent image %s is of the platform %s, and this version builds Linux images only.", m.Name, m.Platform)
	}
	command := "goldsmith base import FILE --name " + m.Name
	if strings.HasPrefix(m.Name, "debian-") {
		command = "goldsmith base build " + m.Name
	}
	return fault.New(api.CodeClient, "The parent image %s (%s) has no disk on this server yet. Run '%s' on the server and start the build again.", m.Name, m.OSVersion, command)
}

func (m managedImage) arn(r request) arn {
	return newARN(store.Key{Kind: image, Account: amazon, Region: r.Region, Name: m.Name}, buildForm, m.version)
}

// describe is the image in the API's shape.
func (m managedImage) describe(r request) *api.Image {
	out := &api.Image{
		Arn: ptr(m.arn(r).String()), Type: ptr(m.kind), Name: ptr(m.title), Version: ptr(fmt.Sprintf("%s/%d", m.Version, m.Build)), Platform: ptr(api.Platform(m.Platform)),
		EnhancedImageMetadataEnabled: ptr(false), OsVersion: some(m.OSVersion), State: &api.ImageState{Status: ptr(api.ImageStatusAvailable)}, DateCreated: date(m.Created),
		OutputResources: &api.OutputResources{}, ImageSource: ptr(api.ImageSourceAmazonManaged),
	}
	if !m.disk {
		out.State.Reason = ptr(m.missing().(*fault.Error).Message)
		return out
	}
	a := m.ami(r.Region)
	out.OutputResources.Amis = []api.Ami{{Region: ptr(a.Region), Image: ptr(a.ID), Name: ptr(a.Name), Description: some(a.Description), AccountId: ptr(a.Account)}}
	return out
}

// ami is the AMI of the image in a region. Its IDs follow from its name, so that
// they never change.
func (m managedImage) ami(region string) cloud.AMI {
	sum := sha256.Sum256([]byte(region + "\n" + m.Name + "\n" + m.Version + "\n" + fmt.Sprint(m.Build) + "\n" + m.Snapshot))
	id := hex.EncodeToString(sum[:])
	size := (m.Size + 1<<30 - 1) >> 30
	return cloud.AMI{
		ID: "ami-" + id[:17], Account: cloud.AmazonAccount, OwnerAlias: "amazon", Region: region, Name: fmt.Sprintf("%s %s-%d", m.Name, m.Version, m.Build), Description: m.OSVersion,
		State: "available", Architecture: m.Architecture, Platform: m.Platform, OSVersion: m.OSVersion, BootMode: m.BootMode, RootDevice: m.RootDevice, Created: m.Created,
		Permissions: cloud.Permissions{Groups: []string{store.Everyone}},
		Devices:     []cloud.BlockDevice{{DeviceName: m.RootDevice, SnapshotID: "snap-" + id[17:34], Manifest: m.Snapshot, SizeGiB: size, VolumeType: "gp3", DeleteOnTermination: true}},
	}
}

// PublicAMIs gives the AMIs of the parents whose disks are here.
func (s *Service) PublicAMIs(ctx context.Context, region string) ([]cloud.AMI, error) {
	all, err := s.managedImages(ctx)
	if err != nil {
		return nil, err
	}
	var amis []cloud.AMI
	for _, m := range all {
		if m.disk {
			amis = append(amis, m.ami(region))
		}
	}
	return amis, nil
}
