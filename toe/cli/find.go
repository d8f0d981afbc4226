package cli

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// findDocuments puts the documents within them in place of folders. Files that
// are named are documents whatever they hold.
func findDocuments(locations []string) ([]string, error) {
	var all []string
	for _, location := range locations {
		info, err := os.Stat(location)
		if err != nil || !info.IsDir() {
			all = append(all, location) // what cannot be read is reported when it is
			continue
		}
		within, err := documentsIn(location)
		if err != nil {
			return nil, fmt.Errorf("looking for documents: %w", err)
		}
		if len(within) == 0 {
			return nil, fmt.Errorf("the folder %s has no documents", location)
		}
		all = append(all, within...)
	}
	return all, nil
}

// documentsIn lists the documents in a folder and those within it. Hidden
// folders and links are passed over.
func documentsIn(folder string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != folder && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.Type().IsRegular(), !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path))):
			return nil
		}
		is, err := looksLikeDocument(path)
		if is {
			found = append(found, path)
		}
		return err
	})
	return found, err
}

// topKey is a key that stands at the left edge of every component document,
// or of the JSON object that one is.
var topKey = regexp.MustCompile(`^\s{0,2}(?:schemaVersion|phases)\s*:|^\s*\{?\s*"(?:schemaVersion|phases)"\s*:`)

// looksLikeDocument tells component documents from the other files of a
// repository, such as templates of CloudFormation.
func looksLikeDocument(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	const enough = 256 << 10
	lines := bufio.NewScanner(io.LimitReader(f, enough))
	lines.Buffer(nil, enough)
	for lines.Scan() {
		if topKey.Match(lines.Bytes()) {
			return true, nil
		}
	}
	return false, nil // a line longer than enough is none of a document
}
