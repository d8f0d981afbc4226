package imagebuilder

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
)

const (
	deprecates = api.LifecyclePolicyDetailActionTypeDeprecate
	disables   = api.LifecyclePolicyDetailActionTypeDisable
	deletes    = api.LifecyclePolicyDetailActionTypeDelete
)

func byAge(action api.LifecyclePolicyDetailActionType, days, retain int32) api.LifecyclePolicyDetail {
	d := api.LifecyclePolicyDetail{
		Action: &api.LifecyclePolicyDetailAction{Type: &action},
		Filter: &api.LifecyclePolicyDetailFilter{Type: ptr(api.LifecyclePolicyDetailFilterTypeAge), Value: &days, Unit: ptr(api.LifecyclePolicyTimeUnitDays)},
	}
	if retain > 0 {
		d.Filter.RetainAtLeast = &retain
	}
	return d
}

func byCount(n int32) api.LifecyclePolicyDetail {
	return api.LifecyclePolicyDetail{
		Action: &api.LifecyclePolicyDetailAction{Type: ptr(deletes)},
		Filter: &api.LifecyclePolicyDetailFilter{Type: ptr(api.LifecyclePolicyDetailFilterTypeCount), Value: &n},
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	// old makes an image of a recipe that is so many days old.
	old := func(recipe string, days int, status api.ImageStatus) candidate {
		return candidate{arn: fmt.Sprintf("%s-%d", recipe, days), recipe: recipe, status: status, created: now.AddDate(0, 0, -days)}
	}
	available := func(recipe string, ages ...int) (all []candidate) {
		for _, days := range ages {
			all = append(all, old(recipe, days, api.ImageStatusAvailable))
		}
		return all
	}
	kept := old("a", 9, api.ImageStatusAvailable)
	kept.tags = map[string]string{"keep": "yes"}
	excluding := byCount(1)
	excluding.ExclusionRules = &api.LifecyclePolicyDetailExclusionRules{TagMap: map[string]string{"keep": "yes", "never": "mind"}}
	monthly := byAge(deletes, 1, 0)
	monthly.Filter.Unit = ptr(api.LifecyclePolicyTimeUnitMonths)
	for name, test := range map[string]struct {
		rules  []api.LifecyclePolicyDetail
		images []candidate
		want   []string
	}{
		"nothing":                {[]api.LifecyclePolicyDetail{byAge(deletes, 1, 0)}, nil, nil},
		"age":                    {[]api.LifecyclePolicyDetail{byAge(deletes, 5, 0)}, available("a", 1, 4, 5, 9), []string{"a-5 DELETE", "a-9 DELETE"}},
		"age and retention":      {[]api.LifecyclePolicyDetail{byAge(deletes, 5, 2)}, available("a", 6, 7, 8), []string{"a-8 DELETE"}},
		"young ones are kept":    {[]api.LifecyclePolicyDetail{byAge(deletes, 5, 2)}, available("a", 1, 2, 8), []string{"a-8 DELETE"}},
		"retention by recipe":    {[]api.LifecyclePolicyDetail{byAge(deletes, 5, 1)}, append(available("a", 6, 8), available("b", 7, 9)...), []string{"a-8 DELETE", "b-9 DELETE"}},
		"count":                  {[]api.LifecyclePolicyDetail{byCount(2)}, available("a", 9, 1, 5), []string{"a-9 DELETE"}},
		"count by recipe":        {[]api.LifecyclePolicyDetail{byCount(1)}, append(available("a", 1, 2), available("b", 3)...), []string{"a-2 DELETE"}},
		"failures take no place": {[]api.LifecyclePolicyDetail{byCount(1)}, append(available("a", 3), old("a", 1, api.ImageStatusFailed), old("a", 2, api.ImageStatusCancelled)), []string{"a-1 DELETE", "a-2 DELETE"}},
		"excluded take no place": {[]api.LifecyclePolicyDetail{excluding}, append(available("a", 10, 11), kept), []string{"a-11 DELETE"}},
		"failures are not deprecated": {
			[]api.LifecyclePolicyDetail{byAge(deprecates, 1, 0)}, append(available("a", 3), old("a", 2, api.ImageStatusFailed), old("a", 4, api.ImageStatusDeprecated), old("a", 5, api.ImageStatusDisabled)),
			[]string{"a-3 DEPRECATE"},
		},
		"one action each, the mildest": {
			[]api.LifecyclePolicyDetail{byAge(deletes, 30, 0), byAge(disables, 20, 0), byAge(deprecates, 10, 0)},
			append(available("a", 5, 15, 25, 35), old("b", 25, api.ImageStatusDeprecated), old("b", 35, api.ImageStatusDisabled)),
			[]string{"a-15 DEPRECATE", "b-25 DISABLE", "a-25 DEPRECATE", "b-35 DELETE", "a-35 DEPRECATE"},
		},
		"months are the calendar's": {[]api.LifecyclePolicyDetail{monthly}, available("a", 27, 28, 29), []string{"a-28 DELETE", "a-29 DELETE"}},
	} {
		images, verdicts := judge(test.rules, test.images, now)
		var got []string
		for _, c := range images {
			got = append(got, c.arn+" "+string(*verdicts[c.arn].rule.Action.Type))
			if verdicts[c.arn].reason == "" {
				t.Errorf("%s: %s without a reason", name, c.arn)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
