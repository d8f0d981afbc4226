package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// benchDisk makes a disk like a small parent image: 2 GiB with 450 MiB of
// half-compressible data in places.
func benchDisk(b *testing.B, dir string) string {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "bench.raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(2 << 30); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	chunk := make([]byte, 5<<20)
	for i := range 90 {
		for j := 0; j < len(chunk); j += 2 {
			chunk[j] = byte(rng.Uint32())
		}
		if _, err := f.WriteAt(chunk, int64(i)*22<<20); err != nil {
			b.Fatal(err)
		}
	}
	return f.Name()
}

// change writes 40 MiB as an installation of packages would, in files here and
// there.
func change(b *testing.B, name string, seed uint64) {
	b.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	rng := rand.New(rand.NewPCG(seed, 1))
	chunk := make([]byte, 1<<20)
	for range 40 {
		for j := range chunk {
			chunk[j] = byte(rng.Uint32())
		}
		if _, err := f.WriteAt(chunk, rng.Int64N(2000)<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	dir := b.TempDir()
	name := benchDisk(b, dir)
	b.Run("first", func(b *testing.B) {
		for i := range b.N {
			b.StopTimer()
			s := reopen(b, filepath.Join(dir, fmt.Sprint("first-", b.N, i)), disk.Options{})
			b.StartTimer()
			if _, err := s.Snapshot(context.Background(), name, ""); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			os.RemoveAll(s.dir)
			b.StartTimer()
		}
	})
	b.Run("child", func(b *testing.B) {
		s := reopen(b, filepath.Join(dir, fmt.Sprint("child-", b.N)), disk.Options{})
		parent, err := s.Snapshot(context.Background(), name, "")
		if err != nil {
			b.Fatal(err)
		}
		child := filepath.Join(s.dir, "volume")
		if _, err := s.Volume(context.Background(), parent.ID, child, 0); err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for i := range b.N {
			b.StopTimer()
			change(b, child, uint64(i)+uint64(b.N)<<32)
			b.StartTimer()
			if _, err := s.Snapshot(context.Background(), child, parent.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("zstd -1 -T2 to one file", func(b *testing.B) {
		for b.Loop() {
			if out, err := exec.Command("zstd", "-q", "-f", "-1", "-T2", name, "-o", filepath.Join(dir, "out.zst")).CombinedOutput(); err != nil {
				b.Skipf("zstd: %v\n%s", err, out)
			}
		}
	})
}

func BenchmarkVolume(b *testing.B) {
	dir := b.TempDir()
	s := reopen(b, dir, disk.Options{})
	name := benchDisk(b, dir)
	snap, err := s.Snapshot(context.Background(), name, "")
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Adopt(context.Background(), snap.ID, name); err != nil {
		b.Fatal(err)
	}
	raw, release, err := s.Disk(context.Background(), snap.ID)
	if err != nil {
		b.Fatal(err)
	}
	dest := filepath.Join(dir, "dest")
	b.Run("of a ready copy", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Volume(context.Background(), snap.ID, dest, 0); err != nil {
				b.Fatal(err)
			}
			os.Remove(dest)
		}
	})
	b.Run("cp --sparse=always", func(b *testing.B) {
		for b.Loop() {
			if out, err := exec.Command("cp", "--sparse=always", raw, dest).CombinedOutput(); err != nil {
				b.Fatalf("cp: %v\n%s", err, out)
			}
			os.Remove(dest)
		}
	})
	release()
	b.Run("of blocks", func(b *testing.B) {
		for i := range b.N {
			cold, err := disk.Open(s.objects, filepath.Join(dir, fmt.Sprint("cold-", b.N, i)), disk.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := cold.Volume(context.Background(), snap.ID, dest, 0); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			os.Remove(dest)
			os.RemoveAll(filepath.Join(dir, fmt.Sprint("cold-", b.N, i)))
			b.StartTimer()
		}
	})
}
