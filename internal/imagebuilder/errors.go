package imagebuilder

import (
	"fmt"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

func invalid(path, why string, args ...any) error { return fault.InvalidParameter(path, why, args...) }

func combination(format string, args ...any) error {
	return fault.New(api.CodeInvalidParameterCombination, format, args...)
}

func notFound(a string) error {
	return fault.New(api.CodeResourceNotFound, "The resource '%s' does not exist.", a)
}

func alreadyExists(kind store.Kind, arn string) error {
	return fault.New(api.CodeResourceAlreadyExists, "The following resource '%s' already exists: '%s'.", titles[kind], arn)
}

func inUse(format string, args ...any) error {
	return fault.New(api.CodeResourceInUse, format, args...)
}

func quotaExceeded(what string, limit int) error {
	return fault.New(api.CodeServiceQuotaExceeded, "You have exceeded the number of permitted resources or operations for this service: the quota of %s is %d.", what, limit)
}

// errDryRun is how a dry run succeeds.
func errDryRun() error {
	return fault.New(api.CodeDryRunOperation, "Request would have succeeded, but dryRun flag is set.")
}

// shownDependents is how many dependents an error lists.
const shownDependents = 10

func dependency(arn string, dependents []string) error {
	more := ""
	if len(dependents) > shownDependents {
		dependents, more = dependents[:shownDependents], ", and others"
	}
	return fault.New(api.CodeResourceDependency, "Resource dependency error: The resource ARN '%s' has other resources depended on it. They are: %s%s.", arn, strings.Join(dependents, ", "), more)
}

// accessDenied is IAM's wording for a resource that belongs to another account
// and was not shared.
func (r request) accessDenied(arn string) error {
	return fault.New(api.CodeAccessDenied, "User: %s is not authorized to perform: imagebuilder:%s on resource: %s because no resource-based policy allows the imagebuilder:%s action",
		r.ARN, r.operation, arn, r.operation)
}

// managed refuses changes of what belongs to Amazon.
func (r request) managed(arn string) error {
	return fault.New(api.CodeAccessDenied, "User: %s is not authorized to perform: imagebuilder:%s on resource: %s because it is managed by Amazon", r.ARN, r.operation, arn)
}

// own reads an ARN that the request acts on. It has to be of the kind, with the
// form, of the caller's account; what is in another region does not exist here.
func (r request) own(member string, text *string, kind store.Kind, forms ...form) (arn, error) {
	a, err := r.reachable(member, text, kind, forms...)
	if err != nil {
		return arn{}, err
	}
	if a.Account != r.Account {
		return arn{}, r.managed(a.String())
	}
	return a, nil
}

// reachable reads an ARN like own; it may also be Amazon's.
func (r request) reachable(member string, value *string, kind store.Kind, forms ...form) (arn, error) {
	s := text(value)
	a, ok := parseARN(s)
	if ok {
		ok = a.Kind == kind
	}
	formOK := false
	for _, f := range forms {
		formOK = formOK || a.form == f
	}
	if !ok || !formOK {
		return arn{}, invalid(member, "'%s' is not the ARN of %s.", fault.Clip(s), wanted(kind, forms))
	}
	switch {
	case a.Region != r.Region:
		return arn{}, notFound(s)
	case a.Account != r.Account && a.Account != amazon:
		return arn{}, r.accessDenied(s)
	}
	return a, nil
}

// refers reads an ARN of another resource that a new one is to use. It is like
// reachable, but what lies in another region is a bad value of the request, not
// a resource that it asked for.
func (r request) refers(member string, value *string, kind store.Kind, forms ...form) (arn, error) {
	a, err := r.reachable(member, value, kind, forms...)
	if fault.Code(err) == api.CodeResourceNotFound {
		return arn{}, invalid(member, "'%s' is in another region than the request, which is for %s.", fault.Clip(text(value)), r.Region)
	}
	return a, err
}

func wanted(kind store.Kind, forms []form) string {
	example := map[form]string{nameOnly: "NAME", versionForm: "NAME/1.2.3 (or with wildcards in its last places, as 1.x.x)", buildForm: "NAME/1.2.3/4"}
	var parts []string
	for _, f := range forms {
		name := string(kind)
		if kind == workflowKind {
			name += "/TYPE"
		}
		parts = append(parts, fmt.Sprintf("%s/%s", name, example[f]))
	}
	return strings.Join(parts, " or ")
}
