package imagebuilder

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
)

// candidate is an image that a policy selects and that is not being made.
type candidate struct {
	arn     string
	recipe  string // its recipe's name and version: what retention counts by
	status  api.ImageStatus
	created time.Time
	tags    map[string]string
}

// verdict is what a policy does to an image, by which of its rules, and why.
type verdict struct {
	rule   *api.LifecyclePolicyDetail
	reason string
}

// precedence is the order in which the actions are considered: an image is
// acted on once in an execution, in the mildest way that applies.
var precedence = []api.LifecyclePolicyDetailActionType{
	api.LifecyclePolicyDetailActionTypeDeprecate, api.LifecyclePolicyDetailActionTypeDisable, api.LifecyclePolicyDetailActionTypeDelete,
}

// untouched are the states of images that an action passes over.
var untouched = map[api.LifecyclePolicyDetailActionType][]api.ImageStatus{
	api.LifecyclePolicyDetailActionTypeDeprecate: {api.ImageStatusDeprecated, api.ImageStatusDisabled, api.ImageStatusFailed, api.ImageStatusCancelled},
	api.LifecyclePolicyDetailActionTypeDisable:   {api.ImageStatusDisabled, api.ImageStatusFailed, api.ImageStatusCancelled},
}

// judge says what the rules of a policy do to images (User Guide, "How
// lifecycle policy execution works"). It gives the images in the order in which
// they are acted on, the newest first.
func judge(rules []api.LifecyclePolicyDetail, images []candidate, now time.Time) ([]candidate, map[string]verdict) {
	images = slices.Clone(images)
	slices.SortFunc(images, func(a, b candidate) int { return cmp.Or(b.created.Compare(a.created), cmp.Compare(b.arn, a.arn)) })
	verdicts := make(map[string]verdict)
	for _, action := range precedence {
		for i := range rules {
			if rule := &rules[i]; or(rule.Action.Type, "") == action {
				apply(rule, action, images, now, verdicts)
			}
		}
	}
	images = slices.DeleteFunc(images, func(c candidate) bool { return verdicts[c.arn].rule == nil })
	return images, verdicts
}

// apply adds the verdicts of one rule on images that are sorted, the newest
// first.
func apply(rule *api.LifecyclePolicyDetail, action api.LifecyclePolicyDetailActionType, images []candidate, now time.Time, verdicts map[string]verdict) {
	kept := make(map[string]int32) // by recipe: how many places of the retention are taken
	keep, limit := or(rule.Filter.RetainAtLeast, 0), time.Time{}
	byAge := or(rule.Filter.Type, "") == api.LifecyclePolicyDetailFilterTypeAge
	if byAge {
		limit = before(now, or(rule.Filter.Value, 0), or(rule.Filter.Unit, ""))
	} else {
		keep = or(rule.Filter.Value, 0)
	}
	for _, c := range images {
		excluded := false
		if rule.ExclusionRules != nil {
			_, excluded = sharedTag(rule.ExclusionRules.TagMap, c.tags)
		}
		if excluded || slices.Contains(untouched[action], c.status) {
			continue
		}
		reason := ""
		switch failed := c.status == api.ImageStatusFailed || c.status == api.ImageStatusCancelled; {
		case failed:
			reason = fmt.Sprintf("The image is in state %s.", c.status)
		case kept[c.recipe] < keep:
			kept[c.recipe]++
			continue
		case !byAge:
			reason = fmt.Sprintf("There are more than %d images of %s.", keep, c.recipe)
		case c.created.After(limit):
			continue
		default:
			reason = fmt.Sprintf("The image is older than %d %s.", or(rule.Filter.Value, 0), or(rule.Filter.Unit, ""))
		}
		if _, taken := verdicts[c.arn]; !taken {
			verdicts[c.arn] = verdict{rule, reason}
		}
	}
}

// before gives the time that is a number of units ago; months and years are
// those of the calendar.
func before(now time.Time, n int32, unit api.LifecyclePolicyTimeUnit) time.Time {
	switch unit {
	case api.LifecyclePolicyTimeUnitWeeks:
		return now.AddDate(0, 0, -7*int(n))
	case api.LifecyclePolicyTimeUnitMonths:
		return now.AddDate(0, -int(n), 0)
	case api.LifecyclePolicyTimeUnitYears:
		return now.AddDate(-int(n), 0, 0)
	}
	return now.AddDate(0, 0, -int(n))
}
