package imagebuilder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
)

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestComponentFromBucket(t *testing.T) {
	t.Parallel()
	f := open(t)
	long := document + "# " + strings.Repeat("x", 20_000) + "\n" // more than fits inline
	put(t, filepath.Join(f.dir, "s3/my-bucket/docs/web v1.yaml"), long)
	put(t, filepath.Join(f.dir, "s3/my-bucket/docs/huge.yaml"), document+"# "+strings.Repeat("x", 64<<10))
	create := func(uri string) (*api.CreateComponentOutput, error) {
		in := f.componentInput("web", "1.0.0", "")
		in.Data, in.Uri = nil, p(uri)
		return f.CreateComponent(f.ctx, in)
	}
	out := must(create("s3://my-bucket/docs/web v1.yaml"))(t)
	got := must(f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: out.ComponentBuildVersionArn}))(t)
	same(t, "data", *got.Component.Data, long)
	_, err := create("s3://my-bucket/docs/huge.yaml")
	wantFault(t, err, "InvalidParameterValueException", "'uri'", "65536 bytes")
}

func TestBucketStaysInItsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "secret"), "secret")
	put(t, filepath.Join(dir, "s3", "secret"), "secret")
	put(t, filepath.Join(dir, "s3/bucket/object"), "content")
	put(t, filepath.Join(dir, "s3/other/object"), "secret")
	for link, to := range map[string]string{"absolute": filepath.Join(dir, "secret"), "relative": "../../secret", "neighbour": "../other/object", "folder": "../..", "inside": "object"} {
		if err := os.Symlink(to, filepath.Join(dir, "s3/bucket", link)); err != nil {
			t.Fatal(err)
		}
	}
	folder := imagebuilder.Folder(filepath.Join(dir, "s3"))
	for _, object := range [][2]string{
		{"bucket", "../secret"}, {"bucket", "../../secret"}, {"bucket", "a/../../secret"}, {"bucket", "/etc/passwd"}, {"bucket", "absolute"}, {"bucket", "relative"}, {"bucket", "neighbour"},
		{"bucket", "folder/secret"}, {"bucket", "folder"}, {"bucket", "."}, {"bucket", ""}, {"bucket", "object\x00"}, {"bucket", "missing"}, {"bucket", "object/x"}, {"..", "secret"}, {".", "secret"},
		{"", "secret"}, {"bucket/../other", "object"}, {"a..b", "object"}, {"BUCKET", "object"}, {"missing", "object"},
	} {
		if data, err := folder.Read(t.Context(), object[0], object[1], 100); err == nil {
			t.Errorf("bucket %q, key %q: read %q", object[0], object[1], data)
		}
	}
	for _, key := range []string{"object", "inside"} {
		if data, err := folder.Read(t.Context(), "bucket", key, 7); err != nil || string(data) != "content" {
			t.Errorf("%s: %q, %v", key, data, err)
		}
	}
	if _, err := folder.Read(t.Context(), "bucket", "object", 6); err == nil {
		t.Error("an object over the limit was read")
	}
}
