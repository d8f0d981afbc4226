//go:build linux

package action

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// These run the real package managers on roots of their own, with packages
// one, two and three of version 1 installed and version 2 in a repository of
// files.

var packageNames = []string{"one", "two", "three"}

// packageRoot is a root that a package manager works on.
type packageRoot struct {
	host     *Host
	versions func() map[string]string // of the packages that are installed
}

// tools gives the paths of programs, or skips the test.
func tools(t *testing.T, names ...string) map[string]string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, as UpdateOS does")
	}
	paths := map[string]string{}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("%s is not installed (script/setup test does it)", name)
		}
		paths[name] = path
	}
	return paths
}

func command(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// aptRoot is a dpkg database below a folder; APT_CONFIG points apt-get at it.
func aptRoot(t *testing.T) *packageRoot {
	tools(t, "apt-get", "dpkg", "dpkg-deb", "dpkg-query")
	dir := t.TempDir()
	root, repository := filepath.Join(dir, "root"), filepath.Join(dir, "repository")
	for _, d := range []string{
		"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d",
		"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt",
	} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "", 0o644)
	if err := os.MkdirAll(repository, 0o755); err != nil {
		t.Fatal(err)
	}
	var index strings.Builder
	for _, version := range []string{"1", "2"} {
		for _, name := range packageNames {
			control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.test>\nDescription: for a test\n", name, version)
			tree := filepath.Join(dir, "build", name+version)
			if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(tree, "DEBIAN/control"), control, 0o644)
			file := filepath.Join(repository, name+version+".deb")
			command(t, dir, "dpkg-deb", "--build", "--root-owner-group", tree, file)
			b := read(t, file)
			if version == "1" {
				command(t, dir, "dpkg", "--root="+root, "--install", file)
			} else {
				fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control, filepath.Base(file), len(b), sha256.Sum256([]byte(b)))
			}
		}
	}
	write(t, filepath.Join(repository, "Packages"), index.String(), 0o644)
	write(t, filepath.Join(root, "etc/apt/sources.list"), "deb [trusted=yes] file:"+repository+" ./\n", 0o644)
	config := filepath.Join(dir, "apt.conf")
	write(t, config, fmt.Sprintf("Dir %q;\nDir::State::status %q;\nDPkg::Options { %q; };\nAPT::Sandbox::User \"root\";\nAPT::Architecture \"amd64\";\n",
		root, filepath.Join(root, "var/lib/dpkg/status"), "--root="+root), 0o644)
	h := newHost(t)
	h.Env = append(h.Env, "APT_CONFIG="+config)
	return &packageRoot{h, func() map[string]string {
		return versionsIn(command(t, dir, "dpkg-query", "--admindir="+filepath.Join(root, "var/lib/dpkg"), "-W", "-f", "${Package} ${Version}\n"))
	}}
}

func versionsIn(list string) map[string]string {
	versions := map[string]string{}
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 2 {
			versions[f[0]] = f[1]
		}
	}
	return versions
}

// rpmRoot is an RPM database below a folder, and a repository of files. The
// program on PATH is the real one with the options that point it there.
func rpmRoot(t *testing.T, manager string, wrapper func(root, repository string) string, prepare func(root, repository string)) *packageRoot {
	t.Helper()
	dir := t.TempDir()
	root, repository, bin := filepath.Join(dir, "root"), filepath.Join(dir, "repository"), filepath.Join(dir, "bin")
	for _, d := range []string{root, repository, bin, filepath.Join(root, "log")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"1", "2"} {
		var spec strings.Builder
		fmt.Fprintf(&spec, "Name: all\nVersion: %s\nRelease: 1\nSummary: for a test\nLicense: Apache-2.0\nBuildArch: noarch\n%%description\n%%files\n", version)
		for _, name := range packageNames {
			fmt.Fprintf(&spec, "%%package -n %s\nSummary: for a test\n%%description -n %s\n%%files -n %s\n", name, name, name)
		}
		file := filepath.Join(dir, "all"+version+".spec")
		write(t, file, spec.String(), 0o644)
		command(t, dir, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+filepath.Join(dir, "build"), "--define", "_rpmdir "+repository, "--define", "_dbpath "+filepath.Join(dir, "db"), file)
	}
	packages := filepath.Join(repository, "noarch")
	install := []string{"--root", root, "--nodeps", "--install"}
	for _, name := range packageNames {
		install = append(install, filepath.Join(packages, name+"-1-1.noarch.rpm"))
	}
	command(t, dir, "rpm", append([]string{"--root", root, "--initdb"}, "--quiet")...)
	command(t, dir, "rpm", install...)
	command(t, dir, "createrepo_c", "--quiet", packages)
	write(t, filepath.Join(bin, manager), wrapper(root, packages), 0o755)
	prepare(root, packages)
	h := newHost(t)
	// Only what the wrapper needs: an apt-get would come first.
	h.Env = []string{"PATH=" + bin, "LC_ALL=C", "HOME=" + dir}
	return &packageRoot{h, func() map[string]string {
		return versionsIn(command(t, dir, "rpm", "--root", root, "-qa", "--qf", "%{NAME} %{VERSION}\n"))
	}}
}

func dnfRoot(t *testing.T, name string) *packageRoot {
	paths := tools(t, "dnf", "rpm", "rpmbuild", "createrepo_c")
	return rpmRoot(t, name, func(root, repository string) string {
		options := []string{
			"--installroot=" + root, "--releasever=1", "--setopt=reposdir=" + root + "/none", "--setopt=cachedir=" + root + "/cache", "--setopt=logdir=" + root + "/log",
			"--repofrompath=files,file://" + repository, "--nogpgcheck", "--noplugins", "--setopt=metadata_expire=0",
		}
		return "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\nexec " + paths["dnf"] + " " + strings.Join(options, " ") + " \"$@\"\n"
	}, func(string, string) {})
}

func zypperRoot(t *testing.T) *packageRoot {
	paths := tools(t, "zypper", "rpm", "rpmbuild", "createrepo_c")
	return rpmRoot(t, "zypper", func(root, _ string) string {
		return "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\nexec " + paths["zypper"] + " --root " + root + " --no-gpg-checks \"$@\"\n"
	}, func(root, repository string) {
		command(t, root, paths["zypper"], "--root", root, "--non-interactive", "addrepo", "--no-gpgcheck", "file://"+repository, "files")
	})
}

func TestUpdateOSReal(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) *packageRoot{
		"apt-get": aptRoot,
		"dnf":     func(t *testing.T) *packageRoot { return dnfRoot(t, "dnf") },
		"yum":     func(t *testing.T) *packageRoot { return dnfRoot(t, "yum") }, // where yum is another name of dnf
		"zypper":  zypperRoot,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := make(t)
			check := func(want ...string) {
				t.Helper()
				now := map[string]string{}
				for _, name := range packageNames {
					now[name] = map[bool]string{true: "2", false: "1"}[slices.Contains(want, name)]
				}
				if diff := cmp.Diff(now, r.versions()); diff != "" {
					t.Fatal(diff)
				}
			}
			check()
			var output strings.Builder
			r.host.Stdout, r.host.Stderr = &output, &output
			for _, step := range []struct {
				inputs fields
				want   []string
			}{
				{fields{"include": []string{"one", "two"}, "exclude": []string{"two"}}, []string{"one"}},
				{fields{"exclude": []string{"three", "one"}}, []string{"one", "two"}},
				{fields{"exclude": []string{"three"}}, []string{"one", "two"}}, // nothing is left
				{fields{}, packageNames},
				{fields{}, packageNames}, // again
			} {
				if _, err := do(t, r.host, "UpdateOS", step.inputs); err != nil {
					t.Fatalf("%v: %v\n%s", step.inputs, err, output.String())
				}
				check(step.want...)
			}
		})
	}
}
