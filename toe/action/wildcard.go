package action

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// match lists what lies in the pattern's folder, matches its last element and
// is wanted, in lexical order. Only '*' is special.
func match(pattern string, wanted func(fs.DirEntry) bool) ([]string, error) {
	dir, last := filepath.Split(pattern)
	if err := checkWildcard(pattern); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if matches(last, e.Name()) && wanted(e) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found, nil
}

// matches says whether a name fits a pattern in which '*' stands for any
// number of characters.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}
