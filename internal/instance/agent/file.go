package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// upload is a file that the host writes. It appears under its name only once
// it is complete.
type upload struct {
	server *server
	id     uint64
	path   string
	mode   fs.FileMode
	temp   *os.File
	queue  *protocol.Queue
}

func (s *server) put(f protocol.Frame) (operation, error) {
	if !filepath.IsAbs(f.Path) {
		return nil, refusedError(fmt.Sprintf("%q is not an absolute path", f.Path))
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(f.Path), ".goldsmith-*")
	if err != nil {
		return nil, err
	}
	return &upload{
		server: s, id: f.ID, path: f.Path, temp: temp,
		mode: fs.FileMode(f.Mode) & fs.ModePerm, queue: protocol.NewQueue(),
	}, nil
}

func (u *upload) start() {
	go func() {
		if err := u.run(); err != nil {
			_ = os.Remove(u.temp.Name()) // the first error is the one to tell
			u.server.fail(u.id, "", fmt.Errorf("writing %s: %w", u.path, err))
			return
		}
		u.server.close(u.id, protocol.Frame{Type: protocol.Done})
	}()
}

func (u *upload) run() error {
	err := u.queue.Drain(u.temp, u.server.credit(u.id, protocol.StreamFile))
	if err == nil {
		err = u.temp.Chmod(u.mode)
	}
	if closeErr := u.temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(u.temp.Name(), u.path)
}

func (u *upload) frame(f protocol.Frame) error {
	switch {
	case f.Type == protocol.Cancel:
		u.abandon()
		return nil
	case f.Stream != protocol.StreamFile:
		return fmt.Errorf("an upload has no stream %q", f.Stream)
	case f.Type == protocol.Data:
		return u.queue.Add(f.Data)
	case f.Type == protocol.End:
		u.queue.End()
		return nil
	}
	return errors.New("not a frame for an upload")
}

func (u *upload) abandon() { u.queue.Break(context.Canceled) }

// download is a file that the host reads.
type download struct {
	server    *server
	id        uint64
	file      *os.File
	allowance *protocol.Allowance
	ctx       context.Context
	cancel    context.CancelFunc
}

func (s *server) get(f protocol.Frame) (operation, error) {
	if !filepath.IsAbs(f.Path) {
		return nil, refusedError(fmt.Sprintf("%q is not an absolute path", f.Path))
	}
	// Without O_NONBLOCK a pipe without a writer would stop the session.
	file, err := os.OpenFile(f.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = refusedError(fmt.Sprintf("%s is not a regular file", f.Path))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	d := &download{server: s, id: f.ID, file: file, allowance: protocol.NewAllowance()}
	d.ctx, d.cancel = context.WithCancel(s.ctx)
	return d, nil
}

func (d *download) start() {
	go func() {
		defer d.file.Close()
		defer d.cancel()
		err := d.allowance.Send(d.ctx, io.Reader(d.file), d.server.send(d.id, protocol.StreamFile))
		if err != nil {
			d.server.fail(d.id, "", fmt.Errorf("reading %s: %w", d.file.Name(), err))
			return
		}
		_ = d.server.out.Write(protocol.Frame{Type: protocol.End, ID: d.id, Stream: protocol.StreamFile})
		d.server.close(d.id, protocol.Frame{Type: protocol.Done})
	}()
}

func (d *download) frame(f protocol.Frame) error {
	switch {
	case f.Type == protocol.Cancel:
		d.abandon()
		return nil
	case f.Type == protocol.Credit && f.Stream == protocol.StreamFile:
		return d.allowance.Grant(f.Bytes)
	}
	return errors.New("not a frame for a download")
}

func (d *download) abandon() { d.cancel() }
