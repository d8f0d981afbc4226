package encode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/goldsmith-build/goldsmith/internal/disk"
)

// Disk is a disk in blocks of disk.BlockSize bytes. Methods are safe for
// concurrent use.
type Disk interface {
	// Size is the disk's, in bytes.
	Size() int64

	// ID tells disks of different content apart; formats that give disks an
	// identifier take it.
	ID() [16]byte

	// Blocks gives the indexes of the blocks that are not all zero, rising.
	Blocks() []uint32

	// ReadBlock fills buf, of disk.BlockSize bytes, with a block. Behind the
	// disk's end it is zero.
	ReadBlock(ctx context.Context, index uint32, buf []byte) error
}

var _ Disk = (*disk.Reader)(nil)

// ErrTooLarge is returned (wrapped) for a disk that a format cannot hold.
var ErrTooLarge = errors.New("the format cannot hold a disk of this size")

// File is a disk file that is made as it is read. It is safe for concurrent use.
type File struct {
	disk    Disk
	regions []region // without gaps, by start
	size    int64
}

// region is a part of a File. fill gives its bytes from off on, a whole p of
// them; both lie in the region.
type region struct {
	start, length int64
	fill          func(ctx context.Context, p []byte, off int64) error
}

// add puts a region at the end of the file.
func (f *File) add(length int64, fill func(ctx context.Context, p []byte, off int64) error) {
	if length > 0 {
		f.regions = append(f.regions, region{f.size, length, fill})
		f.size += length
	}
}

// addBytes puts constant bytes at the end, filled up with zeros to a length.
func (f *File) addBytes(b []byte, length int64) {
	f.add(length, func(_ context.Context, p []byte, off int64) error {
		n := 0
		if off < int64(len(b)) {
			n = copy(p, b[off:])
		}
		clear(p[n:])
		return nil
	})
}

// Size is the file's, in bytes.
func (f *File) Size() int64 { return f.size }

// ReadAt is io.ReaderAt's, with a context.
func (f *File) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading a disk file: negative offset")
	}
	at, _ := slices.BinarySearchFunc(f.regions, off, func(r region, off int64) int {
		if r.start+r.length <= off {
			return -1
		}
		return 1
	})
	n := 0
	for ; n < len(p) && at < len(f.regions); at++ {
		r := f.regions[at]
		from := off + int64(n) - r.start
		part := p[n:min(int64(len(p)), int64(n)+r.length-from)]
		if err := r.fill(ctx, part, from); err != nil {
			return n, fmt.Errorf("reading a disk file at %d: %w", off+int64(n), err)
		}
		n += len(part)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// chunk is how much Copy reads at once, bytes.
const chunk = 1 << 20

// Copy writes n bytes from off on, reading ahead on several processors. Its
// memory does not grow with n.
func (f *File) Copy(ctx context.Context, w io.Writer, off, n int64) error {
	end := min(off+n, f.size)
	return ordered(ctx, runtime.GOMAXPROCS(0), func(yield func(func([]byte) ([]byte, error)) bool) {
		for off < end {
			from, to := off, min(end, (off/chunk+1)*chunk)
			job := func(buf []byte) ([]byte, error) {
				buf = slices.Grow(buf[:0], chunk)[:to-from]
				_, err := f.ReadAt(ctx, buf, from)
				return buf, err
			}
			if !yield(job) {
				return
			}
			off = to
		}
	}, func(out []byte) error {
		_, err := w.Write(out)
		return err
	})
}

// ordered runs jobs on several processors and gives their results to use in the
// order of the jobs. A job may use the memory that it is given. At most two
// results for each processor wait.
func ordered(ctx context.Context, workers int, jobs func(yield func(func([]byte) ([]byte, error)) bool), use func([]byte) error) error {
	type outcome struct {
		data []byte
		err  error
	}
	type task struct {
		do   func([]byte) ([]byte, error)
		done chan outcome
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo, inOrder := make(chan task), make(chan task, 2*workers)
	spare := make(chan []byte, 3*workers+1)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() {
		defer close(inOrder)
		defer close(todo)
		jobs(func(do func([]byte) ([]byte, error)) bool {
			t := task{do, make(chan outcome, 1)}
			for _, to := range []chan task{inOrder, todo} {
				select {
				case to <- t:
				case <-ctx.Done():
					return false
				}
			}
			return true
		})
	})
	for range workers {
		all.Go(func() {
			for t := range todo {
				var buf []byte
				select {
				case buf = <-spare:
				default:
				}
				data, err := t.do(buf)
				t.done <- outcome{data, err}
			}
		})
	}
	for t := range inOrder {
		var got outcome
		select {
		case got = <-t.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if got.err == nil {
			got.err = use(got.data)
		}
		if got.err != nil {
			return got.err
		}
		select {
		case spare <- got.data:
		default:
		}
	}
	return ctx.Err()
}

// readDisk fills p with the disk's bytes from off on; behind its end they are
// zero.
func readDisk(ctx context.Context, d Disk, p []byte, off int64) error {
	var block []byte
	for len(p) > 0 {
		index, in := uint32(off/disk.BlockSize), off%disk.BlockSize
		n := min(int64(len(p)), disk.BlockSize-in)
		switch {
		case !holds(d, index):
			clear(p[:n])
		case n == disk.BlockSize:
			if err := d.ReadBlock(ctx, index, p[:n:n]); err != nil {
				return err
			}
		default:
			if block == nil {
				block = make([]byte, disk.BlockSize)
			}
			if err := d.ReadBlock(ctx, index, block); err != nil {
				return err
			}
			copy(p[:n], block[in:])
		}
		p, off = p[n:], off+n
	}
	return ctx.Err()
}

// holds reports whether a block has data.
func holds(d Disk, index uint32) bool {
	_, ok := slices.BinarySearch(d.Blocks(), index)
	return ok
}

// Raw is the disk itself.
func Raw(d Disk) *File {
	f := &File{disk: d}
	f.add(d.Size(), func(ctx context.Context, p []byte, off int64) error { return readDisk(ctx, d, p, off) })
	return f
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
