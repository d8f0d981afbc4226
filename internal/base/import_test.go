package base

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/disk/format"
)

// smallDisk makes a raw disk with an MBR and an ext4 root that tells what it
// is; nothing on it could boot.
func smallDisk(t *testing.T, files map[string]string) string {
	t.Helper()
	for _, tool := range []string{"sfdisk", "mke2fs", "debugfs", "qemu-img"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	dir := t.TempDir()
	tree, name := filepath.Join(dir, "tree"), filepath.Join(dir, "disk.raw")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		file = filepath.Join(tree, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 32<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", name)
	cmd.Stdin = strings.NewReader("label: dos\nstart=2048,type=83\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	if out, err := exec.Command("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", "offset=1048576", "-d", tree, name, "7168").CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	return name
}

var debianTree = map[string]string{
	"usr/lib/os-release":      "ID=debian\nVERSION_ID=\"12\"\n",
	"usr/lib/systemd/systemd": "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00",
	"var/lib/dpkg/status":     "Package: hello\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.10\n",
	"boot/vmlinuz-6.1":        "the kernel",
	"boot/initrd.img-6.1":     "the initial RAM disk",
}

func TestImport(t *testing.T) {
	t.Parallel()
	raw := smallDisk(t, debianTree)
	for _, f := range []format.Format{format.Raw, format.QCOW2, format.VMDK, format.VHD} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			s := openStore(t)
			source := filepath.Join(t.TempDir(), "source")
			if err := (format.QEMU{}).Convert(t.Context(), raw, format.Raw, source, f); err != nil {
				t.Fatal(err)
			}
			p, err := s.Import(t.Context(), source, ImportOptions{Name: "my-debian"})
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256(data)
			want := Parent{
				Name: "my-debian", Version: dateVersion(p.Created), Build: 1, OSVersion: "Debian 12", Platform: "Linux", Architecture: "x86_64",
				Snapshot: p.Snapshot, Size: 1 << 30, RootDevice: "/dev/xvda", RootOffset: 1 << 20, Created: p.Created,
				Origin: "imported from source", Digest: "sha256:" + hex.EncodeToString(digest[:]), Packages: []Package{{"hello", "2.10", "amd64"}},
			}
			if diff := cmp.Diff(want, p); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			found, ok, err := s.Lookup("my-debian", "x.x.x")
			if diff := cmp.Diff(p, found); !ok || err != nil || diff != "" {
				t.Errorf("Lookup: %v, %v (-want +got):\n%s", ok, err, diff)
			}
			kernel, initrd, err := s.Kernel(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{kernel: "the kernel", initrd: "the initial RAM disk"} {
				if data, err := os.ReadFile(name); err != nil || string(data) != want {
					t.Errorf("%s holds %q, %v", filepath.Base(name), data, err)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(s.dir, ".work", "make-*")); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestImportOfUnknownSystem(t *testing.T) {
	t.Parallel()
	raw := smallDisk(t, map[string]string{"hello": "x"})
	s := openStore(t)
	if _, err := s.Import(t.Context(), raw, ImportOptions{Name: "mystery"}); !errors.Is(err, ErrUnknownSystem) {
		t.Errorf("error %v, want ErrUnknownSystem", err)
	}
	p, err := s.Import(t.Context(), raw, ImportOptions{Name: "mystery", OSVersion: "Plan 9", Architecture: "x86_64", Version: "1.2.3"})
	if err != nil || p.OSVersion != "Plan 9" || p.Version != "1.2.3" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, _, err := s.Kernel(t.Context(), p); err == nil {
		t.Error("a kernel was found on a disk that has none")
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	raw := smallDisk(t, debianTree)
	dir := t.TempDir()
	backed, blank := filepath.Join(dir, "backed.qcow2"), filepath.Join(dir, "blank")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", backed).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	huge := filepath.Join(dir, "huge.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", huge, "1T").CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	if err := os.WriteFile(blank, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		source string
		opts   ImportOptions
		want   string
	}{
		"backing file":  {backed, ImportOptions{Name: "a"}, format.ErrUnsafe.Error()},
		"blank disk":    {blank, ImportOptions{Name: "a"}, "no partition table"},
		"too large":     {raw, ImportOptions{Name: "a", MaxBytes: 1 << 20}, "1048576 bytes"},
		"too wide":      {huge, ImportOptions{Name: "a"}, "more than the"},
		"other digest":  {raw, ImportOptions{Name: "a", SHA256: strings.Repeat("0", 64)}, "SHA-256"},
		"bad name":      {raw, ImportOptions{Name: "../a"}, ErrBadName.Error()},
		"bad version":   {raw, ImportOptions{Name: "a", Version: "1.x.x"}, "bad version"},
		"missing":       {filepath.Join(dir, "missing"), ImportOptions{Name: "a"}, "no such file"},
		"a folder":      {dir, ImportOptions{Name: "a"}, "not a regular file"},
		"a device":      {"/dev/zero", ImportOptions{Name: "a"}, "not a regular file"},
		"wrong format":  {raw, ImportOptions{Name: "a", Format: format.QCOW2}, "said to be qcow2"},
		"another's URL": {"ftp://example/x", ImportOptions{Name: "a"}, "no such file"},
	}
	s := openStore(t)
	for name, test := range tests {
		if p, err := s.Import(t.Context(), test.source, test.opts); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v; want an error with %q", name, p, err, test.want)
		}
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("parents %v, %v", all, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".work", "make-*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestImportFromURL(t *testing.T) {
	t.Parallel()
	raw := smallDisk(t, debianTree)
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(raw))))
	defer server.Close()
	s := openStore(t)
	source := strings.Replace(server.URL, "http://", "http://user:secret@", 1) + "/disk.raw"
	var lines []string
	p, err := s.Import(t.Context(), source, ImportOptions{Name: "a", Progress: func(l string) { lines = append(lines, l) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := "imported from " + server.URL + "/disk.raw"; p.Origin != want {
		t.Errorf("origin %q, want %q", p.Origin, want)
	}
	if len(lines) < 3 || strings.Contains(strings.Join(lines, "\n"), "secret") {
		t.Errorf("progress %q", lines)
	}
}

func TestDownloadFailures(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, bytes.NewReader(make([]byte, 5000))) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write(make([]byte, 50))
	})
	mux.HandleFunc("/silent", func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 50))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	gone := httptest.NewServer(mux)
	gone.Close()
	base := strings.Replace(server.URL, "http://", "http://user:secret@", 1)
	for url, want := range map[string]string{
		base + "/large": "larger than", base + "/endless": "larger than", base + "/short": "unexpected EOF", base + "/silent": "sent nothing",
		base + "/missing": "404", strings.Replace(gone.URL, "http://", "http://user:secret@", 1): "refused", "http://user:secret@[bad/x": "",
	} {
		name := filepath.Join(t.TempDir(), "download")
		err := download(t.Context(), url, name, 4000, 200*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}

func TestLinkGrub(t *testing.T) {
	t.Parallel()
	boot, core := make([]byte, 512), make([]byte, 512*9+5)
	if err := linkGrub(boot, core, 2048, 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("% x | % x", boot[0x5c:0x68], core[0x1f4:0x200]); got != "00 08 00 00 00 00 00 00 00 00 90 90 | 01 08 00 00 00 00 00 00 09 00 20 08" {
		t.Errorf("written %s", got)
	}
	for _, sizes := range [][2]int{{512, 100}, {512, 2 << 20}, {446, 5000}} {
		if err := linkGrub(make([]byte, sizes[0]), make([]byte, sizes[1]), 2048, 1<<20); err == nil {
			t.Errorf("sizes %v were accepted", sizes)
		}
	}
}

func TestIdentifiersFollowTheContent(t *testing.T) {
	t.Parallel()
	a, b := deriveIdentifiers([]byte("a")), deriveIdentifiers([]byte("b"))
	if a != deriveIdentifiers([]byte("a")) {
		t.Error("the same content has other identifiers")
	}
	all := []string{a.disk.String(), a.bios.String(), a.esp.String(), a.root.String(), a.filesystem.String(), a.hashSeed.String(), b.disk.String(), b.filesystem.String()}
	slices.Sort(all)
	if len(slices.Compact(all)) != 8 || a.volume == b.volume {
		t.Errorf("identifiers are shared: %v", all)
	}
}

// A tree with links that lead out of it does not get the host changed.
func TestTreeFilesStayInTheTree(t *testing.T) {
	t.Parallel()
	tree, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"etc": outside, "hostname": victim} {
		if err := os.Symlink(target, filepath.Join(tree, link)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := writeTreeFile(root, treeFile{"etc/victim", 0o644, "x"}); err == nil {
		t.Error("a file was written through a link out of the tree")
	}
	if err := writeTreeFile(root, treeFile{"hostname", 0o644, "x"}); err != nil {
		t.Error(err)
	}
	if err := removeLeavings(root); err != nil {
		t.Logf("removing stopped at the link: %v", err)
	}
	if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" {
		t.Errorf("the host's file holds %q, %v", data, err)
	}
}
