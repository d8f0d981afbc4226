package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// usedOfDisk is how much of the 2 GiB disk is not zero.
const usedOfDisk = 1536 << 20 // bytes

// storing is a way to keep a disk and to get it back.
type storing struct {
	name string
	into func(t *times, dir string) error      // dir is empty
	back func(t *times, dir, out string) error // out is not there yet
	did  struct{ into, back times }
	size []float64 // of dir, MiB
}

// snapshot keeps a 2 GiB disk as blocks and puts it together again, plain and
// sealed, beside a plain copy of its bytes, qemu-img and casync. All but casync
// end with everything flushed.
func (b *bench) snapshot() error {
	raw, err := b.fullDisk()
	if err != nil {
		return err
	}
	sides := []*storing{
		{name: "plain copy",
			into: func(t *times, dir string) error {
				return t.here(func() error { return plainCopy(raw, filepath.Join(dir, "disk")) })
			},
			back: func(t *times, dir, out string) error {
				return t.here(func() error { return plainCopy(filepath.Join(dir, "disk"), out) })
			}},
		blocksUnder("goldsmith", raw, ""),
		blocksUnder("goldsmith, encrypted", raw, "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"),
		{name: "`qemu-img convert -c`, qcow2",
			into: func(t *times, dir string) error {
				return t.shell(`qemu-img convert -c -f raw -O qcow2 "$1" "$2/disk"; sync "$2/disk"`, raw, dir)
			},
			back: func(t *times, dir, out string) error {
				return t.shell(`qemu-img convert -f qcow2 -O raw "$1/disk" "$2"; sync "$2"`, dir, out)
			}},
	}
	if _, err := exec.LookPath("casync"); err == nil {
		sides = append(sides, &storing{name: "casync",
			into: func(t *times, dir string) error {
				return t.shell(`casync --store="$2/store.castr" make "$2/disk.caibx" "$1" >/dev/null`, raw, dir)
			},
			back: func(t *times, dir, out string) error {
				return t.shell(`casync --store="$1/store.castr" extract "$1/disk.caibx" "$2"; sync "$2"`, dir, out)
			}})
	}
	before := loadNow()
	var reading times
	for round := range b.runs {
		if err := evict(raw); err != nil {
			return err
		}
		if err := reading.here(func() error { return plainCopy(raw, "") }); err != nil { // and it is in memory for all
			return err
		}
		for _, s := range inTurn(round, sides) {
			if err := s.once(b.tmp, raw); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	printSnapshots(sides, reading, before)
	return os.Remove(raw)
}

// once measures a side once, both ways, and checks what came back.
func (s *storing) once(tmp, raw string) error {
	dir, out := filepath.Join(tmp, "stored"), filepath.Join(tmp, "back.raw")
	defer os.RemoveAll(dir)
	defer os.Remove(out)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := s.into(&s.did.into, dir); err != nil {
		return err
	}
	if err := evict(dir); err != nil {
		return err
	}
	used, err := exec.Command("du", "--block-size=1M", "-s", dir).Output()
	if err != nil {
		return err
	}
	var mib float64
	if _, err := fmt.Sscan(string(used), &mib); err != nil {
		return err
	}
	s.size = append(s.size, mib)
	if err := s.back(&s.did.back, dir, out); err != nil {
		return err
	}
	if text, err := exec.Command("cmp", raw, out).CombinedOutput(); err != nil {
		return fmt.Errorf("what came back is not the disk: %w: %s", err, text)
	}
	return nil
}

// blocksUnder is Goldsmith's way, under a key or "".
func blocksUnder(name, raw, key string) *storing {
	id := ""
	return &storing{name: name,
		into: func(t *times, dir string) error {
			store, err := openDisks(dir, nil)
			if err != nil {
				return err
			}
			return t.here(func() error {
				made, err := store.SnapshotUnder(context.Background(), raw, "", key)
				id = made.ID
				return err
			})
		},
		back: func(t *times, dir, out string) error {
			store, err := openDisks(dir, nil)
			if err != nil {
				return err
			}
			// The file itself, from the blocks; then flushed, which it need not be.
			release := func() {}
			defer func() { release() }()
			return t.here(func() error {
				var name string
				if name, release, err = store.Disk(context.Background(), id); err != nil {
					return err
				}
				return errors.Join(flush(name), os.Link(name, out))
			})
		}}
}

func flush(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// fullDisk makes the disk: the parent's, with new blocks where it has none.
func (b *bench) fullDisk() (string, error) {
	parent, err := b.parentDisk()
	if err != nil {
		return "", err
	}
	raw := filepath.Join(b.tmp, "full.raw")
	if _, err := disk.CopyFile(context.Background(), parent, raw); err != nil {
		return "", err
	}
	used, free, err := usedBlocks(raw)
	if err != nil {
		return "", err
	}
	more := max(0, usedOfDisk/disk.BlockSize-len(used))
	return raw, rewrite(raw, free[:more], 1)
}

// plainCopy reads a disk's bytes and writes them into a new file, flushed, with
// its holes; to "" it only reads.
func plainCopy(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	var out *os.File
	if to != "" {
		if out, err = os.Create(to); err != nil {
			return err
		}
		defer out.Close()
	}
	zero, buf := make([]byte, disk.BlockSize), make([]byte, disk.BlockSize)
	for at := int64(0); ; at += disk.BlockSize {
		n, err := io.ReadFull(in, buf)
		if out != nil && n > 0 && !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			if out == nil {
				return nil
			}
			return errors.Join(out.Truncate(at+int64(n)), out.Sync())
		}
		if err != nil {
			return err
		}
	}
}

func printSnapshots(sides []*storing, reading times, before string) {
	plain := sides[0]
	fmt.Printf("\n## Snapshots: a 2 GiB disk, %d MiB of it used (%d runs each, in turn; load %s before, %s after)\n\n", usedOfDisk>>20, len(reading.clock), before, loadNow())
	fmt.Printf("Reading it sequentially, not cached: %s s.\n\n", spread(slices.Clone(reading.clock), "%.2f"))
	for _, way := range []string{"into", "back"} {
		fmt.Printf("| %s | seconds | processor | speed of the plain copy's | MiB |\n| --- | --- | --- | --- | --- |\n", way)
		for _, s := range sides {
			t, p := s.did.into, plain.did.into
			if way == "back" {
				t, p = s.did.back, plain.did.back
			}
			fmt.Printf("| %s | %s | %s | **%s** | %.0f |\n", s.name, spread(slices.Clone(t.clock), "%.2f"), spread(slices.Clone(t.processor), "%.2f"), spread(ratios(p.clock, t.clock), "%.2f"), median(slices.Clone(s.size)))
		}
		fmt.Println()
	}
}
