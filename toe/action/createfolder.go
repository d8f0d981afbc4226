package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// createFolder makes a folder and its parents. The content of a folder that
// exists is never touched, whatever overwrite says: only its owner and mode
// are set anew.
func createFolder(_ context.Context, h *Host, e Entry) (Output, error) {
	path := h.Path(e.String("path"))
	attrs, err := readAttributes(e)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return nil, fmt.Errorf("%s exists and is not a folder", path)
	case err == nil && !e.Bool("overwrite"):
		return nil, fmt.Errorf("the folder %s exists, and overwrite is false", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	h.logf("CreateFolder: %s", path)
	return nil, attrs.apply(path)
}
