//go:build unix

package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// fakeCloud is S3 in memory.
type fakeCloud struct {
	Cloud
	objects map[string]string // by bucket/key
	owner   string
	fail    error
}

func (c *fakeCloud) check(owner string) error {
	if owner != "" && owner != c.owner {
		return errors.New("access denied")
	}
	return c.fail
}

func (c *fakeCloud) GetObject(_ context.Context, bucket, key, owner string, to io.Writer) error {
	content, ok := c.objects[bucket+"/"+key]
	if !ok {
		return errors.New("no such key")
	}
	if _, err := io.WriteString(to, content); err != nil {
		return err
	}
	return c.check(owner)
}

func (c *fakeCloud) ListObjects(_ context.Context, bucket, prefix, owner string, most int) ([]string, error) {
	var keys []string
	for name := range c.objects {
		if key, ok := strings.CutPrefix(name, bucket+"/"); ok && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(most, len(keys))], c.check(owner)
}

func (c *fakeCloud) PutObject(_ context.Context, bucket, key, owner string, from io.ReadSeeker) error {
	if err := c.check(owner); err != nil {
		return err
	}
	b, err := io.ReadAll(from)
	c.objects[bucket+"/"+key] = string(b)
	return err
}

func (c *fakeCloud) keys() string {
	var all []string
	for name, content := range c.objects {
		all = append(all, name+"="+content)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestS3Download(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		before     []string
		inputs     fields
		after, err string
	}{
		{"object", nil, fields{"source": "s3://b/dir/a", "destination": "x/y"}, "x/ x/y=A", ""},
		{"object into folder", nil, fields{"source": "s3://b/dir/a", "destination": "x/"}, "x/ x/a=A", ""},
		{"overwrite", []string{"x=old"}, fields{"source": "s3://b/dir/a", "destination": "x"}, "x=A", ""},
		{"keep", []string{"x=old"}, fields{"source": "s3://b/dir/a", "destination": "x", "overwrite": false}, "x=old", `S3Download: File already exists and "overwrite" property for "destination" file is set to false. Cannot download.`},
		{"prefix", nil, fields{"source": "s3://b/dir/*", "destination": "x"}, "x/ x/a=A x/sub/ x/sub/c=C", ""},
		{"partial name", nil, fields{"source": "s3://b/dir/s*", "destination": "x/"}, "x/ x/sub/ x/sub/c=C", ""},
		{"missing", nil, fields{"source": "s3://b/none", "destination": "x"}, "", "no such key"},
		{"missing prefix", nil, fields{"source": "s3://b/none/*", "destination": "x"}, "", "no object lies below s3://b/none/"},
		{"too many", nil, fields{"source": "s3://many/*", "destination": "x"}, "", "more than 1000 objects lie below s3://many/"},
		{"escape", nil, fields{"source": "s3://evil/*", "destination": "x"}, "", `the key "../../pwned" would leave the destination folder`},
		{"owner", nil, fields{"source": "s3://b/dir/a", "destination": "x", "expectedBucketOwner": "999999999999"}, "", "access denied"},
		{"onto a folder", []string{"x/"}, fields{"source": "s3://b/dir/a", "destination": "x"}, "x/", "is a folder"},
		{"not S3", nil, fields{"source": "http://b/a", "destination": "x"}, "", "source must be s3://bucket/key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			cloud := &fakeCloud{owner: "123456789012", objects: map[string]string{"b/dir/a": "A", "b/dir/sub/c": "C", "b/dir/empty/": "", "evil/../../pwned": "x"}}
			for i := range maxPrefixObjects + 1 {
				cloud.objects[fmt.Sprintf("many/%d", i)] = ""
			}
			h.Cloud = cloud
			tree(t, h.Dir, tc.before...)
			var told []Fetch
			h.Fetched = func(f Fetch) { told = append(told, f) }
			_, err := do(t, h, "S3Download", tc.inputs)
			for _, f := range told {
				if f.Source != tc.inputs["source"] || len(f.SHA256) != 64 || (f.Object != "") != strings.HasSuffix(f.Source, "*") {
					t.Errorf("told of %+v", f)
				}
			}
			if tc.err == "" && len(told) == 0 {
				t.Error("told of no file")
			}
			if got := errorText(err); tc.err == "" && got != "" || !strings.Contains(got, tc.err) {
				t.Errorf("error %q, want %q", got, tc.err)
			}
			if got := list(t, h.Dir); got != tc.after {
				t.Errorf("left %s, want %s", got, tc.after)
			}
		})
	}
}

func TestS3Upload(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		inputs     fields
		after, err string
	}{
		{"file", fields{"source": "f", "destination": "s3://b/k"}, "b/k=1", ""},
		{"file below", fields{"source": "f", "destination": "s3://b/k/"}, "b/k/f=1", ""},
		{"wildcard", fields{"source": "d/*", "destination": "s3://b/k/"}, "b/k/x=2", ""},
		{"wildcard with folders", fields{"source": "d/*", "destination": "s3://b/k", "recurse": true}, "b/k/sub/y=3 b/k/x=2", ""},
		{"folder", fields{"source": "d", "destination": "s3://b/k/*", "recurse": true}, "b/k/sub/y=3 b/k/x=2", ""},
		{"folder without recurse", fields{"source": "d", "destination": "s3://b/k"}, "", "recurse uploads folders"},
		{"missing", fields{"source": "none", "destination": "s3://b/k"}, "", "no such file"},
		{"no match", fields{"source": "*.none", "destination": "s3://b/k"}, "", "no file matches"},
		{"owner", fields{"source": "f", "destination": "s3://b/k", "expectedBucketOwner": "999999999999"}, "", "access denied"},
		{"device", fields{"source": "/dev/zero", "destination": "s3://b/k"}, "", "is not a regular file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			cloud := &fakeCloud{owner: "123456789012", objects: map[string]string{}}
			h.Cloud = cloud
			tree(t, h.Dir, "f=1", "d/x=2", "d/sub/y=3")
			_, err := do(t, h, "S3Upload", tc.inputs)
			if got := errorText(err); tc.err == "" && got != "" || !strings.Contains(got, tc.err) {
				t.Errorf("error %q, want %q", got, tc.err)
			}
			if got := cloud.keys(); got != tc.after {
				t.Errorf("uploaded %s, want %s", got, tc.after)
			}
		})
	}
}

// TestS3DownloadHalf: a download that breaks off leaves nothing behind, and an
// older file as it was.
func TestS3DownloadHalf(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Cloud = &fakeCloud{objects: map[string]string{"b/k": "half"}, fail: errors.New("connection reset")}
	write(t, h.Dir+"/x", "old", 0o600)
	_, err := do(t, h, "S3Download", fields{"source": "s3://b/k", "destination": "x"})
	wantError(t, err, "connection reset")
	if entries, err := os.ReadDir(h.Dir); err != nil || len(entries) != 1 || read(t, h.Dir, "x") != "old" {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestNoCloud(t *testing.T) {
	t.Parallel()
	_, err := do(t, newHost(t), "S3Download", fields{"source": "s3://b/k", "destination": "x"})
	wantError(t, err, "this run has no access to AWS")
	_, err = do(t, newHost(t), "S3Upload", fields{"source": "x", "destination": "s3://b/k"})
	wantError(t, err, "this run has no access to AWS")
}
