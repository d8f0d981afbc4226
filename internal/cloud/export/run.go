package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/disk/encode"
)

// Disks opens the disks of snapshots.
type Disks interface {
	// Open opens a snapshot's disk for reading; disk.ErrNotFound (wrapped) if
	// there is none.
	Open(ctx context.Context, snapshot string) (*disk.Reader, error)
}

// Exporter writes disks into buckets. It is safe for concurrent use.
type Exporter struct {
	Disks   Disks
	Buckets bucket.Large
}

// Run writes the disk of a snapshot to where a task says, straight from its
// blocks, and tells note how far it has come, in percent. It may be run again at
// any time, but not twice at once; what was sent before is not sent again.
func (x *Exporter) Run(ctx context.Context, t Task, snapshot string, note func(percent int)) (_ bucket.Uploaded, err error) {
	r, err := x.Disks.Open(ctx, snapshot)
	if err != nil {
		return bucket.Uploaded{}, fmt.Errorf("exporting %s: %w", t.AMI, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	d := &watched{Disk: r, note: note, total: int64(len(r.Blocks()))}
	most, write, err := encoded(d, t.Format)
	if err != nil {
		return bucket.Uploaded{}, fmt.Errorf("exporting %s: %w", t.AMI, err)
	}
	return x.Buckets.Upload(ctx, t.Bucket, t.Key(), most, write)
}

// encoded gives a disk in a format of EC2.
func encoded(d encode.Disk, format string) (most int64, write func(context.Context, io.Writer) error, err error) {
	var f *encode.File
	switch format {
	case "RAW":
		f = encode.Raw(d)
	case "VHD":
		if f, err = encode.DynamicVHD(d); err != nil {
			return 0, nil, err
		}
	case "VMDK":
		return encode.MaxVMDK(d), func(ctx context.Context, w io.Writer) error {
			_, err := encode.WriteVMDK(ctx, w, d)
			return err
		}, nil
	default:
		return 0, nil, fmt.Errorf("there is no disk image format %q", format)
	}
	return f.Size(), func(ctx context.Context, w io.Writer) error { return f.Copy(ctx, w, 0, f.Size()) }, nil
}

// watched counts the blocks that were read.
type watched struct {
	encode.Disk
	note  func(percent int)
	total int64
	read  atomic.Int64
}

// ReadBlock is encode.Disk's.
func (w *watched) ReadBlock(ctx context.Context, index uint32, buf []byte) error {
	n := w.read.Add(1)
	if before, now := 100*(n-1)/max(w.total, 1), 100*n/max(w.total, 1); before != now && w.note != nil {
		w.note(int(min(now, 99)))
	}
	return w.Disk.ReadBlock(ctx, index, buf)
}
