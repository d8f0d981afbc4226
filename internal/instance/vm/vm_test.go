package vm

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
		Kind: New(Options{}), Bulk: 4 << 20, Slow: true, Broken: breakBootSector, Why: "its firmware found nothing to boot",
	}
}

// breakBootSector wipes the boot loader's first sector but for the table.
func breakBootSector(t *testing.T, volume string) {
	t.Helper()
	f, err := os.OpenFile(volume, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 440), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0, 0}, 510); err != nil {
		t.Fatal(err)
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	instancetest.Suite(t, harness())
}
