package instancetest

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk gives a raw Debian disk that must not be changed, or skips the test: it
// is debian-12-x86.raw in the folder GOLDSMITH_TEST_CACHE, by default
// goldsmith-test in the user's cache folder, where the tests of the parent
// images leave it.
func Disk(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("GOLDSMITH_TEST_CACHE")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("no folder for a test disk: %v", err)
		}
		dir = filepath.Join(cache, "goldsmith-test")
	}
	name := filepath.Join(dir, "debian-12-x86.raw")
	if _, err := os.Stat(name); err != nil {
		t.Skipf("no test disk, which the tests of internal/base make: %v", err)
	}
	return name
}

// Volume gives a fresh copy of Disk in a folder of the test.
func Volume(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "volume.raw")
	if err := copySparse(Disk(t), name); err != nil {
		t.Fatalf("copying the test disk: %v", err)
	}
	return name
}

func copySparse(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	size, err := src.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := dst.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); ; {
		start, err := src.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if at, err = src.Seek(start, unix.SEEK_HOLE); err != nil {
			return err
		}
		if _, err := io.Copy(io.NewOffsetWriter(dst, start), io.NewSectionReader(src, start, at-start)); err != nil {
			return err
		}
	}
}

var agent struct {
	once sync.Once
	path string
	err  error
}

// Toe gives a static binary with nothing in it but the guest agent. It is
// built once for a test binary.
func Toe(t testing.TB) string {
	t.Helper()
	agent.once.Do(func() {
		_, here, _, _ := runtime.Caller(0)
		dir, err := os.MkdirTemp("", "goldsmith-agent-")
		if err != nil {
			agent.err = err
			return
		}
		agent.path = filepath.Join(dir, "toe")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", agent.path, ".")
		cmd.Dir = filepath.Join(filepath.Dir(here), "testdata", "agent")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			agent.err = errors.New(err.Error() + ": " + string(out))
		}
	})
	if agent.err != nil {
		t.Fatalf("building the guest agent: %v", agent.err)
	}
	return agent.path
}

// RemoveToe removes what Toe built; a TestMain calls it last.
func RemoveToe() {
	if agent.path != "" {
		_ = os.RemoveAll(filepath.Dir(agent.path)) // a folder of temporary files
	}
}
