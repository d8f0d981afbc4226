package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/goldsmith-build/goldsmith/internal/server"
)

// finding is one line of the doctor's report.
type finding struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	How    string `json:"how"`
	Remedy string `json:"remedy,omitempty"`
}

// programs are what building needs, by the Debian package that has them.
var programs = []struct{ name, pkg, why string }{
	{"mmdebstrap", "mmdebstrap", "bootstraps debian-12-x86"},
	{"sfdisk", "fdisk", "writes partition tables"},
	{"mke2fs", "e2fsprogs", "makes file systems"},
	{"resize2fs", "e2fsprogs", "enlarges file systems"},
	{"mcopy", "mtools", "fills the EFI partition"},
	{"qemu-img", "qemu-utils", "imports and exports disks"},
}

// doctorCommand is 'goldsmith doctor'.
func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine and each worker can do, and how to mend what they cannot",
		Long: "Say what this machine can do, and how to mend what it cannot; and, from the database of the data folder or of\n" +
			"--config, what each worker can do: since when it is there, when it was last heard of, how many images it works\n" +
			"on, its kinds of instances, and what memory and disk it has free.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, data, err := openData(cmd)
			if err != nil {
				return err
			}
			var all []finding
			for _, kind := range server.Kinds(cfg, data) {
				r := kind.Probe(cmd.Context())
				all = append(all, finding{kind.Name(), r.Usable, r.How, r.Remedy})
			}
			for _, p := range programs {
				all = append(all, lookFor(p.name, p.pkg, p.why))
			}
			all = append(all, space(string(data)))
			workers, err := findWorkers(cmd.Context(), cfg, data)
			if err != nil {
				all = append(all, finding{"database", false, err.Error(), "start it, or correct the configuration's member database"})
			}
			return report(cmd, all, workers)
		},
	}
}

// lookFor finds a program.
func lookFor(name, pkg, why string) finding {
	path, err := exec.LookPath(name)
	if err != nil { // root's programs are not on everybody's PATH
		for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
			if _, statErr := os.Stat(dir + name); statErr == nil {
				path, err = dir+name, nil
				break
			}
		}
	}
	if err != nil {
		return finding{name, false, "not found; it " + why, "install the package " + pkg}
	}
	return finding{What: name, OK: true, How: path}
}

// space says how much room the data folder has.
func space(dir string) finding {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return finding{"disk", false, err.Error(), ""}
	}
	free := float64(fs.Bavail) * float64(fs.Bsize) / (1 << 30)
	f := finding{What: "disk", OK: free >= 10, How: fmt.Sprintf("%.1f GiB free in %s", free, dir)}
	if !f.OK {
		f.Remedy = "a build needs room for its volume and its snapshot: have 10 GiB free, or choose another --data-dir"
	}
	return f
}

// report prints the findings; one that is not well makes the exit status 1. What
// workers lack does not: others may have it.
func report(cmd *cobra.Command, all []finding, workers []workerFinding) error {
	var text strings.Builder
	sick := 0
	for _, f := range all {
		mark := "ok"
		if !f.OK {
			mark, sick = "MISSING", sick+1
		}
		fmt.Fprintf(&text, "%-8s %-12s %s\n", mark, f.What, f.How)
		if f.Remedy != "" {
			fmt.Fprintf(&text, "%-8s %-12s → %s\n", "", "", f.Remedy)
		}
	}
	text.WriteString(describeWorkers(workers))
	result := map[string]any{"checks": all, "workers": workers}
	if err := printResult(cmd, result, strings.TrimRight(text.String(), "\n")); err != nil {
		return err
	}
	if sick > 0 {
		return fmt.Errorf("%d of %d checks need attention", sick, len(all))
	}
	return nil
}
