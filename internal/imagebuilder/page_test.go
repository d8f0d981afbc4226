package imagebuilder_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func TestPages(t *testing.T) {
	t.Parallel()
	f := open(t)
	var want []string
	for i := range 57 {
		want = append(want, strings.TrimSuffix(f.component(fmt.Sprintf("c%02d", i/3), fmt.Sprintf("1.%d.0", i%3), document), "/1"))
	}
	for _, size := range []*int32{nil, p(int32(1)), p(int32(7)), p(int32(25))} {
		var got []string
		in := &api.ListComponentsInput{MaxResults: size}
		for {
			out := must(f.ListComponents(f.ctx, in))(t)
			for _, c := range out.ComponentVersionList {
				got = append(got, *c.Arn)
			}
			if n := len(out.ComponentVersionList); n > 25 || size != nil && n > int(*size) {
				t.Errorf("a page of %d", n)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		same(t, fmt.Sprintf("pages of %v", size), got, want)
	}
	for _, size := range []int32{0, -1, 26} {
		_, err := f.ListComponents(f.ctx, &api.ListComponentsInput{MaxResults: &size})
		wantFault(t, err, "InvalidParameterValueException", "maxResults")
	}
}

func TestPagesAreBoundToTheirQuery(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.component("a", "1.0.0", document)
	f.component("b", "1.0.0", document)
	first := must(f.ListComponents(f.ctx, &api.ListComponentsInput{MaxResults: p(int32(1))}))(t)
	if first.NextToken == nil {
		t.Fatal("the first page has no token")
	}
	filters := []api.Filter{{Name: p("name"), Values: []string{"b"}}}
	for name, call := range map[string]func() error{
		"filters": func() error {
			_, err := f.ListComponents(f.ctx, &api.ListComponentsInput{NextToken: first.NextToken, Filters: filters})
			return err
		},
		"owner": func() error {
			_, err := f.ListComponents(f.ctx, &api.ListComponentsInput{NextToken: first.NextToken, Owner: p(api.OwnershipAmazon)})
			return err
		},
		"byName": func() error {
			_, err := f.ListComponents(f.ctx, &api.ListComponentsInput{NextToken: first.NextToken, ByName: p(true)})
			return err
		},
		"operation": func() error {
			_, err := f.ListImages(f.ctx, &api.ListImagesInput{NextToken: first.NextToken})
			return err
		},
		"account": func() error {
			_, err := f.ListComponents(f.as(bob, home), &api.ListComponentsInput{NextToken: first.NextToken})
			return err
		},
		"region": func() error {
			_, err := f.ListComponents(f.as(alice, "eu-west-1"), &api.ListComponentsInput{NextToken: first.NextToken})
			return err
		},
		"garbage": func() error {
			_, err := f.ListComponents(f.ctx, &api.ListComponentsInput{NextToken: p("garbage")})
			return err
		},
		"no query": func() error {
			_, err := f.ListComponents(f.ctx, &api.ListComponentsInput{NextToken: p(base64.RawURLEncoding.EncodeToString([]byte(`{}`)))})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantFault(t, call(), "InvalidPaginationTokenException", "invalid pagination token")
		})
	}
	// The size of the page is not part of the query.
	second := must(f.ListComponents(f.ctx, &api.ListComponentsInput{NextToken: first.NextToken, MaxResults: p(int32(25))}))(t)
	if len(second.ComponentVersionList) != 1 || second.NextToken != nil {
		t.Errorf("second page: %+v", second)
	}
}

// A filter that leaves little of much gives short pages, each of bounded work,
// and in the end everything.
func TestSparseFilters(t *testing.T) {
	t.Parallel()
	f := open(t, func(c *imagebuilder.Config) { c.Quotas.Components = -1 })
	const rows = 2600
	f.write(func(tx *store.Tx) error {
		for i := range rows {
			platform := "Linux"
			if i == 7 || i == rows-1 {
				platform = "Windows"
			}
			name := fmt.Sprintf("n%05d", i)
			err := tx.Insert(store.Resource{
				Key: store.Key{Kind: "component", Account: alice, Region: home, Name: name}, Version: store.Version{Major: 1, Build: 1}, ARN: prefix + "component/" + name + "/1.0.0/1",
				Doc: []byte(fmt.Sprintf(`{"name":%q,"platform":%q}`, name, platform)),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	var got []string
	pages := 0
	in := &api.ListComponentsInput{Filters: []api.Filter{{Name: p("platform"), Values: []string{"Windows"}}}}
	for {
		out := must(f.ListComponents(f.ctx, in))(t)
		pages++
		for _, c := range out.ComponentVersionList {
			got = append(got, *c.Name)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	same(t, "found", got, []string{"n00007", fmt.Sprintf("n%05d", rows-1)})
	if pages < 2 || pages > 10 {
		t.Errorf("%d pages", pages)
	}
}

func TestTroubleOfTheStoreIsSaid(t *testing.T) {
	t.Parallel()
	f := open(t)
	if f.store.DB() == nil {
		t.Skip("the limit that stands for a full disk is SQLite's")
	}
	var pages int64
	if err := f.store.DB().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.DB().ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
	_, err := f.CreateComponent(f.ctx, f.componentInput("web", "1.0.0", document+"# "+strings.Repeat("x", 12_000)))
	wantFault(t, err, "ServiceUnavailableException", "no space left")
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = f.CreateComponent(f.ctx, f.componentInput("web", "1.0.0", document))
	wantFault(t, err, "ServiceUnavailableException", "stopping")
}
