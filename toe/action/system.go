package action

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// systemProgram finds a program of Windows: in the system's own folder, where
// nobody but an administrator can put another one, else on PATH. parts is its
// path below System32.
func systemProgram(h *Host, parts ...string) (string, error) {
	name := parts[len(parts)-1]
	if root := variable(h.Env, "SystemRoot"); root != "" {
		path := filepath.Join(append([]string{root, "System32"}, parts...)...)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	if path := searchPath(h.Env, name); path != "" {
		return path, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s was found neither in the system's folder nor on PATH", name)
	}
	return path, nil
}

// variable gives the value of an environment variable, the last one given.
// Windows does not tell upper from lower case in their names.
func variable(env []string, name string) string {
	value := ""
	for _, v := range env {
		if key, rest, ok := strings.Cut(v, "="); ok && strings.EqualFold(key, name) {
			value = rest
		}
	}
	return value
}
