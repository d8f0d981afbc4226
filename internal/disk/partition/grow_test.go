package partition

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

func command(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// makeDisk makes a disk of 40 MiB whose root of 30 MiB holds the file /hello.
func makeDisk(t *testing.T, script string, offset int64) string {
	t.Helper()
	needTools(t, "sfdisk", "mke2fs", "e2fsck", "resize2fs", "debugfs")
	dir := t.TempDir()
	name := filepath.Join(dir, "disk? odd,name") // as hostile as a path may be
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 40*mib); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "hello"), []byte("hello, world\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if script != "" {
		command(t, script, "sfdisk", "-q", name)
	}
	// mke2fs itself would take the "?" for the start of options.
	plain := filepath.Join(dir, "plain")
	if err := os.Rename(name, plain); err != nil {
		t.Fatal(err)
	}
	command(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", fmt.Sprintf("offset=%d", offset), "-d", tree, plain, fmt.Sprint(30*mib/4096))
	if err := os.Rename(plain, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestGrow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		offset int64
		want   int64 // size of the root afterwards, of a disk of 200 MiB
	}{
		"gpt":                      {"label: gpt\nstart=2048,size=2048,type=21686148-6449-6E6F-744E-656564454649\nstart=4096,size=61440,type=L\n", 2 * mib, 197 * mib},
		"mbr":                      {"label: dos\nstart=2048,size=61440,type=83\n", mib, 199 * mib},
		"whole":                    {"", 0, 200 * mib},
		"a partition is behind it": {"label: gpt\nstart=2048,size=61440,type=L\nstart=63488,size=2048,type=U\n", mib, 30 * mib},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := makeDisk(t, test.script, test.offset)
			root, err := Grow(t.Context(), disk, 200*mib)
			if err != nil {
				t.Fatal(err)
			}
			if root.Offset != test.offset || root.Size != test.want {
				t.Errorf("root %d+%d, want %d+%d", root.Offset, root.Size, test.offset, test.want)
			}
			again, err := Grow(t.Context(), disk, 200*mib)
			if err != nil || again != root {
				t.Errorf("a second call changed it to %+v, %v", again, err)
			}
			f, err := os.Open(disk)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if st, err := f.Stat(); err != nil || st.Size() != 200*mib {
				t.Errorf("the disk has %d bytes, %v", st.Size(), err)
			}
			if out, err := runOn(t.Context(), f, "e2fsck", "-f", "-n", Inside(root.Offset)); err != nil {
				t.Errorf("the file system is damaged: %v\n%s", err, out)
			}
			if out, err := runOn(t.Context(), f, "debugfs", "-R", "cat /hello", Inside(root.Offset)); err != nil || !strings.Contains(out, "hello, world") {
				t.Errorf("the file is gone: %v\n%s", err, out)
			}
			count := make([]byte, 4) // s_blocks_count_lo of the superblock
			if _, err := f.ReadAt(count, root.Offset+1024+4); err != nil {
				t.Fatal(err)
			}
			if got := int64(binary.LittleEndian.Uint32(count)) * 4096; got != test.want {
				t.Errorf("the file system has %d bytes, want %d", got, test.want)
			}
			if test.script != "" {
				plain := filepath.Join(t.TempDir(), "plain")
				if err := os.Link(disk, plain); err != nil {
					t.Fatal(err)
				}
				if out := command(t, "", "sfdisk", "--verify", plain); !strings.Contains(out, "No errors detected") {
					t.Errorf("sfdisk --verify:\n%s", out)
				}
			}
		})
	}
}

func TestGrowRefuses(t *testing.T) {
	t.Parallel()
	disk := makeDisk(t, "label: dos\nstart=2048,size=61440,type=83\n", mib)
	if _, err := Grow(t.Context(), disk, 39*mib); err == nil {
		t.Error("a disk was made smaller")
	}
	if _, err := Grow(t.Context(), filepath.Join(t.TempDir(), "missing"), mib); err == nil {
		t.Error("a missing disk was grown")
	}
	if err := os.Truncate(disk, 40*mib); err != nil {
		t.Fatal(err)
	}
	blank := filepath.Join(t.TempDir(), "blank")
	if err := os.WriteFile(blank, make([]byte, mib), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Grow(t.Context(), blank, 2*mib); err == nil {
		t.Error("a blank disk was grown")
	}
	if st, err := os.Stat(blank); err != nil || st.Size() != mib {
		t.Errorf("the refused disk has %d bytes, %v", st.Size(), err)
	}
}

// TestGrowWithoutLoopDevices takes the slow way, which machines without loop
// devices take.
func TestGrowWithoutLoopDevices(t *testing.T) {
	t.Parallel()
	name := makeDisk(t, "label: gpt\nstart=2048,size=2048,type=21686148-6449-6E6F-744E-656564454649\nstart=4096,size=61440,type=L\n", 2*mib)
	disk, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	st, err := disk.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, err := Read(disk, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	root, err := table.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Truncate(200 * mib); err != nil {
		t.Fatal(err)
	}
	grown, err := table.growTable(disk, root, 200*mib)
	if err != nil {
		t.Fatal(err)
	}
	if err := growCopy(t.Context(), disk, grown); err != nil {
		t.Fatal(err)
	}
	if st, err = disk.Stat(); err != nil || st.Size() != 200*mib {
		t.Errorf("the disk has %d bytes, %v; want 200 MiB", st.Size(), err)
	}
	if out, err := runOn(t.Context(), disk, "e2fsck", "-f", "-n", Inside(grown.Offset)); err != nil {
		t.Errorf("the file system is not clean: %v %s", err, out)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(name), ".grow-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
