package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// exported is a format of disk files, on both sides.
type exported struct {
	name    string
	driver  string   // qemu-img's
	options []string // of qemu-img convert, for the same kind of file
	check   bool     // qemu-img can
}

var exports = []exported{
	{"raw", "raw", nil, false},
	{"qcow2", "qcow2", nil, true},
	{"vhd", "vpc", []string{"-o", "subformat=fixed,force_size=on"}, false},
	{"vmdk", "vmdk", []string{"-o", "subformat=streamOptimized"}, true},
}

// times are clock and processor seconds.
type times struct{ clock, processor []float64 }

// run times a program, with the programs that it starts.
func (t *times) run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, said.String())
	}
	t.clock = append(t.clock, time.Since(start).Seconds())
	t.processor = append(t.processor, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	return nil
}

// exports writes the parent's disk as files of each format: 'goldsmith image
// get', from the snapshot's blocks, beside 'qemu-img convert' of the raw disk.
// Every file of ours is compared with the raw disk, checked and booted.
func (b *bench) exports() error {
	dir, goldsmith := filepath.Join(b.tmp, "export-data"), filepath.Join(b.bin, "goldsmith")
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if out, err := exec.Command(goldsmith, "base", "build", "debian-12-x86", "--data-dir", dir, "--cache", filepath.Join(cache, "goldsmith-test")).CombinedOutput(); err != nil {
		return fmt.Errorf("the parent: %w: %s", err, out)
	}
	get := func(as, out string) []string {
		return []string{"image", "get", "debian-12-x86", "--format", as, "-o", out, "--data-dir", dir}
	}
	raw := filepath.Join(b.tmp, "export.raw")
	if err := new(times).run(goldsmith, get("raw", raw)...); err != nil {
		return err
	}
	fmt.Printf("\n## Exports\n\n| format | goldsmith: seconds | processor | MiB | qemu-img convert: seconds | processor | MiB | ratio of clocks | of processor times |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, x := range exports {
		line, err := b.export(x, raw, dir, func(out string) []string { return get(x.name, out) })
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		fmt.Println(line)
	}
	fmt.Printf("\nEach file of goldsmith holds what the raw disk holds (qemu-img compare, check).\n")
	for _, x := range exports {
		took, err := timed(func() error { return b.boot(b.mine(x), x.driver) })
		if err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		fmt.Printf("The %s boots to its login: %.0f s.\n", x.name, took)
	}
	return nil
}

// mine is goldsmith's file of a format; it stays for the boots.
func (b *bench) mine(x exported) string { return filepath.Join(b.tmp, "mine."+x.name) }

// export measures one format, and gives its line.
func (b *bench) export(x exported, raw, dir string, get func(out string) []string) (line string, err error) {
	var ours, theirs times
	mine, other := b.mine(x), filepath.Join(b.tmp, "other."+x.name)
	defer os.Remove(other)
	for range b.runs {
		// Without ready copies: the disk is put together from its blocks.
		for _, name := range []string{mine, other, filepath.Join(dir, "cache", "raw")} {
			if err := os.RemoveAll(name); err != nil {
				return "", err
			}
		}
		if err := ours.run(filepath.Join(b.bin, "goldsmith"), get(mine)...); err != nil {
			return "", err
		}
		convert := append(append([]string{"convert", "-f", "raw", "-O", x.driver}, x.options...), raw, other)
		if err := theirs.run("qemu-img", convert...); err != nil {
			return "", err
		}
	}
	if err := new(times).run("qemu-img", "compare", "-f", "raw", "-F", x.driver, raw, mine); err != nil {
		return "", err
	}
	if x.check {
		if err := new(times).run("qemu-img", "check", "-f", x.driver, mine); err != nil {
			return "", err
		}
	}
	clocks, processors := ratios(ours.clock, theirs.clock), ratios(ours.processor, theirs.processor)
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | **%s** | %s |", x.name, spread(ours.clock, "%.2f"), spread(ours.processor, "%.2f"), occupied(mine),
		spread(theirs.clock, "%.2f"), spread(theirs.processor, "%.2f"), occupied(other), spread(clocks, "%.2f"), spread(processors, "%.2f")), nil
}

// occupied is the space that a file takes, MiB.
func occupied(name string) string {
	out, err := exec.Command("du", "--block-size=1M", name).Output()
	if err != nil {
		return "?"
	}
	return strings.Fields(string(out))[0]
}

// boot starts a throw-away machine on a disk file until it asks for a login.
func (b *bench) boot(disk, driver string) error {
	console := filepath.Join(b.tmp, "console")
	defer os.Remove(console)
	cmd := exec.Command("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-smp", "2", "-m", "1024",
		"-snapshot", "-drive", "if=virtio,format="+driver+",file="+disk, "-serial", "file:"+console)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for range 4000 {
		if text, err := os.ReadFile(console); err == nil && bytes.Contains(text, []byte("login:")) {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(console)
	return fmt.Errorf("the disk does not boot to its login; the console ends with %q", text[max(0, len(text)-500):])
}
