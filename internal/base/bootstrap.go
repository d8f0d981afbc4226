package base

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// distribution is a parent that can be bootstrapped.
type distribution struct {
	name, release, osVersion string
	size                     int64 // bytes of the disk
	packages                 []string
}

// distributions are the parents that Build knows.
var distributions = []distribution{{
	name: "debian-12-x86", release: "bookworm", osVersion: "Debian 12", size: 2 << 30,
	packages: []string{"linux-image-cloud-amd64", "systemd-sysv", "udev", "dbus", "libpam-systemd", "initramfs-tools", "zstd",
		"e2fsprogs", "kmod", "systemd-resolved", "iproute2", "iputils-ping", "netbase", "openssh-server",
		"ca-certificates", "curl", "sudo", "procps"},
}}

// treeSpace is what a bootstrapped tree and its downloads take, in bytes.
const treeSpace = 2 << 30

// bootstrapTools maps each tool that bootstrapping needs to its package.
var bootstrapTools = map[string]string{
	"mmdebstrap": "mmdebstrap", "unshare": "util-linux", "chroot": "coreutils", "mke2fs": "e2fsprogs",
	"grub-mkimage": "grub-common", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "mmd": "mtools",
	grubRoot + "/i386-pc/boot.img":      "grub-pc-bin",
	grubRoot + "/x86_64-efi/normal.mod": "grub-efi-amd64-bin",
	debianKeyring:                       "debian-archive-keyring",
}

// MissingTools lists the Debian packages that this machine lacks for building
// a parent, sorted; none if it can.
func MissingTools() []string {
	var missing []string
	for tool, pkg := range bootstrapTools {
		var err error
		if filepath.IsAbs(tool) {
			_, err = os.Stat(tool)
		} else {
			_, err = exec.LookPath(tool)
		}
		if err != nil {
			missing = append(missing, pkg)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// bootstrap is one run that makes a disk of a distribution.
type bootstrap struct {
	distribution
	sources  []aptSource
	work     string // an empty folder of its own
	epoch    time.Time
	progress func(string)
}

// made is what a bootstrap made.
type made struct {
	disk     string // raw file in the work folder
	ids      identifiers
	packages []Package // sorted by name
}

// run bootstraps the tree and makes the disk of it.
func (b bootstrap) run(ctx context.Context) (made, error) {
	m := made{disk: filepath.Join(b.work, "disk.raw")}
	tree := filepath.Join(b.work, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return m, err
	}
	err := inPrivateMounts(func() error {
		if memoryFolder(tree, treeSpace) {
			b.progress("bootstrapping " + b.osVersion + " in memory")
		} else {
			b.progress("bootstrapping " + b.osVersion + " on disk")
		}
		if err := b.unpack(ctx, tree); err != nil {
			return err
		}
		var err error
		if m.packages, err = installedPackages(ctx, tree); err != nil {
			return err
		}
		b.progress(fmt.Sprintf("making the disk of %d packages", len(m.packages)))
		m.ids = deriveIdentifiers(b.content(m.packages))
		return b.assemble(ctx, tree, m)
	})
	return m, err
}

// unpack fills the tree with the packages. The tool runs in a process
// namespace of its own, so that nothing of it survives this process.
func (b bootstrap) unpack(ctx context.Context, tree string) error {
	args := []string{"--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap",
		"--mode=root", "--variant=minbase", "--format=directory", "--architectures=amd64",
		"--dpkgopt=force-unsafe-io", "--skip=cleanup/apt/lists,check/empty", "--include=" + strings.Join(b.packages, ",")}
	proxy, err := aptProxy(ctx)
	if err != nil {
		return err
	}
	if len(proxy) > 0 {
		conf := filepath.Join(b.work, "proxy.conf")
		if err := os.WriteFile(conf, proxy, 0o600); err != nil {
			return err
		}
		args = append(args, "--aptopt="+conf)
	}
	args = append(args, b.release, tree)
	for _, s := range b.sources {
		args = append(args, s.oneLine(debianKeyring))
	}
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = hostEnv([]string{"TMPDIR=" + b.work, "DEBIAN_FRONTEND=noninteractive", "SOURCE_DATE_EPOCH=" + strconv.FormatInt(b.epoch.Unix(), 10)})
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := &progressWriter{report: b.progress}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("mmdebstrap: %w: %s", err, tail(out.kept))
	}
	return nil
}

func (b bootstrap) assemble(ctx context.Context, tree string, m made) error {
	files := debianFiles(m.ids, b.sources)
	if err := customize(ctx, tree, files, debianUnits); err != nil {
		return fmt.Errorf("setting up the tree: %w", err)
	}
	if err := clampTimes(tree, b.epoch); err != nil {
		return fmt.Errorf("setting times of the tree: %w", err)
	}
	a := assembly{tree: tree, disk: m.disk, work: b.work, size: b.size, ids: m.ids, epoch: b.epoch}
	return a.run(ctx)
}

// content is what the disk's identifiers are derived from.
func (b bootstrap) content(packages []Package) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %d\n", b.name, b.release, b.size)
	for _, p := range packages {
		fmt.Fprintf(h, "%s %s %s\n", p.Name, p.Version, p.Architecture)
	}
	for _, f := range debianFiles(identifiers{}, b.sources) {
		fmt.Fprintf(h, "%s %o %d\n%s\n", f.name, f.mode, len(f.content), f.content)
	}
	return h.Sum(nil)
}

// installedPackages asks the tree's own package database.
func installedPackages(ctx context.Context, tree string) ([]Package, error) {
	out, err := output(ctx, nil, "chroot", tree, "dpkg-query", "-W", "-f", `${Package}\t${Version}\t${Architecture}\n`)
	if err != nil {
		return nil, fmt.Errorf("listing packages: %w", err)
	}
	var packages []Package
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) == 3 {
			packages = append(packages, Package{Name: f[0], Version: f[1], Architecture: f[2]})
		}
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return packages, nil
}

// aptProxy gives the machine's proxy settings for apt, as lines of apt.conf.
// They serve the bootstrap and do not get into the image.
func aptProxy(ctx context.Context) ([]byte, error) {
	if _, err := exec.LookPath("apt-config"); err != nil {
		return nil, nil
	}
	out, err := output(ctx, nil, "apt-config", "dump")
	if err != nil {
		return nil, fmt.Errorf("reading apt's proxy settings: %w", err)
	}
	var b bytes.Buffer
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Acquire::http::Proxy") || strings.HasPrefix(line, "Acquire::https::Proxy") {
			if !strings.HasSuffix(strings.TrimSpace(line), `"";`) {
				b.WriteString(line)
			}
		}
	}
	return b.Bytes(), nil
}

// mirrorSources are the sources of a release on a given mirror, for machines
// whose own settings name none. The security suite is expected beside it, as
// mirrors of Debian have it.
func mirrorSources(mirror, release string) ([]aptSource, error) {
	u, err := url.Parse(mirror)
	if err != nil || !slices.Contains([]string{"http", "https", "file"}, u.Scheme) {
		return nil, fmt.Errorf("the mirror %q is not a http, https or file URL", withoutPassword(mirror))
	}
	mirror = strings.TrimSuffix(mirror, "/")
	main := []string{"main"}
	return []aptSource{
		{URI: mirror, Suite: release, Components: main},
		{URI: mirror, Suite: release + "-updates", Components: main},
		{URI: mirror + "-security", Suite: release + "-security", Components: main},
	}, nil
}

// progressWriter reports the tool's own announcements and keeps the end of
// what it wrote for the error.
type progressWriter struct {
	report func(string)
	line   []byte
	kept   []byte
}

func (w *progressWriter) Write(p []byte) (int, error) {
	const most = 16 << 10
	w.kept = append(w.kept, p...)
	w.kept = w.kept[max(0, len(w.kept)-most):]
	w.line = append(w.line, p...)
	for {
		line, rest, ok := bytes.Cut(w.line, []byte("\n"))
		if !ok {
			w.line = w.line[max(0, len(w.line)-most):]
			return len(p), nil
		}
		if text, ok := bytes.CutPrefix(line, []byte("I: ")); ok {
			w.report(string(text))
		}
		w.line = rest
	}
}
