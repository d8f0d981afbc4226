package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/goldsmith-build/goldsmith/internal/instance/protocol"
)

// controlSocket is the socket in an instance's folder by which other programs
// of the host's root open shells in the guest.
const controlSocket = "control.sock"

// maxShells bounds the shells open at once in an instance, so that they leave
// the agent room for the build.
const maxShells = 8

// Control lets other programs on the host, such as "goldsmith shell", run
// programs with a terminal in the guest, through the channel that this process
// holds.
type Control struct {
	listener *net.UnixListener
	path     string
}

// ServeControl serves the control socket in dir until Close.
func ServeControl(c *Channel, dir string) (*Control, error) {
	path := filepath.Join(dir, controlSocket)
	l, err := Listen(path)
	if err != nil {
		return nil, err
	}
	go func() {
		slots := make(chan struct{}, maxShells)
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			select {
			case slots <- struct{}{}:
			default:
				conn.Close()
				continue
			}
			go func() {
				defer func() { <-slots }()
				defer conn.Close()
				if err := c.relay(conn); err != nil {
					c.log.Debug("shell ended", "error", err)
				}
			}()
		}
	}()
	return &Control{listener: l, path: path}, nil
}

// Close closes the socket and removes it.
func (c *Control) Close() {
	c.listener.Close()
	_ = os.Remove(c.path)
}

// relay serves one shell: the client's first frame is an Exec with a terminal,
// then bytes, sizes and credit flow until the program exits.
func (c *Channel) relay(conn net.Conn) error {
	in, out := protocol.NewReader(conn), protocol.NewWriter(&impatientWriter{conn})
	first, err := in.Read()
	if err != nil {
		return err
	}
	if first.Type != protocol.Exec || first.Terminal == nil {
		return fmt.Errorf("a shell begins with an exec frame that has a terminal, not with %q", first.Type)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	s, err := c.ready(ctx)
	if err != nil {
		return out.Write(protocol.Frame{Type: protocol.Error, Code: protocol.CodeFailed, Message: err.Error()})
	}
	op, err := s.open(first, []string{protocol.StreamStdout}, []string{protocol.StreamStdin})
	if err != nil {
		return c.openError(s, err)
	}
	defer s.forget(op)
	stdin, keys := io.Pipe()
	defer stdin.Close()
	go op.pump(ctx, cancel, protocol.StreamStdin, stdin)
	go func() { cancel(relayKeys(in, op, keys)) }()
	screen := &frameWriter{out: out}
	drained := op.drainAll(cancel, map[string]io.Writer{protocol.StreamStdout: screen})
	last, err := c.await(ctx, op, drained)
	if err != nil {
		return out.Write(protocol.Frame{Type: protocol.Error, Code: protocol.CodeFailed, Message: err.Error()})
	}
	return out.Write(last)
}

// relayKeys passes what the client sends to the operation until the client goes.
func relayKeys(in *protocol.Reader, op *operation, keys *io.PipeWriter) error {
	for {
		f, err := in.Read()
		if err != nil {
			return fmt.Errorf("the shell's client went away: %w", err)
		}
		switch f.Type {
		case protocol.Data:
			_, err = keys.Write(f.Data)
		case protocol.Resize, protocol.Signal:
			err = op.send(f)
		default:
			err = fmt.Errorf("a %q frame is not a shell client's to send", f.Type)
		}
		if err != nil {
			return err
		}
	}
}

// frameWriter writes what it gets as frames of standard output.
type frameWriter struct{ out *protocol.Writer }

func (w *frameWriter) Write(b []byte) (int, error) {
	return len(b), w.out.Write(protocol.Frame{Type: protocol.Data, Stream: protocol.StreamStdout, Data: b})
}

// Shell opens a shell in the running instance whose folder is dir, on the
// terminal that stdin and stdout are, and gives its exit status. argv is the
// program, nil for root's login shell. It works from any process that may
// connect to the instance's control socket, which is root's.
func Shell(ctx context.Context, dir string, argv []string, stdin, stdout *os.File) (int, error) {
	conn, err := Dial(ctx, filepath.Join(dir, controlSocket))
	if err != nil {
		return 0, fmt.Errorf("opening a shell: %w; is the instance still running?", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if len(argv) == 0 {
		argv = []string{"/bin/sh", "-c", "exec $(getent passwd root | cut -d: -f7 | grep . || echo /bin/sh) -l"}
	}
	if term.IsTerminal(int(stdin.Fd())) {
		state, err := term.MakeRaw(int(stdin.Fd()))
		if err != nil {
			return 0, fmt.Errorf("preparing the terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(stdin.Fd()), state) }()
	}
	out := protocol.NewWriter(conn)
	size := func() *protocol.Terminal {
		t := &protocol.Terminal{Name: os.Getenv("TERM"), Rows: 24, Columns: 80}
		if w, h, err := term.GetSize(int(stdout.Fd())); err == nil {
			t.Rows, t.Columns = uint16(h), uint16(w)
		}
		return t
	}
	if err := out.Write(protocol.Frame{Type: protocol.Exec, ID: 1, Argv: argv, Dir: "/root", Terminal: size()}); err != nil {
		return 0, fmt.Errorf("opening a shell: %w", err)
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	ended := make(chan struct{})
	var once sync.WaitGroup
	once.Go(func() {
		for {
			select {
			case <-resized:
				_ = out.Write(protocol.Frame{Type: protocol.Resize, Terminal: size()})
			case <-ended:
				return
			}
		}
	})
	defer once.Wait()
	defer close(ended)
	go sendKeys(stdin, out)
	return showScreen(ctx, conn, stdout)
}

// sendKeys sends what is typed until the shell ends. A Read of a terminal
// cannot be interrupted, so the last one is left to the end of the process.
func sendKeys(stdin io.Reader, out *protocol.Writer) {
	buf := make([]byte, 4<<10)
	for {
		n, err := stdin.Read(buf)
		if n > 0 && out.Write(protocol.Frame{Type: protocol.Data, Stream: protocol.StreamStdin, Data: buf[:n]}) != nil {
			return
		}
		if err != nil {
			// What a terminal sends for the end of input.
			_ = out.Write(protocol.Frame{Type: protocol.Data, Stream: protocol.StreamStdin, Data: []byte{4}})
			return
		}
	}
}

func showScreen(ctx context.Context, conn net.Conn, stdout io.Writer) (int, error) {
	in := protocol.NewReader(conn)
	for {
		f, err := in.Read()
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			} else if errors.Is(err, io.EOF) {
				err = errors.New("the instance went away, or too many shells are open in it")
			}
			return 0, err
		}
		switch f.Type {
		case protocol.Data:
			if _, err := stdout.Write(f.Data); err != nil {
				return 0, fmt.Errorf("writing to the terminal: %w", err)
			}
		case protocol.Exit:
			return f.Status, nil
		case protocol.Error:
			return 0, refused(f)
		}
	}
}
