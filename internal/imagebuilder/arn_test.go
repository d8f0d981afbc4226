package imagebuilder

import (
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const someone = "arn:aws:imagebuilder:us-east-1:111111111111:"

func TestParseARN(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]arn{
		someone + "component/web/1.2.3/4":                        {"aws", store.Key{Kind: component, Account: "111111111111", Region: "us-east-1", Name: "web"}, buildForm, store.Version{Major: 1, Minor: 2, Patch: 3, Build: 4}},
		someone + "image-recipe/web/1.x.x":                       {"aws", store.Key{Kind: imageRecipe, Account: "111111111111", Region: "us-east-1", Name: "web"}, versionForm, store.Version{Major: 1, Minor: -1, Patch: -1, Build: -1}},
		someone + "image-pipeline/web":                           {"aws", store.Key{Kind: pipeline, Account: "111111111111", Region: "us-east-1", Name: "web"}, nameOnly, store.Version{}},
		"arn:aws-cn:imagebuilder:cn-north-1:aws:image/a-b/x.x.x": {"aws-cn", store.Key{Kind: image, Account: "aws", Region: "cn-north-1", Name: "a-b"}, versionForm, store.Version{Major: -1, Minor: -1, Patch: -1, Build: -1}},
		someone + "workflow/test/mine/1.0.0/1":                   {"aws", store.Key{Kind: workflowKind, Account: "111111111111", Region: "us-east-1", Name: "test/mine"}, buildForm, store.Version{Major: 1, Build: 1}},
		someone + "component/web/1073741823.0.0":                 {"aws", store.Key{Kind: component, Account: "111111111111", Region: "us-east-1", Name: "web"}, versionForm, store.Version{Major: 1073741823, Build: -1}},
	} {
		got, ok := parseARN(text)
		if !ok || got != want {
			t.Errorf("parseARN(%q) = %+v, %v", text, got, ok)
		}
		if got.String() != text {
			t.Errorf("String() = %q, want %q", got, text)
		}
	}
	for _, text := range []string{
		"", "arn", someone, someone + "component", someone + "component/", someone + "component/web/", someone + "component/web/1", someone + "component/web/1.2", someone + "component/web/1.2.3/",
		someone + "component/web/1.2.3/0", someone + "component/web/1.2.3/01", someone + "component/web/01.2.3", someone + "component/web/1.2.3/4/5", someone + "component/web/1.x.3", someone + "component/web/x.2.x",
		someone + "component/web/1.2.x/1", someone + "component/web/1.2.3/x", someone + "component/Web/1.2.3", someone + "component/../1.2.3", someone + "component/web/1.2.3\n", someone + "component/web\x00/1.2.3",
		someone + "component/web/1073741824.0.0", someone + "component/web/99999999999999999999.0.0", someone + "component/web/1x.0.0", someone + "component/web/xx.x.x",
		strings.Replace(someone, "us-east-1", "", 1) + "component/web/1.2.3", strings.Replace(someone, "arn:aws:", "arn:aws-cn:", 1) + "component/web/1.2.3",
		strings.Replace(someone, "111111111111", "11111111111", 1) + "component/web/1.2.3", strings.Replace(someone, "imagebuilder", "ec2", 1) + "component/web/1.2.3",
		" " + someone + "component/web/1.2.3", someone + "COMPONENT/web/1.2.3", someone + "workflow/mine/1.0.0",
	} {
		if got, ok := parseARN(text); ok {
			t.Errorf("parseARN(%q) = %+v, want a refusal", text, got)
		}
	}
}

func TestReachIsLimited(t *testing.T) {
	t.Parallel()
	r := request{Caller: identity.Caller{Account: "111111111111", Region: "us-east-1", ARN: "arn:aws:iam::111111111111:user/admin"}, operation: "GetComponent"}
	for text, code := range map[string]string{
		someone + "component/web/1.2.3/1":                                      "",
		"arn:aws:imagebuilder:us-east-1:aws:component/web/1.2.3/1":             "",
		"arn:aws:imagebuilder:us-east-1:222222222222:component/web/1.2.3/1":    api.CodeAccessDenied,
		"arn:aws:imagebuilder:us-east-1:aws-marketplace:component/web/1.2.3/1": api.CodeAccessDenied,
		"arn:aws:imagebuilder:us-east-1:third-party:component/web/1.2.3/1":     api.CodeAccessDenied,
		"arn:aws:imagebuilder:eu-west-1:111111111111:component/web/1.2.3/1":    api.CodeResourceNotFound,
		"arn:aws:imagebuilder:eu-west-1:222222222222:component/web/1.2.3/1":    api.CodeResourceNotFound,
		someone + "image/web/1.2.3/1":                                          api.CodeInvalidParameterValue,
		someone + "component/web":                                              api.CodeInvalidParameterValue,
		"":                                                                     api.CodeInvalidParameterValue,
	} {
		_, err := r.reachable("componentBuildVersionArn", &text, component, versionForm, buildForm)
		if fault.Code(err) != code {
			t.Errorf("reachable(%q): %v, want %q", text, err, code)
		}
	}
	managed := "arn:aws:imagebuilder:us-east-1:aws:component/web/1.2.3/1"
	if _, err := r.own("x", &managed, component, buildForm); fault.Code(err) != api.CodeAccessDenied {
		t.Errorf("own of a managed one: %v", err)
	}
	if _, err := r.own("x", nil, component, buildForm); fault.Code(err) != api.CodeInvalidParameterValue {
		t.Errorf("own of nothing: %v", err)
	}
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"My Component_v2": "my-component-v2", "web": "web", "A__B": "a--b", "-_-": "---"} {
		if got := normalise(name); got != want {
			t.Errorf("normalise(%q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzParseARN(f *testing.F) {
	for _, seed := range []string{someone + "component/web/1.2.3/4", someone + "image-pipeline/web", "arn:aws-cn:imagebuilder:cn-north-1:aws:image/a-b/x.x.x", someone + "workflow/test/mine/1.x.x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := parseARN(text)
		if !ok {
			return
		}
		if a.String() != text {
			t.Errorf("%q is read as %q: two names for one resource", text, a)
		}
		if a.form != nameOnly && !rightOpen(a.version) || a.form == buildForm && wildcards(a.version) > 0 {
			t.Errorf("%q has version %v", text, a.version)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	for _, seed := range []string{"1.2.3", "x.x.x", "1.0.x", "1073741823.0.0", "01.2.3", "1.2", "-1.2.3", "1.2.3.4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseVersion(text)
		if err != nil {
			if fault.Code(err) != api.CodeInvalidVersionNumber {
				t.Errorf("parseVersion(%q): %v", text, err)
			}
			return
		}
		if versionText(v) != text {
			t.Errorf("%q is read as %q", text, versionText(v))
		}
		next, err := increment(v, func(store.Version) (store.Version, bool, error) {
			return store.Version{Major: 7, Minor: 7, Patch: 7}, true, nil
		})
		if err == nil && exact(next) != nil {
			t.Errorf("increment(%q) = %v", text, next)
		}
	})
}
