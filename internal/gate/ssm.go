package gate

import (
	"strconv"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
)

// ssm are the rules of Systems Manager's Parameter Store.
var ssm = map[string]rule{
	"AddTagsToResource": rules(func(a asked, in *api.AddTagsToResourceInput) []need {
		tags := map[string]string{}
		for _, t := range in.Tags {
			tags[text(t.Key)] = text(t.Value)
		}
		return []need{{action: a.action(), resource: a.parameter(in.ResourceId), values: requestTags(tags)}}
	}),
	"DeleteParameter":     parameter(func(in *api.DeleteParameterInput) *string { return in.Name }),
	"DeleteParameters":    parameters(func(in *api.DeleteParametersInput) []string { return in.Names }),
	"DescribeParameters":  anything,
	"GetParameter":        parameter(func(in *api.GetParameterInput) *string { return in.Name }),
	"GetParameterHistory": parameter(func(in *api.GetParameterHistoryInput) *string { return in.Name }),
	"GetParameters":       parameters(func(in *api.GetParametersInput) []string { return in.Names }),
	"GetParametersByPath": rules(func(a asked, in *api.GetParametersByPathInput) []need {
		v := access.Values{}
		v.Set("ssm:recursive", strconv.FormatBool(in.Recursive != nil && *in.Recursive))
		return []need{{action: a.action(), resource: a.parameter(in.Path), values: v}}
	}),
	"ListTagsForResource": parameter(func(in *api.ListTagsForResourceInput) *string { return in.ResourceId }),
	"PutParameter": rules(func(a asked, in *api.PutParameterInput) []need {
		tags := map[string]string{}
		for _, t := range in.Tags {
			tags[text(t.Key)] = text(t.Value)
		}
		arn := a.parameter(in.Name)
		v := requestTags(tags)
		v.Set("ssm:overwrite", strconv.FormatBool(in.Overwrite != nil && *in.Overwrite))
		all := []need{{action: a.action(), resource: arn, values: v}}
		if len(tags) > 0 {
			all = append(all, need{action: "ssm:AddTagsToResource", resource: arn, values: requestTags(tags)})
		}
		return all
	}),
	"RemoveTagsFromResource": rules(func(a asked, in *api.RemoveTagsFromResourceInput) []need {
		return []need{{action: a.action(), resource: a.parameter(in.ResourceId), values: untagged(in.TagKeys)}}
	}),
}

// parameter is the rule of operations on one parameter.
func parameter[I any](member func(in *I) *string) rule {
	return rules(func(a asked, in *I) []need { return []need{{action: a.action(), resource: a.parameter(member(in))}} })
}

// parameters is the rule of operations on several.
func parameters[I any](member func(in *I) []string) rule {
	return rules(func(a asked, in *I) []need {
		if len(member(in)) == 0 {
			return anything(a, in)
		}
		var all []need
		for _, name := range member(in) {
			all = append(all, need{action: a.action(), resource: a.parameter(&name)})
		}
		return all
	})
}

// parameter is the ARN of a parameter that a request names, without the version
// that it may select.
func (a asked) parameter(name *string) string {
	n := text(name)
	prefix := "arn:" + cloud.PartitionFor(a.Region) + ":ssm:" + a.Region + ":" + a.Account + ":parameter"
	if strings.HasPrefix(n, "arn:") {
		at := strings.LastIndex(n, ":parameter/")
		if at < 0 {
			return n
		}
		prefix, n = n[:at+len(":parameter")], n[at+len(":parameter"):]
	}
	n, _, _ = strings.Cut(n, ":")
	return prefix + "/" + strings.TrimPrefix(n, "/")
}
