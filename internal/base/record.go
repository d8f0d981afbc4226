package base

import (
	"time"
)

// Package is a software package in a parent.
type Package struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
}

// Parent is the record of a parent image.
type Parent struct {
	Name         string    `json:"name"`         // "debian-12-x86"
	Version      string    `json:"version"`      // the date it was made, "2026.11.21"
	Build        int       `json:"build"`        // from 1, for several of one day
	OSVersion    string    `json:"osVersion"`    // "Debian 12"
	Platform     string    `json:"platform"`     // "Linux"
	Architecture string    `json:"architecture"` // "x86_64" or "arm64"
	Snapshot     string    `json:"snapshot"`     // id of the disk in the disk store
	Size         int64     `json:"size"`         // bytes of the disk
	RootDevice   string    `json:"rootDevice"`   // as recipes name it, "/dev/xvda"
	RootOffset   int64     `json:"rootOffset"`   // bytes: where the root file system begins
	RootUUID     string    `json:"rootUUID"`     // of the root file system, "" if unknown
	BootModes    []string  `json:"bootModes"`    // "legacy-bios", "uefi"
	CommandLine  string    `json:"commandLine"`  // of the kernel, for booting it directly
	Created      time.Time `json:"created"`
	Origin       string    `json:"origin"`           // how it was made, for a person
	Digest       string    `json:"digest,omitempty"` // "sha256:…" of the file it was imported from
	Packages     []Package `json:"packages,omitempty"`
}
