package action

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Cloud is what documents may ask of AWS. Its methods are safe for use by one
// step at a time, and give errors that name what was asked for.
type Cloud interface {
	// GetObject writes an object to to. owner is the account that must own the
	// bucket, "" for any.
	GetObject(ctx context.Context, bucket, key, owner string, to io.Writer) error

	// ListObjects gives the keys below a prefix in lexical order, at most most
	// of them.
	ListObjects(ctx context.Context, bucket, prefix, owner string, most int) ([]string, error)

	// PutObject makes an object of what a file holds.
	PutObject(ctx context.Context, bucket, key, owner string, from io.ReadSeeker) error

	// Parameter gives a value of Parameter Store; a list is its elements joined
	// by commas. secret says that the value must not be shown.
	Parameter(ctx context.Context, name string) (value string, secret bool, err error)

	// Metadata gives a value of the instance metadata service.
	Metadata(ctx context.Context, path string) (string, error)

	// Component gives the document of an Image Builder component.
	Component(ctx context.Context, arn string) ([]byte, error)
}

// ErrNoCloud is what fails where there is no Cloud.
var ErrNoCloud = errors.New("this run has no access to AWS")

// maxPrefixObjects is how many objects one prefix download takes (user guide,
// S3Download).
const maxPrefixObjects = 1000

// SplitS3 takes an s3:// URL apart.
func SplitS3(location string) (bucket, key string, err error) {
	if err := checkS3(location); err != nil {
		return "", "", err
	}
	bucket, key, _ = strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	return bucket, key, nil
}

func s3Download(ctx context.Context, h *Host, e Entry) (Output, error) {
	if h.Cloud == nil {
		return nil, ErrNoCloud
	}
	bucket, key, err := SplitS3(e.String("source"))
	if err != nil {
		return nil, fmt.Errorf("source %w", err)
	}
	owner, written := e.String("expectedBucketOwner"), e.String("destination")
	fetch := Fetch{Action: "S3Download", Source: e.String("source"), Owner: owner}
	prefix, isPrefix := strings.CutSuffix(key, "*")
	if !isPrefix {
		target := h.Path(written)
		if strings.HasSuffix(written, "/") {
			target = filepath.Join(target, path.Base(key))
		}
		return nil, getObject(ctx, h, fetch, bucket, key, target, e.Bool("overwrite"))
	}
	keys, err := h.Cloud.ListObjects(ctx, bucket, prefix, owner, maxPrefixObjects+1)
	if err != nil {
		return nil, err
	}
	if len(keys) > maxPrefixObjects {
		return nil, fmt.Errorf("more than %d objects lie below s3://%s/%s", maxPrefixObjects, bucket, prefix)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no object lies below s3://%s/%s", bucket, prefix)
	}
	folder := prefix[:strings.LastIndex(prefix, "/")+1]
	for _, key := range keys {
		if strings.HasSuffix(key, "/") {
			continue // the marker of an empty folder
		}
		relative := filepath.FromSlash(strings.TrimPrefix(key, folder))
		if !filepath.IsLocal(relative) {
			return nil, fmt.Errorf("the key %q would leave the destination folder", key)
		}
		fetch.Object = key
		if err := getObject(ctx, h, fetch, bucket, key, filepath.Join(h.Path(written), relative), e.Bool("overwrite")); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// getObject writes beside the target and puts the file in place when it is
// complete; then it tells what it got.
func getObject(ctx context.Context, h *Host, fetch Fetch, bucket, key, target string, overwrite bool) error {
	if info, err := os.Stat(target); err == nil {
		if info.IsDir() {
			return fmt.Errorf("the destination %s is a folder; end it in a separator to download into it", target)
		}
		if !overwrite {
			//lint:ignore ST1005 these are the words that AWS prints
			return errors.New(`S3Download: File already exists and "overwrite" property for "destination" file is set to false. Cannot download.`)
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return err
	}
	h.logf("S3Download: s3://%s/%s to %s", bucket, key, target)
	part, err := os.CreateTemp(filepath.Dir(target), ".toe-download-*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	digest := sha256.New()
	err = h.Cloud.GetObject(ctx, bucket, key, fetch.Owner, io.MultiWriter(part, digest))
	if err := errors.Join(err, keepMode(part, target), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), target); err != nil {
		return err
	}
	fetch.SHA256 = hex.EncodeToString(digest.Sum(nil))
	h.fetched(fetch)
	return nil
}

func s3Upload(ctx context.Context, h *Host, e Entry) (Output, error) {
	if h.Cloud == nil {
		return nil, ErrNoCloud
	}
	bucket, key, err := SplitS3(e.String("destination"))
	if err != nil {
		return nil, fmt.Errorf("destination %w", err)
	}
	jobs, err := planUpload(h, e, strings.TrimSuffix(key, "*"))
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		h.logf("S3Upload: %s to s3://%s/%s", j.from, bucket, j.to)
		if err := putObject(ctx, h, bucket, j.to, e.String("expectedBucketOwner"), j.from); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func putObject(ctx context.Context, h *Host, bucket, key, owner, from string) error {
	if err := requireFile(from); err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return h.Cloud.PutObject(ctx, bucket, key, owner, f)
}

// planUpload says which file becomes which object: a file the object named, or
// one below it if it ends in "/"; what a wildcard matches, or a folder's
// content, objects below it.
func planUpload(h *Host, e Entry, key string) ([]transfer, error) {
	source := h.Path(e.String("source"))
	if strings.Contains(filepath.Base(source), "*") {
		return uploadMatches(source, key, e.Bool("recurse"))
	}
	info, err := os.Stat(source)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir() && !e.Bool("recurse"):
		return nil, fmt.Errorf("%s is a folder; recurse uploads folders", source)
	case info.IsDir():
		return uploadTree(source, key)
	case strings.HasSuffix(key, "/"):
		key += filepath.Base(source)
	}
	return []transfer{{from: source, to: key}}, nil
}

func uploadMatches(pattern, key string, recurse bool) ([]transfer, error) {
	found, err := match(pattern, func(d fs.DirEntry) bool { return recurse || !d.IsDir() })
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no file matches %s", pattern)
	}
	var jobs []transfer
	for _, name := range found {
		below := strings.TrimSuffix(key, "/") + "/" + filepath.Base(name)
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			more, err := uploadTree(name, below)
			if err != nil {
				return nil, err
			}
			jobs = append(jobs, more...)
			continue
		}
		jobs = append(jobs, transfer{from: name, to: below})
	}
	return jobs, nil
}

func uploadTree(root, key string) ([]transfer, error) {
	var jobs []transfer
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err == nil {
			jobs = append(jobs, transfer{from: name, to: strings.TrimSuffix(key, "/") + "/" + filepath.ToSlash(relative)})
		}
		return err
	})
	return jobs, err
}
