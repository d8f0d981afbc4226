package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// parentDisk gives the raw disk of the parent, building it where the cache has
// none.
func (b *bench) parentDisk() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "goldsmith-test")
	out, err := exec.Command(filepath.Join(b.bin, "goldsmith"), "base", "build", "debian-12-x86", "--data-dir", filepath.Join(b.tmp, "parent-data"), "--cache", cache).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the parent: %w: %s", err, out)
	}
	return filepath.Join(cache, "debian-12-x86.raw"), os.RemoveAll(filepath.Join(b.tmp, "parent-data"))
}

// usedBlocks gives the indexes of a disk's blocks that are not zero, and of
// those that are.
func usedBlocks(name string) (used, free []int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	buf, zero := make([]byte, disk.BlockSize), string(make([]byte, disk.BlockSize))
	for i := int64(0); ; i++ {
		n, err := io.ReadFull(f, buf)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return used, free, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if string(buf[:n]) == zero {
			free = append(free, i)
		} else {
			used = append(used, i)
		}
	}
}

// someBlock fills a block with bytes of which half the blocks compress to about
// a half, and half not at all.
func someBlock(rng *rand.Rand, buf []byte) {
	const words = "the quick brown fox jumps over a lazy dog 0123456789 "
	compressible := rng.IntN(2) == 0
	for i := range buf {
		if buf[i] = byte(rng.Uint32()); compressible {
			buf[i] = words[int(buf[i])%len(words)]
		}
	}
}

// rewrite puts new content into blocks of a disk file, and flushes it.
func rewrite(name string, indexes []int64, seed uint64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	rng, buf := rand.New(rand.NewPCG(seed, 6)), make([]byte, disk.BlockSize)
	for _, i := range indexes {
		someBlock(rng, buf)
		if _, err := f.WriteAt(buf, i*disk.BlockSize); err != nil {
			return err
		}
	}
	return f.Sync()
}

// evict flushes what lies in a file or folder, and takes it out of the page
// cache, so that the next reader asks the disk.
func evict(name string) error {
	return filepath.WalkDir(name, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
	})
}

// here times f, which runs in this process.
func (t *times) here(f func() error) error {
	start, before := time.Now(), processorTime(os.Getpid())
	err := f()
	t.clock = append(t.clock, time.Since(start).Seconds())
	t.processor = append(t.processor, processorTime(os.Getpid())-before)
	return err
}

// shell times a command line; $1, $2 … are args.
func (t *times) shell(line string, args ...string) error {
	return t.run("sh", append([]string{"-euc", line, "sh"}, args...)...)
}

// openDisks opens a store of disks in a folder, with objects in its folder
// "objects" unless others are given.
func openDisks(dir string, o objects.Store) (*disk.Store, error) {
	if o == nil {
		own, err := objects.OpenDir(filepath.Join(dir, "objects"))
		if err != nil {
			return nil, err
		}
		o = own
	}
	return disk.Open(o, filepath.Join(dir, "cache"), disk.Options{Keys: benchKeys{}})
}

// benchKeys wraps the one data key of a run; how long that takes is not what is
// measured.
type benchKeys struct{}

func (benchKeys) aead() cipher.AEAD {
	block, err := aes.NewCipher([]byte("a key of measurements, 32 bytes."))
	check(err)
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	check(err)
	return gcm
}

func (k benchKeys) Wrap(_ context.Context, key string, data []byte) ([]byte, error) {
	return k.aead().Seal(nil, nil, data, []byte(key)), nil
}

func (k benchKeys) Unwrap(_ context.Context, key string, wrapped []byte) ([]byte, error) {
	return k.aead().Open(nil, nil, wrapped, []byte(key))
}

// inTurn gives the sides of a round: forwards, and backwards every other time.
func inTurn[T any](round int, sides []T) []T {
	if round%2 == 0 {
		return sides
	}
	back := make([]T, len(sides))
	for i, s := range sides {
		back[len(sides)-1-i] = s
	}
	return back
}

// loadNow is the machine's load now, as text.
func loadNow() string {
	text, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(text))[:1], "")
}
