package gate

import (
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
)

const (
	passRole   = "iam:PassRole"
	everything = "*" // the resource of actions that have none
)

// action is the request's own action.
func (a asked) action() string { return a.service + ":" + a.operation }

// arn names a resource of the caller's account and region.
func (a asked) arn(resource string) string {
	return "arn:" + cloud.PartitionFor(a.Region) + ":imagebuilder:" + a.Region + ":" + a.Account + ":" + resource
}

// anything is the rule of operations that have no resource.
func anything(a asked, _ any) []need { return []need{{action: a.action(), resource: everything}} }

// free is the rule of operations that everyone may call, or that decide
// themselves.
func free(asked, any) []need { return nil }

// rules makes a rule for an operation's input.
func rules[I any](f func(a asked, in *I) []need) rule {
	return func(a asked, in any) []need { return f(a, in.(*I)) }
}

// on is the rule of operations on one resource that the input names.
func on[I any](member func(in *I) *string) rule {
	return rules(func(a asked, in *I) []need { return a.on(member(in)) })
}

// on is the need of the request's own action on a resource.
func (a asked) on(arn *string) []need { return []need{{action: a.action(), resource: named(arn)}} }

// builds is the rule of lists of the builds of a version.
func builds[I any](member func(in *I) *string) rule {
	return rules(func(a asked, in *I) []need {
		version := member(in)
		if version == nil {
			return anything(a, in)
		}
		return []need{{action: a.action(), resource: *version + "/*"}}
	})
}

// child is the rule of operations on executions, which have an id and no ARN in
// their inputs.
func child[I any](kind string, member func(in *I) *string) rule {
	return rules(func(a asked, in *I) []need {
		return []need{{action: a.action(), resource: a.arn(kind + "/" + text(member(in)))}}
	})
}

// making is the need of an operation that makes a resource, with the tags that
// it gets; giving it tags takes imagebuilder:TagResource as well.
func (a asked) making(resource string, tags map[string]string) []need {
	arn, values := a.arn(resource), requestTags(tags)
	all := []need{{action: a.action(), resource: arn, values: values}}
	if len(tags) > 0 {
		all = append(all, need{action: "imagebuilder:TagResource", resource: arn, values: values})
	}
	return all
}

// reading adds the permission to read what a new resource refers to.
func reading(all []need, action string, arn *string) []need {
	if arn == nil || !strings.HasPrefix(*arn, "arn:") {
		return all
	}
	return append(all, need{action: "imagebuilder:" + action, resource: *arn})
}

// passing adds the permission to hand a role, given by its name or ARN, to the
// service.
func (a asked) passing(all []need, role *string) []need {
	if role == nil {
		return all
	}
	arn := *role
	if !strings.HasPrefix(arn, "arn:") {
		arn = "arn:" + cloud.PartitionFor(a.Region) + ":iam::" + a.Account + ":role/" + strings.TrimPrefix(arn, "/")
	}
	return append(all, need{action: passRole, resource: arn, values: access.Values{"iam:passedtoservice": {"imagebuilder.amazonaws.com"}}})
}

// requestTags are the condition keys of tags in a request.
func requestTags(tags map[string]string) access.Values {
	v := access.Values{}
	v.Tags("aws:requesttag", tags)
	tagKeys(v, "aws:tagkeys", tags)
	return v
}

// untagged are the condition keys of tags that a request takes away.
func untagged(keys []string) access.Values {
	v := access.Values{}
	if len(keys) > 0 {
		v["aws:tagkeys"] = keys
	}
	return v
}

// tagKeys sets a condition key to the keys of tags.
func tagKeys(v access.Values, name string, tags map[string]string) {
	for key := range tags {
		v[name] = append(v[name], key)
	}
}

// named is an ARN in a request; an input that was checked has one.
func named(arn *string) string {
	if arn == nil || *arn == "" {
		return everything
	}
	return *arn
}

func text[T ~string](p *T) string {
	if p == nil {
		return ""
	}
	return string(*p)
}
