package encode

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// memory is a disk in memory.
type memory struct {
	content []byte
	blocks  []uint32
	fail    error // of ReadBlock
}

func (m *memory) Size() int64      { return int64(len(m.content)) }
func (m *memory) Blocks() []uint32 { return m.blocks }
func (m *memory) ID() [16]byte     { return [16]byte{1, 2, 3} }
func (m *memory) ReadBlock(_ context.Context, index uint32, buf []byte) error {
	if len(buf) != disk.BlockSize {
		return fmt.Errorf("a buffer of %d bytes", len(buf))
	}
	clear(buf[copy(buf, m.content[int64(index)*disk.BlockSize:]):])
	return m.fail
}

// sparse makes a disk of a size with data in the blocks of a list: text that
// compresses, noise that does not, and grains of zeros between.
func sparse(size int64, blocks ...uint32) *memory {
	m := &memory{content: make([]byte, size), blocks: blocks}
	noise := rand.NewChaCha8([32]byte{byte(size)})
	for _, b := range blocks {
		part := m.content[int64(b)*disk.BlockSize : min(size, int64(b+1)*disk.BlockSize)]
		noise.Read(part)
		for i := 0; i < len(part); i += 4 * grain {
			n := copy(part[i:min(i+grain, len(part))], bytes.Repeat([]byte(fmt.Sprintln("block", b)), grain))
			clear(part[i+n : min(i+2*grain, len(part))])
		}
	}
	return m
}

// disks are those that the formats have their edges at.
func disks() map[string]*memory {
	many := []uint32{0}
	for i := uint32(1); i < 130; i += 1 + i%5 {
		many = append(many, i)
	}
	return map[string]*memory{
		"empty":               sparse(8 << 20),
		"full":                sparse(4<<20, 0, 1, 2, 3, 4, 5, 6, 7),
		"many":                sparse(66<<20, many...),
		"ends in a block":     sparse(disk.BlockSize*5+grain*3+4096, 1, 5),
		"far apart":           sparse(600<<20, 3, 700, 1199),
		"not in whole grains": sparse(1<<20+512, 0, 2),
	}
}

func qemuImg(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("qemu-img is not installed (Debian package qemu-utils): nothing to compare with")
	}
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func save(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err == nil {
		err = errors.Join(write(f), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

var files = map[string]struct {
	driver string
	check  bool // qemu-img can
	make   func(Disk) (*File, error)
}{
	"raw":         {"raw", false, func(d Disk) (*File, error) { return Raw(d), nil }},
	"qcow2":       {"qcow2", true, QCOW2},
	"fixed VHD":   {"vpc", false, FixedVHD},
	"dynamic VHD": {"vpc", false, DynamicVHD},
}

// TestQEMUReadsTheSame compares every format of every disk with the disk, as
// QEMU reads them.
func TestQEMUReadsTheSame(t *testing.T) {
	t.Parallel()
	for name, d := range disks() {
		raw := save(t, func(w io.Writer) error { _, err := w.Write(d.content); return err })
		for format, f := range files {
			t.Run(name+"/"+format, func(t *testing.T) {
				file, err := f.make(d)
				if err != nil {
					t.Fatal(err)
				}
				out := save(t, func(w io.Writer) error { return file.Copy(t.Context(), w, 0, file.Size()) })
				if st, err := os.Stat(out); err != nil || st.Size() != file.Size() {
					t.Errorf("the file has %d bytes, Size says %d (%v)", st.Size(), file.Size(), err)
				}
				qemuImg(t, "compare", "-f", "raw", "-F", f.driver, raw, out)
				if f.check {
					if said := qemuImg(t, "check", "-f", f.driver, out); !strings.Contains(said, "No errors") || strings.Contains(said, "eak") {
						t.Errorf("qemu-img check: %s", said)
					}
				}
				if f.driver == "vpc" {
					info := qemuImg(t, "info", "--output=json", "-f", "vpc", out)
					if !strings.Contains(info, fmt.Sprintf(`"virtual-size": %d`, d.Size())) {
						t.Errorf("the disk has %d bytes; qemu-img info: %s", d.Size(), info)
					}
				}
			})
		}
		t.Run(name+"/VMDK", func(t *testing.T) {
			var length int64
			out := save(t, func(w io.Writer) (err error) { length, err = WriteVMDK(t.Context(), w, d); return err })
			if st, err := os.Stat(out); err != nil || st.Size() != length {
				t.Errorf("the file has %d bytes, WriteVMDK says %d (%v)", st.Size(), length, err)
			}
			if most := MaxVMDK(d); length > most {
				t.Errorf("the file has %d bytes, MaxVMDK says at most %d", length, most)
			}
			qemuImg(t, "compare", "-f", "raw", "-F", "vmdk", raw, out)
			if said := qemuImg(t, "check", "-f", "vmdk", out); !strings.Contains(said, "No errors") {
				t.Errorf("qemu-img check: %s", said)
			}
			if info := qemuImg(t, "info", "-f", "vmdk", out); !strings.Contains(info, "streamOptimized") {
				t.Errorf("qemu-img info: %s", info)
			}
		})
	}
}

// TestAnyRangeIsThatOfTheWhole reads ranges at the seams of every format.
func TestAnyRangeIsThatOfTheWhole(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, d := range disks() {
		if d.Size() > 200<<20 {
			continue
		}
		for format, f := range files {
			file, err := f.make(d)
			if err != nil {
				t.Fatal(err)
			}
			whole := make([]byte, file.Size())
			if n, err := file.ReadAt(t.Context(), whole, 0); err != nil || int64(n) != file.Size() {
				t.Fatalf("%s, %s: %d bytes, %v", name, format, n, err)
			}
			edges := []int64{0, file.Size()}
			for _, r := range file.regions {
				edges = append(edges, r.start, r.start+511)
			}
			for range 40 {
				off := edges[random.IntN(len(edges))] + random.Int64N(9) - 4
				if random.IntN(2) == 0 {
					off = random.Int64N(file.Size())
				}
				off = min(max(off, 0), file.Size())
				n := 1 + random.Int64N(3<<20)
				want := whole[off:min(off+n, file.Size())]
				got := make([]byte, n)
				read, err := file.ReadAt(t.Context(), got, off)
				if !bytes.Equal(got[:read], want) || (err == nil) != (int64(read) == n) || err != nil && !errors.Is(err, io.EOF) {
					t.Fatalf("%s, %s: ReadAt(%d, %d) gives %d other bytes, %v", name, format, off, n, read, err)
				}
				var copied bytes.Buffer
				if err := file.Copy(t.Context(), &copied, off, n); err != nil || !bytes.Equal(copied.Bytes(), want) {
					t.Fatalf("%s, %s: Copy(%d, %d) gives %d other bytes, %v", name, format, off, n, copied.Len(), err)
				}
			}
		}
	}
}

// TestAVMDKIsAlwaysTheSame: parts of one that was begun go with a later one.
func TestAVMDKIsAlwaysTheSame(t *testing.T) {
	t.Parallel()
	d := disks()["many"]
	var sums [][32]byte
	for range 3 {
		h := sha256.New()
		if _, err := WriteVMDK(t.Context(), h, d); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, [32]byte(h.Sum(nil)))
	}
	if sums[0] != sums[1] || sums[1] != sums[2] {
		t.Error("three files of the same disk differ")
	}
}

// huge is a disk that has only a size.
type huge struct {
	memory
	size int64
}

func (h *huge) Size() int64 { return h.size }

// TestDisksThatDoNotFit are refused before anything is written; the largest that
// fits is laid out without its size in memory.
func TestDisksThatDoNotFit(t *testing.T) {
	t.Parallel()
	last := func(size int64) *huge {
		return &huge{memory{blocks: []uint32{uint32((size - 1) / disk.BlockSize)}}, size}
	}
	if _, err := FixedVHD(last(2040<<30 + 512)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a VHD of more than 2040 GiB: %v", err)
	}
	if _, err := DynamicVHD(last(2040<<30 + 512)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a dynamic VHD of more than 2040 GiB: %v", err)
	}
	var none bytes.Buffer
	if _, err := WriteVMDK(t.Context(), &none, last(1<<40+1)); !errors.Is(err, ErrTooLarge) || none.Len() > 0 {
		t.Errorf("a VMDK of more than 1 TiB: %v", err)
	}
	q, err := QCOW2(last(disk.MaxVolumeSize))
	if err != nil {
		t.Fatalf("a qcow2 of 64 TiB: %v", err)
	}
	if _, err := q.ReadAt(t.Context(), make([]byte, cluster), 0); err != nil {
		t.Errorf("the header of a qcow2 of 64 TiB: %v", err)
	}
}

// TestFailuresOfTheDiskAndOfTheReader end the work, with their reason.
func TestFailuresOfTheDiskAndOfTheReader(t *testing.T) {
	t.Parallel()
	broken := disks()["many"]
	broken.fail = errors.New("block 7 is damaged")
	write := map[string]func(context.Context, io.Writer, Disk) error{
		"qcow2": func(ctx context.Context, w io.Writer, d Disk) error {
			f, err := QCOW2(d)
			if err == nil {
				err = f.Copy(ctx, w, 0, f.Size())
			}
			return err
		},
		"VMDK": func(ctx context.Context, w io.Writer, d Disk) error { _, err := WriteVMDK(ctx, w, d); return err },
	}
	for format, f := range write {
		if err := f(t.Context(), io.Discard, broken); !errors.Is(err, broken.fail) {
			t.Errorf("%s of a disk that cannot be read: %v", format, err)
		}
		full := &limited{left: 1 << 20}
		if err := f(t.Context(), full, disks()["many"]); !errors.Is(err, errFull) {
			t.Errorf("%s into a full device: %v", format, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f(ctx, io.Discard, disks()["many"]); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that has ended: %v", format, err)
		}
	}
}

var errFull = errors.New("no space left on device")

type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errFull
	}
	l.left -= len(p)
	return len(p), nil
}

// TestASnapshotsDisk reads a real snapshot, with and without its ready copy.
func TestASnapshotsDisk(t *testing.T) {
	t.Parallel()
	want := disks()["ends in a block"]
	store, dir := openStore(t)
	raw := filepath.Join(dir, "raw")
	if err := os.WriteFile(raw, want.content, 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := store.Snapshot(t.Context(), raw, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"from blocks", "from the ready copy"} {
		r, err := store.Open(t.Context(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		if r.Size() != want.Size() || !slices.Equal(r.Blocks(), want.blocks) {
			t.Errorf("%s: %d bytes in blocks %v", how, r.Size(), r.Blocks())
		}
		var got bytes.Buffer
		if err := Raw(r).Copy(t.Context(), &got, 0, r.Size()); err != nil || !bytes.Equal(got.Bytes(), want.content) {
			t.Errorf("%s: %d other bytes, %v", how, got.Len(), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		_, release, err := store.Disk(t.Context(), made.ID) // makes the ready copy
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
	if _, err := store.Open(t.Context(), "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("a snapshot that is not there: %v", err)
	}
}
