package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/disk/encode"
	"github.com/goldsmith-build/goldsmith/internal/disk/format"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Path is where the disks are: Path AMI, with the format in the query's "format".
const Path = "/images/"

const (
	atOnce    = 32                // downloads
	stall     = time.Minute       // for a client to take some bytes
	layout    = "1"               // counts the changes to what encode makes
	keepBytes = int64(10) << 30   // of VMDKs, unless Config says otherwise
	action    = "ec2:ExportImage" // the permission that a download takes
)

// Config is what downloads are made of.
type Config struct {
	Store *store.Store
	World *cloud.World
	Disks interface {
		// Open opens a snapshot's disk; disk.ErrNotFound (wrapped) if there is none.
		Open(ctx context.Context, snapshot string) (*disk.Reader, error)
	}
	// Permit says whether the caller in the context has a permission for a
	// resource; the error says why not.
	Permit func(ctx context.Context, action, resource string) error

	Dir       string // for VMDKs that were made; it is the package's own
	KeepBytes int64  // how much of these is kept; 0: 10 GiB
}

// Downloads serves disks. It is safe for concurrent use.
type Downloads struct {
	Config
	slots  chan struct{}
	making chan struct{} // one VMDK at a time
}

// New returns Downloads. What an earlier process did not finish in Dir is
// removed.
func New(c Config) (*Downloads, error) {
	if c.KeepBytes == 0 {
		c.KeepBytes = keepBytes
	}
	d := &Downloads{Config: c, slots: make(chan struct{}, atOnce), making: make(chan struct{}, 1)}
	return d, d.sweep()
}

var amiID = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)

// Serve answers a GET or HEAD of a disk by the caller in the request's context
// (RFC 9110: ranges, If-Range, and the rest of conditional requests). Whoever may
// not launch an AMI is told what is told of one that is not there.
func (d *Downloads) Serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return fault.New("InvalidRequest", "The method %s is not allowed for a disk.", r.Method)
	}
	id := strings.TrimPrefix(r.URL.Path, Path)
	if !amiID.MatchString(id) {
		return fault.New("InvalidAMIID.Malformed", "Invalid id: \"%.100s\"", id)
	}
	as, err := format.Parse(r.URL.Query().Get("format"))
	if err != nil {
		return fault.New("InvalidParameterValue", "Value (%.100s) for parameter format is invalid. It must be raw, qcow2, vmdk or vhd.", r.URL.Query().Get("format"))
	}
	caller := identity.From(r.Context())
	resource := "arn:" + cloud.PartitionFor(caller.Region) + ":ec2:" + caller.Region + "::image/" + id
	if err := d.Permit(r.Context(), action, resource); err != nil {
		return err
	}
	snapshot, err := d.find(r.Context(), caller, id)
	if err != nil {
		return err
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		w.Header().Set("Retry-After", "10")
		return fault.New("Unavailable", "%d disks are being downloaded now. Try again later.", atOnce)
	}
	return d.send(w, r, id, snapshot, as)
}

// find gives the root snapshot of an AMI that the caller may launch.
func (d *Downloads) find(ctx context.Context, caller identity.Caller, id string) (snapshot string, err error) {
	err = d.Store.Read(ctx, func(tx *store.Tx) error {
		ami, ok, err := d.World.Visible(ctx, tx, caller.Account, caller.Region, id)
		if err != nil {
			return err
		}
		root, has := ami.Root()
		if !ok || !has || root.Manifest == "" {
			return fault.New("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
		snapshot = root.Manifest
		return nil
	})
	return snapshot, err
}

// send answers with a disk.
func (d *Downloads) send(w http.ResponseWriter, r *http.Request, id, snapshot string, as format.Format) (err error) {
	opened, err := d.Disks.Open(r.Context(), snapshot)
	if err != nil {
		return fmt.Errorf("opening the disk of %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	sum := sha256.Sum256([]byte(layout + " " + snapshot + " " + string(as)))
	tag := hex.EncodeToString(sum[:16])
	content, err := d.content(r.Context(), opened, snapshot, tag, as)
	if err != nil {
		return err
	}
	defer content.Close()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", id+"."+string(as)))
	header.Set("Etag", `"`+tag+`"`)
	watched := &watching{Reader: content, control: http.NewResponseController(w)}
	http.ServeContent(w, r, "", time.Time{}, watched)
	if watched.failed != nil && r.Context().Err() == nil {
		return watched.failed
	}
	return nil
}

// file is a disk in a format, to be read from any place.
type file interface {
	io.ReadSeeker
	io.Closer
}

func (d *Downloads) content(ctx context.Context, from *disk.Reader, snapshot, tag string, as format.Format) (file, error) {
	var f *encode.File
	var err error
	switch as {
	case format.QCOW2:
		f, err = encode.QCOW2(from)
	case format.VHD:
		f, err = encode.FixedVHD(from)
	case format.VMDK:
		return d.vmdk(ctx, from, snapshot, tag)
	default:
		f = encode.Raw(from)
	}
	if errors.Is(err, encode.ErrTooLarge) {
		return nil, fault.New("InvalidParameterValue", "The disk cannot be given as %s: %v.", as, err)
	}
	if err != nil {
		return nil, err
	}
	return &stream{ctx: ctx, file: f}, nil
}

// watching moves the connection's deadline with what the client takes, and keeps
// the error of a disk that cannot be read, which http.ServeContent does not tell.
type watching struct {
	Reader  file
	control *http.ResponseController
	failed  error
}

func (w *watching) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && err != io.EOF {
		w.failed = err
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(stall)) // a test's recorder has none
	return n, err
}

func (w *watching) Seek(offset int64, whence int) (int64, error) {
	return w.Reader.Seek(offset, whence)
}

// stream reads a file that is made as it is read, ahead of the reader.
type stream struct {
	ctx  context.Context
	file *encode.File
	at   int64
	pipe *io.PipeReader // nil: nothing is being read ahead
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if s.at >= s.file.Size() {
		return 0, io.EOF
	}
	if s.pipe == nil {
		reader, writer := io.Pipe()
		from := s.at
		go func() { writer.CloseWithError(s.file.Copy(s.ctx, writer, from, s.file.Size()-from)) }()
		s.pipe = reader
	}
	n, err := s.pipe.Read(p)
	s.at += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.file.Size()
	}
	if offset < 0 {
		return 0, errors.New("seeking in front of a disk")
	}
	if offset != s.at {
		s.Close()
		s.at = offset
	}
	return offset, nil
}

// Close ends what is read ahead.
func (s *stream) Close() error {
	if s.pipe == nil {
		return nil
	}
	err := s.pipe.Close()
	s.pipe = nil
	return err
}

var (
	_ file = (*stream)(nil)
	_ file = (*os.File)(nil)
)
