package topic

import "testing"

func TestFilters(t *testing.T) {
	t.Parallel()
	attributes := map[string]attribute{
		"state": {"String", "AVAILABLE"}, "build": {"Number", "17"}, "regions": {"String.Array", `["us-east-1", "eu-west-1"]`},
	}
	for policy, want := range map[string]bool{
		``:                                   true,
		`{}`:                                 true,
		`{"state": ["AVAILABLE"]}`:           true,
		`{"state": ["FAILED", "AVAILABLE"]}`: true,
		`{"state": ["FAILED"]}`:              false,
		`{"state": ["available"]}`:           false,
		`{"state": [{"equals-ignore-case": "available"}]}`: true,
		`{"state": [{"prefix": "AVA"}]}`:                   true,
		`{"state": [{"suffix": "ABLE"}]}`:                  true,
		`{"state": [{"prefix": "FAI"}]}`:                   false,
		`{"state": [{"anything-but": ["FAILED"]}]}`:        true,
		`{"state": [{"anything-but": "AVAILABLE"}]}`:       false,
		`{"state": [{"anything-but": {"prefix": "AV"}}]}`:  false,
		`{"none": [{"anything-but": "x"}]}`:                false,
		`{"none": [{"exists": false}]}`:                    true,
		`{"none": [{"exists": true}]}`:                     false,
		`{"state": [{"exists": true}]}`:                    true,
		`{"build": [17]}`:                                  true,
		`{"build": ["17"]}`:                                false,
		`{"build": [{"numeric": [">", 10, "<=", 17]}]}`:    true,
		`{"build": [{"numeric": ["<", 17]}]}`:              false,
		`{"build": [{"numeric": ["=", 17]}]}`:              true,
		`{"state": [{"numeric": ["=", 17]}]}`:              false,
		`{"regions": ["eu-west-1"]}`:                       true,
		`{"regions": ["eu-west-2"]}`:                       false,
		`{"regions": [{"anything-but": "eu-west-1"}]}`:     false,
		`{"state": ["AVAILABLE"], "build": [1]}`:           false,
	} {
		f, err := parseFilter(policy, "")
		if err != nil {
			t.Errorf("%s: %v", policy, err)
			continue
		}
		if got := f.wants(content{Attributes: attributes}); got != want {
			t.Errorf("%s: %v, want %v", policy, got, want)
		}
	}
	body := content{Message: `{"state": {"status": "AVAILABLE"}, "tags": ["a", "b"], "nothing": null, "good": true}`}
	for policy, want := range map[string]bool{
		`{"state": {"status": ["AVAILABLE"]}}`: true,
		`{"state": {"status": ["FAILED"]}}`:    false,
		`{"state": ["AVAILABLE"]}`:             false,
		`{"none": {"status": ["x"]}}`:          false,
		`{"tags": ["b"]}`:                      true,
		`{"nothing": [null]}`:                  true,
		`{"good": [true]}`:                     true,
		`{"good": [false]}`:                    false,
	} {
		f, err := parseFilter(policy, "MessageBody")
		if err != nil {
			t.Errorf("%s: %v", policy, err)
			continue
		}
		if got := f.wants(body); got != want {
			t.Errorf("%s: %v, want %v", policy, got, want)
		}
	}
	f, err := parseFilter(`{"state": ["x"]}`, "MessageBody")
	if err != nil || f.wants(content{Message: "no JSON"}) {
		t.Errorf("a body that is no JSON passes a filter (%v)", err)
	}
}

// FuzzFilter makes sure that no policy and no body breaks the server.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`{"a": [{"numeric": [">", 1]}]}`, `{"a": {"b": [{"anything-but": ["x", {"prefix": "y"}]}]}}`, `{"a": [null, true, 1.5e3, {"exists": false}]}`, `{"a": [[1]]}`, `{"a": [{"anything-but": [{}]}]}`} {
		f.Add(s, `{"a": {"b": "x"}}`)
	}
	f.Fuzz(func(_ *testing.T, policy, body string) {
		for _, scope := range []string{"MessageBody", "MessageAttributes"} {
			if p, err := parseFilter(policy, scope); err == nil {
				p.wants(content{Message: body, Attributes: map[string]attribute{"a": {"String.Array", body}, "b": {"Number", body}}})
			}
		}
	})
}
