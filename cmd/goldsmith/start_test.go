package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStartFlagsAreTags(t *testing.T) {
	t.Parallel()
	got, err := (&startFlags{noCache: true, parameters: []string{"web/Port=80", "My Web/Text=a=b", "web/None="}, workflowParameters: []string{"scan/level=low"}}).tags()
	want := map[string]string{
		"goldsmith:cache": "off", "goldsmith:parameter/web/Port": "80", "goldsmith:parameter/My Web/Text": "a=b", "goldsmith:parameter/web/None": "",
		"goldsmith:workflow-parameter/scan/level": "low",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for given, why := range map[string]string{
		"Port=80": "COMPONENT/NAME=VALUE", "web/Port": "COMPONENT/NAME=VALUE", "/Port=1": "COMPONENT/NAME=VALUE", "web/=1": "COMPONENT/NAME=VALUE",
		"web/Port=" + strings.Repeat("x", 257): "at most 256", strings.Repeat("x", 128) + "/Port=1": "at most 256",
	} {
		if _, err := (&startFlags{parameters: []string{given}}).tags(); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.20q: %v", given, err)
		}
	}
	if _, err := (&startFlags{parameters: []string{"web/None=", "web/None="}}).tags(); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("twice: %v", err)
	}
}
