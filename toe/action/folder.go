package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// deleteFolder removes a folder; with force also one that is not empty, and
// whatever else has the name. A link is removed, never followed.
func deleteFolder(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	h.logf("DeleteFolder: %s", path)
	if path == filepath.Dir(path) {
		return nil, fmt.Errorf("%s is the root of the file system", path)
	}
	if e.Bool("force") {
		return nil, os.RemoveAll(path)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", path)
	}
	return nil, os.Remove(path)
}

// listFiles lists the files of a folder, not its folders, as full paths in
// lexical order.
func listFiles(ctx context.Context, h *Host, e Entry) (Output, error) {
	root := h.Path(e.String("path"))
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", root)
	}
	pattern := e.String("fileNamePattern")
	var files []string
	size := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist):
			return nil // it went away meanwhile
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && path != root && !e.Bool("recursive"):
			return filepath.SkipDir
		case d.IsDir() || pattern != "" && !matches(pattern, d.Name()):
			return nil
		}
		if size += len(path) + 1; size > MaxOutput {
			return fmt.Errorf("the list of files is longer than %d bytes, the most that a step's output can hold", MaxOutput)
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	h.logf("ListFiles: %d files in %s", len(files), root)
	return Output{"files": strings.Join(files, ",")}, nil
}

// createSymlink makes a link to something that exists. Only a link is ever
// replaced, and only with force.
func createSymlink(_ context.Context, h *Host, e Entry) (Output, error) {
	path, target := h.Path(e.String("path")), e.String("target")
	looked := target
	if !filepath.IsAbs(target) {
		looked = filepath.Join(filepath.Dir(path), target)
		if _, err := os.Stat(looked); err != nil { // relative to the working folder then
			looked, target = h.Path(target), h.Path(target)
		}
	}
	if _, err := os.Stat(looked); err != nil {
		return nil, fmt.Errorf("the target of the link: %w", err)
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSymlink == 0 {
			return nil, fmt.Errorf("%s exists and is not a link", path)
		}
		if !e.Bool("force") {
			return nil, fmt.Errorf("the link %s exists, and force is false", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	h.logf("CreateSymlink: %s to %s", path, target)
	return nil, os.Symlink(target, path)
}
