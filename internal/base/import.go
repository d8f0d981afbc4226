package base

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/disk/format"
	"github.com/goldsmith-build/goldsmith/internal/disk/partition"
	"github.com/goldsmith-build/goldsmith/internal/disk/rootfs"
)

// ImportOptions describe a disk to import. Only Name is needed.
type ImportOptions struct {
	Name         string        // of the parent, such as "ubuntu-server-24-lts-x86"
	Version      string        // "x.y.z"; "": the date
	Format       format.Format // "": found out from the file
	SHA256       string        // hexadecimal digest that the file must have; "": any
	OSVersion    string        // "": found out from the disk
	Architecture string        // "x86_64", "arm64" or "": found out from the disk
	MaxBytes     int64         // largest file and disk; 0: 64 GiB
	Progress     func(line string)
}

// ErrUnknownSystem is returned (wrapped) when a disk does not tell what is on
// it and the options do not either.
var ErrUnknownSystem = errors.New("cannot tell what is on the disk")

// Import makes a parent of a disk file: raw, qcow2, VMDK or VHD, a path or an
// http or https URL. The file is not trusted: it may refer to no other file,
// and it is looked at without being mounted.
func (s *Store) Import(ctx context.Context, source string, opts ImportOptions) (Parent, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = 64 << 30
	}
	p, err := s.importDisk(ctx, source, opts)
	if err != nil {
		return Parent{}, fmt.Errorf("importing parent image %s: %w", opts.Name, err)
	}
	return p, nil
}

func (s *Store) importDisk(ctx context.Context, source string, opts ImportOptions) (Parent, error) {
	if err := checkName(opts.Name); err != nil {
		return Parent{}, err
	}
	now := s.now().UTC()
	if opts.Version == "" {
		opts.Version = dateVersion(now)
	}
	if v, build, err := parsePattern(opts.Version); err != nil || build != 0 || strings.Contains(strings.Join(v, "."), "x") {
		return Parent{}, fmt.Errorf("bad version of a parent image: %q", opts.Version)
	}
	unlock, err := lockFile(ctx, filepath.Join(s.dir, opts.Name, ".lock"), func() { opts.Progress("waiting for another import of " + opts.Name) })
	if err != nil {
		return Parent{}, err
	}
	defer unlock()
	work, remove, err := s.workFolder()
	if err != nil {
		return Parent{}, err
	}
	defer remove()
	raw, digest, err := fetchDisk(ctx, source, work, opts)
	if err != nil {
		return Parent{}, err
	}
	p := Parent{
		Name: opts.Name, Version: opts.Version, Platform: "Linux", OSVersion: opts.OSVersion, Architecture: opts.Architecture,
		RootDevice: "/dev/xvda", Created: now.Truncate(time.Second), Origin: "imported from " + originOf(source), Digest: "sha256:" + digest,
	}
	opts.Progress("looking at the system on the disk")
	if err := describe(ctx, raw, &p); err != nil {
		return Parent{}, err
	}
	opts.Progress("storing the disk of " + p.OSVersion)
	if p, err = s.keep(ctx, p, raw); err != nil {
		return Parent{}, err
	}
	return s.add(p)
}

// originOf names a source without passwords and without the folders of this
// machine.
func originOf(source string) string {
	if isURL(source) {
		return withoutPassword(source)
	}
	return filepath.Base(source)
}

func isURL(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// fetchDisk brings the source into the work folder as a raw file, a whole
// number of GiB large as volumes are, and gives the source file's digest.
func fetchDisk(ctx context.Context, source, work string, opts ImportOptions) (raw, digest string, err error) {
	file := source
	if isURL(source) {
		opts.Progress("downloading " + withoutPassword(source))
		file = filepath.Join(work, "download")
		if err := download(ctx, source, file, opts.MaxBytes, stalled); err != nil {
			return "", "", err
		}
	}
	opts.Progress("checking the file")
	if digest, err = fileDigest(ctx, file, opts.MaxBytes); err != nil {
		return "", "", err
	}
	if opts.SHA256 != "" && !strings.EqualFold(opts.SHA256, digest) {
		return "", "", fmt.Errorf("the file's SHA-256 is %s, not %s", digest, strings.ToLower(opts.SHA256))
	}
	raw = filepath.Join(work, "disk.raw")
	return raw, digest, toRaw(ctx, file, raw, opts)
}

func toRaw(ctx context.Context, file, raw string, opts ImportOptions) error {
	found := opts.Format
	if found == "" {
		var err error
		if found, err = format.DetectFile(file); err != nil {
			return err
		}
	}
	if found == format.Raw {
		if _, err := disk.CopyFile(ctx, file, raw); err != nil {
			return err
		}
	} else {
		size, err := format.QEMU{}.VirtualSize(ctx, file, found)
		if err != nil {
			return err
		}
		if size > opts.MaxBytes {
			return fmt.Errorf("the disk has %d bytes, more than the %d allowed", size, opts.MaxBytes)
		}
		opts.Progress("converting from " + string(found))
		if err := (format.QEMU{}).Convert(ctx, file, found, raw, format.Raw); err != nil {
			return err
		}
	}
	st, err := os.Stat(raw)
	if err != nil {
		return err
	}
	const gib = 1 << 30
	size := max(gib, (st.Size()+gib-1)/gib*gib)
	_, err = partition.Grow(ctx, raw, size)
	return err
}

// describe fills in what the disk tells, and insists on what must be known.
func describe(ctx context.Context, raw string, p *Parent) error {
	f, err := os.Open(raw)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	table, err := partition.Read(f, st.Size())
	if err != nil {
		return err
	}
	root, err := table.Root()
	if err != nil {
		return err
	}
	p.RootOffset = root.Offset
	p.BootModes = bootModes(f, table)
	fsys, err := rootfs.Open(raw)
	switch {
	case err == nil:
		defer fsys.Close()
		found, err := inspect(ctx, fsys)
		if err != nil {
			return err
		}
		p.Packages = found.packages
		if p.OSVersion == "" {
			p.OSVersion = found.osVersion
		}
		if p.Architecture == "" {
			p.Architecture = found.architecture
		}
	case !errors.Is(err, rootfs.ErrUnsupported):
		return err
	}
	if p.Architecture == "" && root.Type == partition.TypeRootX8664 {
		p.Architecture = "x86_64"
	}
	if p.OSVersion == "" || p.Architecture == "" {
		return fmt.Errorf("%w (root file system %s); say it with --os-version and --architecture", ErrUnknownSystem, root.Filesystem)
	}
	return nil
}

// bootModes tells which firmware finds something to start.
func bootModes(disk io.ReaderAt, t *partition.Table) []string {
	var modes []string
	first := make([]byte, 2)
	if _, err := disk.ReadAt(first, 0); err == nil && first[0] != 0 {
		modes = append(modes, "legacy-bios")
	}
	for _, p := range t.Partitions {
		if p.Type == partition.TypeESP || p.Type == "0xef" {
			return append(modes, "uefi")
		}
	}
	return modes
}

// fileDigest gives the SHA-256 of a regular file that is not too large.
func fileDigest(ctx context.Context, name string, most int64) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 || st.Size() > most {
		return "", fmt.Errorf("not a regular file of 1 to %d bytes (it has %d)", most, st.Size())
	}
	h := sha256.New()
	if _, err := io.Copy(h, reader{ctx, f}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// reader ends a copy when ctx ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// stalled is how long a server may send nothing.
const stalled = time.Minute

// download fetches a URL into the new file name. A server that stops sending,
// or sends more than most bytes, is given up.
func download(ctx context.Context, source, name string, most int64, stalled time.Duration) error {
	shown := withoutPassword(source)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stalled, func() { cancel(fmt.Errorf("the server sent nothing for %s", stalled)) })
	defer watchdog.Stop()
	err := get(ctx, source, name, most, func() { watchdog.Reset(stalled) })
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // without the URL, which may hold a password
		}
		return fmt.Errorf("downloading %s: %w", shown, err)
	}
	return nil
}

var downloader = &http.Client{Transport: &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
	TLSHandshakeTimeout:   30 * time.Second,
	ResponseHeaderTimeout: stalled,
}}

func get(ctx context.Context, source, name string, most int64, alive func()) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return err
	}
	answer, err := downloader.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answered %s", answer.Status)
	}
	tooLarge := fmt.Errorf("it is larger than the %d bytes allowed", most)
	if answer.ContentLength > most {
		return tooLarge
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(watched{answer.Body, alive}, most+1))
	if err == nil && n > most {
		err = tooLarge
	}
	if err == nil && answer.ContentLength >= 0 && n != answer.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, f.Close())
}

// watched tells of every arrival.
type watched struct {
	r     io.Reader
	alive func()
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.alive()
	}
	return n, err
}
