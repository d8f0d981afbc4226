package server

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

const twoAdministrators = `
accounts:
  - {id: "111111111111", keys: [{accessKeyId: AKIAALICE00000000001, secretAccessKey: test-secret-of-alice}]}
  - {id: "222222222222", keys: [{accessKeyId: AKIAMALLORY000000001, secretAccessKey: test-secret-of-mallory}]}
`

var (
	alice   = identity.Key{AccessKeyID: "AKIAALICE00000000001", SecretAccessKey: "test-secret-of-alice"}
	mallory = identity.Key{AccessKeyID: "AKIAMALLORY000000001", SecretAccessKey: "test-secret-of-mallory"}
)

// call sends a signed request and gives the status and the body.
func call(t *testing.T, s *Server, key identity.Key, region, method, target string, in any) (int, string) {
	t.Helper()
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	wiretest.Sign(t, r, body, key, "imagebuilder", region, time.Now())
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// However an ARN is written, an administrator of one account gets nothing out of
// another, and changes nothing there.
func TestARNsOfOtherAccounts(t *testing.T) {
	t.Parallel()
	s, _ := serveFile(t, t.TempDir(), twoAdministrators, slog.New(slog.DiscardHandler))
	const secret = "a-secret-in-a-document"
	document := "name: web\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo " + secret + "\n"
	status, text := call(t, s, alice, "us-east-1", "PUT", "/CreateComponent", map[string]any{
		"name": "web", "semanticVersion": "1.0.0", "platform": "Linux", "data": document, "tags": map[string]string{"owner": "alice"}, "clientToken": "one",
	})
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	const arn = "arn:aws:imagebuilder:us-east-1:111111111111:component/web/1.0.0/1"
	spelled := []string{
		arn, "arn:aws:imagebuilder:us-east-1:111111111111:component/web/x.x.x", "arn:aws:imagebuilder:us-east-1:111111111111:component/web/1.0.0",
		"arn:aws-cn:imagebuilder:us-east-1:111111111111:component/web/1.0.0/1", "arn:aws:imagebuilder:us-east-1:222222222222:component/web/1.0.0/1",
		"arn:aws:imagebuilder:us-east-1:222222222222:component/../111111111111:component/web/1.0.0/1", "arn:aws:imagebuilder:us-east-1:aws:component/web/1.0.0/1",
		"arn:aws:imagebuilder:us-east-1::component/web/1.0.0/1", "arn:aws:imagebuilder::111111111111:component/web/1.0.0/1", "arn:aws:imagebuilder:us-east-1:*:component/web/1.0.0/1",
		arn + "\n", " " + arn, arn + "#", arn + "/", strings.ToUpper(arn), "arn:aws:imagebuilder:us-east-1:111111111111:component/web/01.0.0/1",
		"arn:aws:imagebuilder:us-east-1:222222222222,111111111111:component/web/1.0.0/1", "arn:aws:imagebuilder:us-east-1:\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11:component/web/1.0.0/1",
	}
	for _, a := range spelled {
		q, segment := url.QueryEscape(a), url.PathEscape(a)
		for _, r := range []struct {
			method, target string
			in             any
		}{
			{"GET", "/GetComponent?componentBuildVersionArn=" + q, nil},
			{"GET", "/GetComponent?componentBuildVersionArn=arn%3Aaws%3Aimagebuilder%3Aus-east-1%3A222222222222%3Acomponent%2Fx%2F1.0.0%2F1&componentBuildVersionArn=" + q, nil},
			{"GET", "/GetComponentPolicy?componentArn=" + q, nil},
			{"DELETE", "/DeleteComponent?componentBuildVersionArn=" + q, nil},
			{"GET", "/tags/" + strings.ReplaceAll(segment, ":", "%3A"), nil},
			{"GET", "/tags/" + segment, nil},
			{"GET", "/tags/" + url.PathEscape(segment), nil},
			{"POST", "/tags/" + segment, map[string]any{"tags": map[string]string{"owner": "mallory"}}},
			{"DELETE", "/tags/" + segment + "?tagKeys=owner", nil},
			{"PUT", "/PutComponentPolicy", map[string]any{"componentArn": a, "policy": `{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "imagebuilder:GetComponent", "Resource": "*"}}`}},
			{"POST", "/ListComponentBuildVersions", map[string]any{"componentVersionArn": strings.TrimSuffix(a, "/1")}},
			{"PUT", "/CreateImageRecipe", map[string]any{"name": "stolen", "semanticVersion": "1.0.0", "parentImage": "ami-0123456789abcdef0", "components": []any{map[string]any{"componentArn": a}}, "clientToken": "two"}},
		} {
			for _, region := range []string{"us-east-1", "cn-north-1"} {
				status, text := call(t, s, mallory, region, r.method, r.target, r.in)
				if status == http.StatusOK && !strings.Contains(text, `"componentSummaryList":[]`) || status >= 500 || strings.Contains(text, secret) || strings.Contains(text, "alice") {
					t.Errorf("%s %s %v: %d %s", r.method, r.target, r.in, status, text)
				}
			}
		}
	}
	status, text = call(t, s, alice, "us-east-1", "GET", "/GetComponent?componentBuildVersionArn="+url.QueryEscape(arn), nil)
	if status != http.StatusOK || !strings.Contains(text, secret) || !strings.Contains(text, `"owner":"alice"`) {
		t.Errorf("the component is not as it was: %d %s", status, text)
	}
}
