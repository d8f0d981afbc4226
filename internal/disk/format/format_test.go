package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func needQEMU(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("qemu-img is not installed (Debian package qemu-utils)")
	}
}

func img(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v\n%s", args, err, out)
	}
}

// rawDisk makes a disk of 8 MiB with some content.
func rawDisk(t *testing.T, dir string) string {
	t.Helper()
	data := make([]byte, 8<<20)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 1 << 20 {
		data[3<<20+i] = byte(rng.Uint32())
	}
	name := filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestConvertThereAndBack(t *testing.T) {
	t.Parallel()
	needQEMU(t)
	dir := t.TempDir()
	raw := rawDisk(t, dir)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Format{Raw, QCOW2, VMDK, VHD} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			there, back := filepath.Join(dir, "there."+string(f)), filepath.Join(dir, "back."+string(f))
			if err := (QEMU{}).Convert(t.Context(), raw, Raw, there, f); err != nil {
				t.Fatal(err)
			}
			if found, err := DetectFile(there); err != nil || found != f {
				t.Errorf("Detect = %s, %v", found, err)
			}
			if size, err := (QEMU{}).VirtualSize(t.Context(), there, f); err != nil || size != 8<<20 {
				t.Errorf("VirtualSize = %d, %v", size, err)
			}
			if err := (QEMU{}).Convert(t.Context(), there, f, back, Raw); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d other bytes came back, %v", len(got), err)
			}
		})
	}
}

func TestDynamicVHDAndSparseVMDK(t *testing.T) {
	t.Parallel()
	needQEMU(t)
	dir := t.TempDir()
	raw := rawDisk(t, dir)
	for name, args := range map[string][]string{
		"vhd":  {"-O", "vpc", "-o", "subformat=dynamic"},
		"vmdk": {"-O", "vmdk", "-o", "subformat=monolithicSparse"},
	} {
		file := filepath.Join(dir, name)
		img(t, append(append([]string{"convert", "-f", "raw"}, args...), raw, file)...)
		if found, err := DetectFile(file); err != nil || string(found) != name {
			t.Errorf("Detect(%s) = %s, %v", name, found, err)
		}
	}
}

// A file from a stranger must not pull files of the host into an image.
func TestFilesThatReferToOthersAreRefused(t *testing.T) {
	t.Parallel()
	needQEMU(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, bytes.Repeat([]byte("secret! "), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	img(t, "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", at("backing.qcow2"))
	img(t, "create", "-q", "-f", "qcow2", "-o", "compat=v2", "-b", secret, "-F", "raw", at("backing2.qcow2"))
	img(t, "create", "-q", "-f", "qcow2", "-o", "data_file="+at("data")+",data_file_raw=on", at("external.qcow2"), "1M")
	img(t, "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", at("flat.vmdk"), "1M")
	img(t, "create", "-q", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", at("split.vmdk"), "1M")
	img(t, "create", "-q", "-f", "vmdk", at("base.vmdk"), "1M")
	img(t, "create", "-q", "-f", "vmdk", "-b", at("base.vmdk"), "-F", "vmdk", at("child.vmdk"))
	embedded := fmt.Sprintf("# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\nRW 2048 FLAT \"%s\" 0\n", secret)
	// The header points to a harmless descriptor; QEMU would read the first.
	decoy := make([]byte, 64*512)
	copy(decoy, "KDMV")
	decoy[4], decoy[13], decoy[28], decoy[36] = 1, 8, 40, 1
	copy(decoy[512:], fmt.Sprintf("# Disk DescriptorFile\nCID=1\nparentCID=1\nparentFileNameHint=\"%s\"\n", secret))
	copy(decoy[40*512:], "# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\n")
	if err := os.WriteFile(at("decoy.vmdk"), decoy, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, capacity := range map[string]uint64{"embedded.vmdk": 2048, "onlydescriptor.vmdk": 0} {
		head := make([]byte, 4096)
		copy(head, "KDMV")
		binary.LittleEndian.PutUint32(head[4:], 1)
		binary.LittleEndian.PutUint64(head[12:], capacity)
		binary.LittleEndian.PutUint64(head[28:], 1)
		binary.LittleEndian.PutUint64(head[36:], 1)
		copy(head[512:], embedded)
		if err := os.WriteFile(at(name), head, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	differencing := make([]byte, 1536)
	copy(differencing, "conectix")
	binary.BigEndian.PutUint32(differencing[60:], 4)
	if err := os.WriteFile(at("child.vhd"), differencing, 0o600); err != nil {
		t.Fatal(err)
	}
	formats := map[string]Format{".qcow2": QCOW2, ".vmdk": VMDK, ".vhd": VHD}
	for _, name := range []string{"backing.qcow2", "backing2.qcow2", "external.qcow2", "flat.vmdk", "split.vmdk", "child.vmdk",
		"embedded.vmdk", "onlydescriptor.vmdk", "decoy.vmdk", "child.vhd"} {
		if f, err := DetectFile(at(name)); !errors.Is(err, ErrUnsafe) {
			t.Errorf("Detect(%s) = %s, %v; want ErrUnsafe", name, f, err)
		}
		out := at(name + ".out")
		if err := (QEMU{}).Convert(t.Context(), at(name), formats[filepath.Ext(name)], out, Raw); !errors.Is(err, ErrUnsafe) {
			t.Errorf("Convert(%s): %v; want ErrUnsafe", name, err)
		}
		if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Convert(%s) left its output", name)
		}
	}
}

func TestUnsupportedFiles(t *testing.T) {
	t.Parallel()
	v3 := func(change func([]byte)) []byte {
		head := make([]byte, 112)
		copy(head, "QFI\xfb")
		binary.BigEndian.PutUint32(head[4:], 3)
		change(head)
		return head
	}
	for name, head := range map[string][]byte{
		"encrypted qcow2": v3(func(b []byte) { b[35] = 2 }),
		"qcow version 9":  v3(func(b []byte) { b[7] = 9 }),
		"VHDX":            []byte("vhdxfile"),
		"odd VHD":         append([]byte("conectix"), make([]byte, 504)...),
	} {
		if f, err := Detect(bytes.NewReader(head), int64(len(head))); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %s, %v; want ErrUnsupported", name, f, err)
		}
	}
	for _, name := range []string{"/dev/zero", t.TempDir()} {
		if f, err := DetectFile(name); err == nil {
			t.Errorf("Detect(%s) = %s", name, f)
		}
	}
}

func TestConvertDoesNotTouchWhatIsThere(t *testing.T) {
	t.Parallel()
	needQEMU(t)
	dir := t.TempDir()
	raw := rawDisk(t, dir)
	victim, link := filepath.Join(dir, "victim"), filepath.Join(dir, "link")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, link); err != nil {
		t.Fatal(err)
	}
	for _, dst := range []string{victim, link} {
		if err := (QEMU{}).Convert(t.Context(), raw, Raw, dst, QCOW2); !errors.Is(err, os.ErrExist) {
			t.Errorf("Convert to %s: %v", filepath.Base(dst), err)
		}
	}
	if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" {
		t.Errorf("the file now holds %q, %v", data, err)
	}
}

// Names of files are names, whatever they look like to qemu-img.
func TestOddFileNames(t *testing.T) {
	t.Parallel()
	needQEMU(t)
	dir := t.TempDir()
	raw := rawDisk(t, dir)
	for i, odd := range []string{"json:{\"driver\":\"null-co\"}", "nbd:localhost:1", "a,b=c", "-f", "fat:x", "with space"} {
		out := filepath.Join(dir, odd)
		if err := (QEMU{}).Convert(t.Context(), raw, Raw, out, QCOW2); err != nil {
			t.Errorf("to %q: %v", odd, err)
			continue
		}
		if err := (QEMU{}).Convert(t.Context(), out, QCOW2, filepath.Join(dir, fmt.Sprint(i)), Raw); err != nil {
			t.Errorf("from %q: %v", odd, err)
		}
	}
}

func TestConvertOfAnotherFormatThanSaid(t *testing.T) {
	t.Parallel()
	needQEMU(t)
	dir := t.TempDir()
	raw := rawDisk(t, dir)
	out := filepath.Join(dir, "out")
	if err := (QEMU{}).Convert(t.Context(), raw, QCOW2, out, Raw); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "it is raw") {
		t.Errorf("error %v", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Format{"raw": Raw, "qcow2": QCOW2, "vmdk": VMDK, "vhd": VHD, "vpc": VHD} {
		if got, err := Parse(name); err != nil || got != want {
			t.Errorf("Parse(%s) = %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "RAW", "iso", "vhdx"} {
		if got, err := Parse(name); err == nil {
			t.Errorf("Parse(%s) = %s", name, got)
		}
	}
}

func FuzzDetect(f *testing.F) {
	head := make([]byte, 1024)
	for _, magic := range []string{"QFI\xfb", "KDMV", "conectix", "# Disk DescriptorFile", ""} {
		copy(head, magic)
		f.Add(bytes.Clone(head))
	}
	vmdk := make([]byte, 1536)
	copy(vmdk, "KDMV")
	vmdk[12], vmdk[28], vmdk[36] = 8, 1, 2
	copy(vmdk[512:], "parentCID=ffffffff\nRW 8 SPARSE \"x\"\n")
	f.Add(vmdk)
	f.Fuzz(func(t *testing.T, data []byte) {
		format, err := Detect(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		padded := append(bytes.Clone(data), make([]byte, 21*512)...)
		switch format {
		case QCOW2:
			if binary.BigEndian.Uint64(padded[8:]) != 0 {
				t.Error("a qcow2 with a backing file was accepted")
			}
		case VMDK:
			if binary.LittleEndian.Uint64(padded[12:]) == 0 || bytes.Contains(padded[512:21*512], []byte("parentFileNameHint")) {
				t.Error("a VMDK that refers to others was accepted")
			}
		}
	})
}
