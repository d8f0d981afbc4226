package gate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// Resources has the resources that requests name.
type Resources interface {
	// Resource gives what an ARN names, or what one with wildcards selects, with
	// its tags and policy; ok is false if there is none.
	Resource(ctx context.Context, arn string) (r access.Resource, ok bool, err error)
}

// Gate decides about requests. It is safe for concurrent use.
type Gate struct {
	resources map[string]Resources
	now       func() time.Time
}

// New returns a Gate that looks resources up by the service in their ARNs; those
// of a service that is not there have neither tags nor policies. now is the
// clock, nil for the real one.
func New(resources map[string]Resources, now func() time.Time) *Gate {
	if now == nil {
		now = time.Now
	}
	return &Gate{resources: resources, now: now}
}

// asked is a request as the tables see it.
type asked struct {
	identity.Caller
	service   string
	operation string
}

// need is one permission that a request takes.
type need struct {
	action   string // "imagebuilder:GetComponent"
	resource string // ARN, or "*"
	values   access.Values
}

// rule gives the permissions that an operation takes.
type rule func(a asked, in any) []need

// tables are the rules by service and operation.
var tables = map[string]map[string]rule{
	"imagebuilder": imageBuilder,
	"ec2":          ec2,
	"sns":          sns,
	"ssm":          ssm,
	"sts":          sts,
}

// Authorize implements wire.Gate.
func (g *Gate) Authorize(ctx context.Context, s *shape.Service, op *shape.Operation, in any) error {
	a := asked{Caller: identity.From(ctx), service: s.Name, operation: op.Name}
	rule, ok := tables[s.Name][op.Name]
	if !ok {
		return fmt.Errorf("the operation %s of %s has no rule that says who may call it", op.Name, s.Name)
	}
	for _, n := range rule(a, in) {
		denial, err := g.decide(ctx, a, n)
		if err != nil {
			return fmt.Errorf("looking up whether %s is allowed: %w", n.action, err)
		}
		if denial != "" {
			return refuse(s, denial)
		}
	}
	return nil
}

// Permit asks for one permission that no operation of the API stands for, and
// gives a refusal in EC2's words.
func (g *Gate) Permit(ctx context.Context, action, resource string) error {
	denial, err := g.decide(ctx, asked{Caller: identity.From(ctx)}, need{action: action, resource: resource})
	if err != nil {
		return fmt.Errorf("looking up whether %s is allowed: %w", action, err)
	}
	if denial != "" {
		return fault.New("UnauthorizedOperation", "You are not authorized to perform this operation. %s", denial)
	}
	return nil
}

// refuse gives a refusal the code of its service.
func refuse(s *shape.Service, denial string) error {
	const sns = "AuthorizationError" // the only service that has this one
	switch _, ok := s.Errors[sns]; {
	case ok:
		return fault.New(sns, "%s", denial)
	case s.Protocol == shape.EC2:
		return fault.New("UnauthorizedOperation", "You are not authorized to perform this operation. %s", denial)
	case s.Protocol == shape.Query:
		return fault.New("AccessDenied", "%s", denial)
	}
	return fault.New("AccessDeniedException", "%s", denial)
}

// decide says why a permission is missing, "" if it is not. What the caller
// named is what the message repeats: it tells nobody what there is.
func (g *Gate) decide(ctx context.Context, a asked, n need) (denial string, err error) {
	who := access.Of(a.Caller)
	foreign := owner(n.resource) != "" && owner(n.resource) != who.Account
	if who.Unlimited() && (!foreign || isAmazon(owner(n.resource))) {
		return "", nil
	}
	if n.action == passRole && foreign {
		return fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s because cross-account pass role is not allowed", who.ARN, n.action, n.resource), nil
	}
	values := access.Global(a.Caller, g.now())
	for key, value := range n.values {
		values[key] = value
	}
	values.Set("aws:resourceaccount", owner(n.resource))
	if a.service == "sns" {
		values.Set("aws:sourceowner", a.Account) // that topics' default policy asks for
	}
	request := access.Request{Principal: who, Action: n.action, Resource: n.resource, Context: values.Lookup}
	found, ok, err := g.find(ctx, n.resource)
	if err != nil {
		return "", err
	}
	if ok {
		values.Tags("aws:resourcetag", found.Tags)
		request.Policy = found.Policy
	}
	decision := access.Decide(request)
	if ok && found.ARN != n.resource {
		decision = both(decision, request, found.ARN)
	}
	if decision.Allowed {
		return "", nil
	}
	return access.Denial(request, decision), nil
}

// both decides about a request that selects a resource by wildcards or by its
// version: the resource itself has to be allowed, and neither its ARN nor the
// one that was asked for may be denied. For Amazon's own resources, which are
// everybody's, being allowed to ask suffices.
func both(asking access.Decision, r access.Request, selected string) access.Decision {
	if asking.Explicit {
		return asking
	}
	if asking.Allowed && isAmazon(owner(r.Resource)) {
		r.Resource = selected
		if d := access.Decide(r); d.Explicit {
			return d
		}
		return asking
	}
	r.Resource = selected
	return access.Decide(r)
}

// find looks a resource up. A list of builds, and what is yet to be made, names
// no single one.
func (g *Gate) find(ctx context.Context, arn string) (access.Resource, bool, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || strings.Contains(parts[5], "*") {
		return access.Resource{}, false, nil
	}
	r, ok := g.resources[parts[2]]
	if !ok {
		return access.Resource{}, false, nil
	}
	return r.Resource(ctx, arn)
}

// owner is the account in an ARN, "" if it has none.
func owner(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return ""
	}
	return parts[4]
}

// isAmazon reports whether an account is one whose resources are everybody's.
func isAmazon(account string) bool { return strings.HasPrefix(account, "aws") }
