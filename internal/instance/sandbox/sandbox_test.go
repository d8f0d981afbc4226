package sandbox

import (
	"os"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

func TestMain(m *testing.M) {
	instancetest.Main(m, func() instance.Kind { return New(Options{}) })
}

func harness() instancetest.Harness {
	return instancetest.Harness{
		Kind: New(Options{}), Bulk: 64 << 20, Broken: breakRoot, Why: "mounting the volume's root partition",
	}
}

// breakRoot wipes the first group descriptors of the root file system and
// leaves its superblock, which is what makes it look like one.
func breakRoot(t *testing.T, volume string) {
	t.Helper()
	root, err := rootOf(volume)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(volume, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 64<<10), root.Offset+4096); err != nil {
		t.Fatal(err)
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	instancetest.Suite(t, harness())
}
