package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// parsePermissions reads an octal mode with the set-id and sticky bits where
// they are given.
func parsePermissions(s string) (fs.FileMode, error) {
	if err := checkPermissions(s); err != nil {
		return 0, fmt.Errorf("permissions %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || n > 0o7777 {
		return 0, fmt.Errorf("permissions must be at most 7777, not %q", s)
	}
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return mode, nil
}

// attributes are the owner, group and mode that a module's inputs ask for.
type attributes struct {
	owner ownership
	mode  *fs.FileMode
}

func readAttributes(e Entry) (attributes, error) {
	owner, err := lookupOwnership(e.String("owner"), e.String("group"))
	if err != nil {
		return attributes{}, err
	}
	a := attributes{owner: owner}
	if e.Has("permissions") {
		mode, err := parsePermissions(e.String("permissions"))
		if err != nil {
			return attributes{}, err
		}
		a.mode = &mode
	}
	return a, nil
}

// apply sets owner and mode, in this order since a change of owner clears the
// set-id bits. An explicit mode is set exactly; the umask has no say.
func (a attributes) apply(path string) error {
	if err := a.owner.apply(path); err != nil {
		return err
	}
	if a.mode != nil {
		return os.Chmod(path, *a.mode)
	}
	return nil
}

// createFile writes in place, as a shell's ">" does, so that an existing
// file's owner, mode and links stay.
func createFile(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	enc, err := encodingOf(e.String("encoding"))
	if err != nil {
		return nil, err
	}
	attrs, err := readAttributes(e)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !e.Bool("overwrite") {
		flags |= os.O_EXCL
	}
	initial := fs.FileMode(0o666)
	if attrs.mode != nil {
		initial = *attrs.mode & 0o700 // never wider than asked for, not even for a moment
	}
	f, err := createRegular(path, flags, initial)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("the file %s exists, and overwrite is false", path)
	}
	if err != nil {
		return nil, err
	}
	if err := writeAndClose(f, enc.encode(e.String("content"))); err != nil {
		return nil, err
	}
	h.logf("CreateFile: %s", path)
	return nil, attrs.apply(path)
}

func writeAndClose(f *os.File, b []byte) error {
	_, err := f.Write(b)
	return errors.Join(err, f.Close())
}

// appendFile adds the content exactly as given to a file that exists.
func appendFile(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	enc, err := encodingOf(e.String("encoding"))
	if err != nil {
		return nil, err
	}
	if err := requireFile(path); err != nil {
		return nil, err
	}
	f, err := createRegular(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	h.logf("AppendFile: %s", path)
	return nil, writeAndClose(f, enc.encode(e.String("content")))
}

// requireFile says what is wrong with a path that must be a regular file.
func requireFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder, not a file", path)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	return nil
}

// maxContent bounds what ReadFile takes: the content becomes an output.
const maxContent = MaxOutput

func readFile(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	enc, err := encodingOf(e.String("encoding"))
	if err != nil {
		return nil, err
	}
	f, _, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxContent+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxContent {
		return nil, fmt.Errorf("%s is larger than %d bytes, the most that a step's output can hold", path, maxContent)
	}
	text, err := enc.decode(b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	h.logf("ReadFile: %s", path)
	if e.Bool("printFileContent") {
		_, _ = io.WriteString(h.Stdout, text)
	}
	return Output{"content": text}, nil
}

// deleteFiles removes a file or link, or those that a wildcard matches. A
// wildcard without a match is no error; a named file that is missing is.
func deleteFiles(ctx context.Context, h *Host, e Entry) (Output, error) {
	pattern := h.Path(e.String("path"))
	if !strings.Contains(filepath.Base(pattern), "*") {
		return nil, deleteFile(h, pattern)
	}
	files, err := match(pattern, func(d fs.DirEntry) bool { return !d.IsDir() })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := deleteFile(h, f); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func deleteFile(h *Host, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder; DeleteFolder removes folders", path)
	}
	h.logf("DeleteFile: %s", path)
	return os.Remove(path)
}
