package imagebuilder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
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
