package wire

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestUnsignedRequestsAreRefusedInTheirOwnShape sends what a program without a
// signer sends: a form's media type must not make XML of a JSON service's error.
func TestUnsignedRequestsAreRefusedInTheirOwnShape(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ method, target, media, want string }{
		{"POST", "/ListComponents", "application/x-www-form-urlencoded", "rest-json"},
		{"PUT", "/CreateComponent", "", "rest-json"},
		{"GET", "/GetImage?imageBuildVersionArn=x&Action=y", "", "rest-json"},
		{"POST", "/", "application/x-www-form-urlencoded", "query"},
		{"GET", "/?Action=DescribeImages", "", "query"},
		{"GET", "/", "", "rest-json"},
	} {
		r := httptest.NewRequest(tc.method, tc.target, strings.NewReader("{}"))
		if tc.media != "" {
			r.Header.Set("Content-Type", tc.media)
		}
		for name, d := range dialects {
			if d == guessDialect(r) && string(name) != tc.want {
				t.Errorf("%s %s (%s) is taken for %s, want %s", tc.method, tc.target, tc.media, name, tc.want)
			}
		}
	}
}
