package parameter_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

const (
	alice = "111111111111"
	bob   = "222222222222"
	home  = "us-east-1"
)

var now = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func p[T any](v T) *T { return &v }

type fixture struct {
	*testing.T
	store *store.Store
	world *cloud.World
	ssm   ssm.Service
	all   *parameter.Store
}

func open(t *testing.T) fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	seal, err := parameter.NewSeal(bytes.Repeat([]byte{7}, parameter.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return now }
	world := cloud.New(s, clock)
	all := parameter.New(s, world, seal, clock)
	return fixture{t, s, world, all.SSM(), all}
}

func (f fixture) as(account string) context.Context {
	return identity.With(f.Context(), identity.Caller{Account: account, Region: home, ARN: "arn:aws:iam::" + account + ":user/admin"})
}

func (f fixture) put(name, value string, change ...func(*ssm.PutParameterInput)) error {
	in := &ssm.PutParameterInput{Name: &name, Value: &value, Type: p(ssm.ParameterType("String"))}
	for _, c := range change {
		c(in)
	}
	_, err := f.ssm.PutParameter(f.as(alice), in)
	return err
}

func (f fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func overwrite(in *ssm.PutParameterInput) { in.Overwrite = p(true) }
func secure(in *ssm.PutParameterInput)    { in.Type = p(ssm.ParameterType("SecureString")) }

func TestAVersionByEveryReference(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.must(f.put("/golden/base", "one", func(in *ssm.PutParameterInput) { in.Description = p("the base") }))
	f.must(f.put("/golden/base", "two", overwrite))
	const arn = "arn:aws:ssm:us-east-1:111111111111:parameter/golden/base"
	for reference, want := range map[string]ssm.Parameter{
		"/golden/base":   {Value: p("two"), Version: p(int64(2))},
		"/golden/base:1": {Value: p("one"), Version: p(int64(1)), Selector: p(":1")},
		arn:              {Value: p("two"), Version: p(int64(2))},
		arn + ":1":       {Value: p("one"), Version: p(int64(1)), Selector: p(":1")},
	} {
		out, err := f.ssm.GetParameter(f.as(alice), &ssm.GetParameterInput{Name: &reference})
		if err != nil {
			t.Errorf("%s: %v", reference, err)
			continue
		}
		want.Name, want.Type, want.ARN, want.DataType, want.LastModifiedDate = p("/golden/base"), p(ssm.ParameterType("String")), p(arn), p("text"), shape.At(now)
		if diff := cmp.Diff(&want, out.Parameter); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reference, diff)
		}
	}
	for reference, code := range map[string]string{
		"/golden/base:3": "ParameterVersionNotFound", "/golden/base:prod": "ParameterVersionNotFound", "/golden/none": "ParameterNotFound", "/golden/none:1": "ParameterNotFound",
		"arn:aws:ssm:us-east-1:222222222222:parameter/golden/base": "ParameterNotFound", "arn:aws:ssm:eu-west-1:111111111111:parameter/golden/base": "ParameterNotFound",
		"/GOLDEN/base": "ParameterNotFound", "/golden/bas%": "ParameterNotFound",
	} {
		if _, err := f.ssm.GetParameter(f.as(alice), &ssm.GetParameterInput{Name: &reference}); fault.Code(err) != code {
			t.Errorf("%s: %v, want %s", reference, err, code)
		}
	}
	if _, err := f.ssm.GetParameter(f.as(bob), &ssm.GetParameterInput{Name: p("/golden/base")}); fault.Code(err) != "ParameterNotFound" {
		t.Errorf("another account: %v", err)
	}
}

func TestWhatMayBePut(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.must(f.put("/taken", "v"))
	f.must(f.put("/big", strings.Repeat("x", 5000), func(in *ssm.PutParameterInput) { in.Tier = p(ssm.ParameterTier("Intelligent-Tiering")) }))
	deep := strings.Repeat("/x", 15)
	f.must(f.put(deep, "v"))
	for name, test := range map[string]struct {
		name, value string
		change      func(*ssm.PutParameterInput)
		code, says  string
	}{
		"taken":         {"/taken", "w", nil, "ParameterAlreadyExists", "overwrite"},
		"same arn":      {"taken", "w", nil, "ParameterAlreadyExists", "overwrite"},
		"empty":         {"/a", "", nil, "ValidationException", "'value'"},
		"no type":       {"/a", "v", func(in *ssm.PutParameterInput) { in.Type = nil }, "ValidationException", "type is required"},
		"relative path": {"a/b", "v", nil, "ValidationException", "fully qualified"},
		"space":         {"/a b", "v", nil, "ValidationException", "letters"},
		"empty level":   {"/a//b", "v", nil, "ValidationException", "empty level"},
		"ends in slash": {"/a/", "v", nil, "ValidationException", "empty level"},
		"aws":           {"AwsThing", "v", nil, "ValidationException", "prefixed"},
		"ssm":           {"/ssm/thing", "v", nil, "ValidationException", "prefixed"},
		"aws path":      {"/aws/service/x", "v", nil, "AccessDeniedException", "reserved"},
		"too deep":      {deep + "/x", "v", nil, "HierarchyLevelLimitExceededException", "15 levels"},
		"too long":      {"/" + strings.Repeat("x", 1011), "v", nil, "ValidationException", "1011"},
		"large":         {"/a", strings.Repeat("x", 4097), nil, "ValidationException", "4096"},
		"huge":          {"/a", strings.Repeat("x", 8193), func(in *ssm.PutParameterInput) { in.Tier = p(ssm.ParameterTier("Advanced")) }, "ValidationException", "8192"},
		"key":           {"/a", "v", func(in *ssm.PutParameterInput) { in.KeyId = p("alias/x") }, "ValidationException", "KeyId"},
		"data type":     {"/a", "v", func(in *ssm.PutParameterInput) { in.DataType = p("aws:ec2:snapshot") }, "ValidationException", "data type"},
		"no ami":        {"/a", "ami-1", func(in *ssm.PutParameterInput) { in.DataType = p("aws:ec2:image") }, "ValidationException", "not an AMI ID"},
		"absent ami":    {"/a", "ami-0123456789abcdef0", func(in *ssm.PutParameterInput) { in.DataType = p("aws:ec2:image") }, "ValidationException", "not available"},
		"secret ami":    {"/a", "ami-0123456789abcdef0", func(in *ssm.PutParameterInput) { secure(in); in.DataType = p("aws:ec2:image") }, "ValidationException", "type String"},
		"pattern":       {"/a", "v", func(in *ssm.PutParameterInput) { in.AllowedPattern = p(`\d+`) }, "ParameterPatternMismatchException", `\d+`},
		"bad pattern":   {"/a", "v", func(in *ssm.PutParameterInput) { in.AllowedPattern = p(`(`) }, "InvalidAllowedPatternException", "cannot be used"},
		"policies":      {"/a", "v", func(in *ssm.PutParameterInput) { in.Policies = p(`[{"Type":"Expiration"}]`) }, "InvalidPolicyTypeException", "policies"},
		"other type":    {"/taken", "v", func(in *ssm.PutParameterInput) { overwrite(in); secure(in) }, "HierarchyTypeMismatchException", "String"},
		"lower tier":    {"/big", "v", func(in *ssm.PutParameterInput) { overwrite(in); in.Tier = p(ssm.ParameterTier("Standard")) }, "ValidationException", "downgrade"},
		"tags over":     {"/taken", "v", func(in *ssm.PutParameterInput) { overwrite(in); in.Tags = []ssm.Tag{{Key: p("a"), Value: p("b")}} }, "ValidationException", "tags and overwrite"},
	} {
		change := test.change
		if change == nil {
			change = func(*ssm.PutParameterInput) {}
		}
		if err := f.put(test.name, test.value, change); fault.Code(err) != test.code || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, test.code, test.says)
		}
	}
}

func TestAnImageMustBeOneThatTheAccountMayLaunch(t *testing.T) {
	t.Parallel()
	f := open(t)
	var ami cloud.AMI
	f.must(f.store.Write(t.Context(), func(tx *store.Tx) (err error) {
		ami, err = f.world.Register(tx, cloud.AMI{Account: bob, Region: home, Name: "web", RootDevice: "/dev/xvda", Permissions: cloud.Permissions{UserIDs: []string{alice}}})
		return err
	}))
	isImage := func(in *ssm.PutParameterInput) { in.DataType = p("aws:ec2:image") }
	f.must(f.put("/golden/web", ami.ID, isImage))
	f.must(f.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := f.world.Modify(tx, ami.ID, func(a *cloud.AMI) { a.Permissions = cloud.Permissions{} })
		return err
	}))
	if err := f.put("/golden/web", ami.ID, isImage, overwrite); fault.Code(err) != "ValidationException" {
		t.Errorf("an AMI that is no longer shared: %v", err)
	}
}

func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	f := open(t)
	const secret = "correct horse battery staple"
	f.must(f.put("/db/password", secret, secure))
	get := func(decrypt bool) string {
		out, err := f.ssm.GetParameter(f.as(alice), &ssm.GetParameterInput{Name: p("/db/password"), WithDecryption: &decrypt})
		f.must(err)
		return *out.Parameter.Value
	}
	if got := get(true); got != secret {
		t.Errorf("decrypted: %q", got)
	}
	if got := get(false); strings.Contains(got, "horse") || got == "" {
		t.Errorf("not decrypted: %q", got)
	}
	f.must(f.store.Read(t.Context(), func(tx *store.Tx) error {
		row, _, err := tx.Resource("arn:aws:ssm:us-east-1:111111111111:parameter/db/password:1")
		if len(row.Doc) == 0 || bytes.Contains(row.Doc, []byte("horse")) {
			t.Errorf("the row is %s", row.Doc)
		}
		return err
	}))
	seal, _ := parameter.NewSeal(bytes.Repeat([]byte{8}, parameter.KeySize))
	other := parameter.New(f.store, f.world, seal, nil)
	if _, err := other.SSM().GetParameter(f.as(alice), &ssm.GetParameterInput{Name: p("/db/password"), WithDecryption: p(true)}); err == nil || fault.Code(err) != "" {
		t.Errorf("with another key: %v, want an internal error", err)
	}
	f.must(f.store.Read(t.Context(), func(tx *store.Tx) error {
		value, err := f.all.Value(tx, alice, home, "/db/password")
		if value != secret {
			t.Errorf("Value gives %q", value)
		}
		return err
	}))
}

func TestListsByPathAndFilter(t *testing.T) {
	t.Parallel()
	f := open(t)
	for i := range 12 {
		f.must(f.put(fmt.Sprintf("/app/a%02d", i), "v"))
	}
	f.must(f.put("/app/deep/one", "v"))
	f.must(f.put("/apple", "v", secure))
	f.must(f.put("lone", "v", func(in *ssm.PutParameterInput) { in.Tags = []ssm.Tag{{Key: p("env"), Value: p("prod")}} }))
	byPath := func(path string, recursive bool) (names []string) {
		var token *string
		for {
			out, err := f.ssm.GetParametersByPath(f.as(alice), &ssm.GetParametersByPathInput{Path: &path, Recursive: &recursive, NextToken: token, MaxResults: p(int32(5))})
			f.must(err)
			for _, x := range out.Parameters {
				names = append(names, *x.Name)
			}
			if token = out.NextToken; token == nil {
				return names
			}
		}
	}
	if got := byPath("/app", false); len(got) != 12 || got[0] != "/app/a00" || got[11] != "/app/a11" {
		t.Errorf("one level: %v", got)
	}
	if got := byPath("/app/", true); len(got) != 13 || got[12] != "/app/deep/one" {
		t.Errorf("recursive: %v", got)
	}
	if got := byPath("/", false); !cmp.Equal(got, []string{"/apple", "lone"}) {
		t.Errorf("the top: %v", got)
	}
	if got := byPath("/none", true); got != nil {
		t.Errorf("nothing: %v", got)
	}
	for name, test := range map[string]struct {
		filter ssm.ParameterStringFilter
		want   []string
	}{
		"path":     {ssm.ParameterStringFilter{Key: p("Path"), Option: p("Recursive"), Values: []string{"/app/deep"}}, []string{"/app/deep/one"}},
		"contains": {ssm.ParameterStringFilter{Key: p("Name"), Option: p("Contains"), Values: []string{"a1"}}, []string{"/app/a10", "/app/a11"}},
		"begins":   {ssm.ParameterStringFilter{Key: p("Name"), Option: p("BeginsWith"), Values: []string{"/appl", "lo"}}, []string{"/apple", "lone"}},
		"type":     {ssm.ParameterStringFilter{Key: p("Type"), Values: []string{"SecureString"}}, []string{"/apple"}},
		"key":      {ssm.ParameterStringFilter{Key: p("KeyId"), Values: []string{"alias/aws/ssm"}}, []string{"/apple"}},
		"tag":      {ssm.ParameterStringFilter{Key: p("tag:env"), Values: []string{"prod"}}, []string{"lone"}},
		"tag key":  {ssm.ParameterStringFilter{Key: p("tag:env")}, []string{"lone"}},
	} {
		out, err := f.ssm.DescribeParameters(f.as(alice), &ssm.DescribeParametersInput{ParameterFilters: []ssm.ParameterStringFilter{test.filter}})
		f.must(err)
		var got []string
		for _, x := range out.Parameters {
			got = append(got, *x.Name)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, test := range map[string]struct {
		in   ssm.DescribeParametersInput
		code string
	}{
		"key":    {ssm.DescribeParametersInput{ParameterFilters: []ssm.ParameterStringFilter{{Key: p("Label"), Values: []string{"x"}}}}, "InvalidFilterKey"},
		"twice":  {ssm.DescribeParametersInput{ParameterFilters: []ssm.ParameterStringFilter{{Key: p("Name"), Values: []string{"x"}}, {Key: p("Name"), Values: []string{"x"}}}}, "InvalidFilterKey"},
		"option": {ssm.DescribeParametersInput{ParameterFilters: []ssm.ParameterStringFilter{{Key: p("Type"), Option: p("Contains"), Values: []string{"x"}}}}, "InvalidFilterOption"},
		"values": {ssm.DescribeParametersInput{ParameterFilters: []ssm.ParameterStringFilter{{Key: p("Type")}}}, "InvalidFilterValue"},
		"token":  {ssm.DescribeParametersInput{NextToken: p("e30")}, "InvalidNextToken"},
	} {
		if _, err := f.ssm.DescribeParameters(f.as(alice), &test.in); fault.Code(err) != test.code {
			t.Errorf("%s: %v, want %s", name, err, test.code)
		}
	}
}

func TestHistoryKeepsAHundredVersions(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.must(f.put("/h", "0"))
	for i := range 104 {
		f.must(f.put("/h", fmt.Sprint(i+1), overwrite))
	}
	var versions []int64
	var token *string
	for {
		out, err := f.ssm.GetParameterHistory(f.as(alice), &ssm.GetParameterHistoryInput{Name: p("/h"), NextToken: token})
		f.must(err)
		for _, h := range out.Parameters {
			versions = append(versions, *h.Version)
		}
		if token = out.NextToken; token == nil {
			break
		}
	}
	if len(versions) != 100 || versions[0] != 6 || versions[99] != 105 {
		t.Errorf("%d versions: %v", len(versions), versions)
	}
	out, err := f.ssm.DeleteParameters(f.as(alice), &ssm.DeleteParametersInput{Names: []string{"/h", "/none"}})
	f.must(err)
	if diff := cmp.Diff(&ssm.DeleteParametersOutput{DeletedParameters: []string{"/h"}, InvalidParameters: []string{"/none"}}, out); diff != "" {
		t.Error(diff)
	}
	f.must(f.put("/h", "again"))
	got, err := f.ssm.GetParameter(f.as(alice), &ssm.GetParameterInput{Name: p("/h")})
	f.must(err)
	if *got.Parameter.Version != 1 {
		t.Errorf("the version after a deletion is %d, want 1", *got.Parameter.Version)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.must(f.put("/t", "v", func(in *ssm.PutParameterInput) { in.Tags = []ssm.Tag{{Key: p("a"), Value: p("1")}} }))
	kind := p(ssm.ResourceTypeForTagging("Parameter"))
	_, err := f.ssm.AddTagsToResource(f.as(alice), &ssm.AddTagsToResourceInput{ResourceType: kind, ResourceId: p("/t"), Tags: []ssm.Tag{{Key: p("b"), Value: p("2")}}})
	f.must(err)
	_, err = f.ssm.RemoveTagsFromResource(f.as(alice), &ssm.RemoveTagsFromResourceInput{ResourceType: kind, ResourceId: p("/t"), TagKeys: []string{"a", "none"}})
	f.must(err)
	f.must(f.put("/t", "w", overwrite))
	out, err := f.ssm.ListTagsForResource(f.as(alice), &ssm.ListTagsForResourceInput{ResourceType: kind, ResourceId: p("/t")})
	f.must(err)
	if diff := cmp.Diff([]ssm.Tag{{Key: p("b"), Value: p("2")}}, out.TagList); diff != "" {
		t.Error(diff)
	}
	for code, in := range map[string]*ssm.AddTagsToResourceInput{
		"InvalidResourceId":   {ResourceType: kind, ResourceId: p("/none"), Tags: []ssm.Tag{{Key: p("a"), Value: p("1")}}},
		"InvalidResourceType": {ResourceType: p(ssm.ResourceTypeForTagging("Document")), ResourceId: p("/t"), Tags: []ssm.Tag{{Key: p("a"), Value: p("1")}}},
		"ValidationException": {ResourceType: kind, ResourceId: p("/t"), Tags: []ssm.Tag{{Key: p("aws:x"), Value: p("1")}}},
	} {
		if _, err := f.ssm.AddTagsToResource(f.as(alice), in); fault.Code(err) != code {
			t.Errorf("%v, want %s", err, code)
		}
	}
}

// FuzzReference makes sure that no reference does harm: it selects the one
// parameter there is, or is refused.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"/a", "a:1", "arn:aws:ssm:us-east-1:111111111111:parameter/a", "a:", "::", "a:99999999999999999999", "arn:", "arn:aws:ssm:us-east-1:111111111111:parameter"} {
		f.Add(s)
	}
	s, err := store.Open(f.Context(), filepath.Join(f.TempDir(), "rows.db"))
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	seal, _ := parameter.NewSeal(make([]byte, parameter.KeySize))
	all := parameter.New(s, cloud.New(s, nil), seal, nil)
	err = s.Write(f.Context(), func(tx *store.Tx) error {
		_, err := all.Put(context.Background(), tx, parameter.Parameter{Account: alice, Region: home, Name: "/a", Type: "String", Value: "v"}, false)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, reference string) {
		_ = s.Read(t.Context(), func(tx *store.Tx) error {
			value, err := all.Value(tx, alice, home, reference)
			if err == nil && value != "v" || err != nil && fault.Code(err) == "" {
				t.Errorf("%q: %q, %v", reference, value, err)
			}
			return nil
		})
	})
}
