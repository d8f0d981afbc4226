package datadir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// Dir is a data folder. Its methods name what lies in it.
type Dir string

// Database is the SQLite file.
func (d Dir) Database() string { return d.in("goldsmith.db") }

// Objects holds blocks and manifests.
func (d Dir) Objects() string { return d.resolved("objects") }

// Cache holds whole disks of snapshots, ready to be cloned.
func (d Dir) Cache() string { return d.in("cache") }

// Parents holds the records of parent images.
func (d Dir) Parents() string { return d.resolved("parents") }

// Instances holds a folder for each running or kept instance.
func (d Dir) Instances() string { return d.in("instances") }

// Logs holds the logs of images.
func (d Dir) Logs() string { return d.resolved("logs") }

// Buckets holds the folders that stand for S3 buckets.
func (d Dir) Buckets() string { return d.resolved("s3") }

// Credentials is the AWS credentials file.
func (d Dir) Credentials() string { return d.in("credentials") }

// Config is the AWS config file.
func (d Dir) Config() string { return d.in("config") }

// Node gives the name of this data folder among those of other machines, which it
// gets when it is first asked for. The caller holds the folder's lock.
func (d Dir) Node() (string, error) {
	data, err := os.ReadFile(d.in("node"))
	if err == nil && len(bytes.TrimSpace(data)) > 0 {
		return string(bytes.TrimSpace(data)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("reading the data folder's name: %w", err)
	}
	name := uuid.NewString()
	if err := os.WriteFile(d.in("node.new"), []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("naming the data folder: %w", err)
	}
	if err := os.Rename(d.in("node.new"), d.in("node")); err != nil {
		return "", fmt.Errorf("naming the data folder: %w", err)
	}
	return name, nil
}

func (d Dir) in(name string) string { return filepath.Join(string(d), name) }

// Open makes the folder if need be and gives its absolute name.
func Open(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("the data folder %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return "", fmt.Errorf("making the data folder: %w", err)
	}
	return Dir(abs), nil
}

// ErrLocked says that another server has the data folder.
var ErrLocked = errors.New("another server is using this data folder")

// lockTries is how often Lock tries within a second's fraction: Locked of another
// process holds the lock for a moment.
const lockTries = 5

// Locked reports whether a server has the folder.
func (d Dir) Locked() bool {
	f, err := os.Open(d.in("lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// Lock takes the folder for this process. The lock goes with the process,
// however it ends; the function gives it back earlier.
func (d Dir) Lock() (unlock func(), err error) {
	f, err := os.OpenFile(d.in("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	for range lockTries {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		held := make([]byte, 20)
		n, _ := f.ReadAt(held, 0)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s (process %s)", ErrLocked, d, strings.TrimSpace(string(held[:n])))
		}
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	f.Truncate(0)
	f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return func() { f.Close() }, nil
}
