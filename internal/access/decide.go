package access

import (
	"fmt"
	"strings"
)

// Request is one thing that a principal wants to do.
type Request struct {
	Principal *Principal
	Action    string // "imagebuilder:GetComponent"
	Resource  string // ARN, or "*" for an action that has no resource
	Context   Lookup
	Policy    *Policy // of the resource, nil if it has none
	Role      bool    // the resource is a role and Policy its trust policy, without which nothing is allowed
}

// Decision says whether a request is allowed, and if not, why.
type Decision struct {
	Allowed  bool
	Explicit bool   // a statement denies it, rather than none allowing it
	By       Origin // the policies that decided
}

// Origin is a sort of policy as error messages call it.
type Origin string

// The sorts of policy.
const (
	ByIdentity Origin = "identity-based"
	ByResource Origin = "resource-based"
	BySession  Origin = "session"
)

// Decide evaluates all the policies that concern a request, by IAM's rules
// ("Policy evaluation logic"):
//
//   - an explicit denial anywhere wins;
//   - within an account, an identity-based policy or a resource-based policy that
//     names the principal allows; one that names only the account leaves it to
//     the identity-based policies;
//   - across accounts, both must allow;
//   - a session has what its role has, no more than its session policies allow. A
//     resource-based policy that names the session itself is not limited by them.
//
// Amazon's own resources (account "aws") are everybody's to use.
func Decide(r Request) Decision {
	p := r.Principal
	var identity, session, resource says
	if p.unlimited {
		identity.allowed = true
	} else if identity = askAll(p.Policies, r); identity.denied {
		return Decision{Explicit: true, By: ByIdentity}
	}
	if r.Policy != nil {
		if resource = r.Policy.ask(p, r.Action, r.Resource, r.Context); resource.denied {
			return Decision{Explicit: true, By: ByResource}
		}
	}
	session.allowed = true
	if p.Session != nil && p.Session.Limited {
		if session = askAll(p.Session.Policies, r); session.denied {
			return Decision{Explicit: true, By: BySession}
		}
	}
	owner := ownerOf(r.Resource)
	foreign := owner != "" && owner != p.Account && !strings.HasPrefix(owner, "aws")
	switch {
	case (foreign || r.Role) && !resource.allowed:
		if foreign && !identity.allowed && !r.Role {
			return Decision{By: ByIdentity}
		}
		return Decision{By: ByResource}
	case !foreign && resource.through == theSession:
		return Decision{Allowed: true, By: ByResource}
	case !identity.allowed && (foreign || resource.through != thePrincipal):
		return Decision{By: ByIdentity}
	case !session.allowed:
		return Decision{By: BySession}
	}
	return Decision{Allowed: true}
}

// askAll evaluates policies that hold together.
func askAll(policies []*Policy, r Request) says {
	var out says
	for _, p := range policies {
		one := p.ask(r.Principal, r.Action, r.Resource, r.Context)
		if one.denied {
			return one
		}
		out.allowed = out.allowed || one.allowed
	}
	return out
}

// Denial words a refusal as IAM does: who may not do what on which resource, and
// by which sort of policy.
func Denial(r Request, d Decision) string {
	who := fmt.Sprintf("User: %s is not authorized to perform: %s", r.Principal.ARN, r.Action)
	if r.Resource != "*" {
		who += " on resource: " + r.Resource
	}
	if r.Role {
		return who
	}
	if !d.Explicit {
		return fmt.Sprintf("%s because no %s policy allows the %s action", who, d.By, r.Action)
	}
	article := "a"
	if d.By == ByIdentity {
		article = "an"
	}
	return fmt.Sprintf("%s with an explicit deny in %s %s policy", who, article, d.By)
}

// Resource is what a request names, as the service that has it knows it.
type Resource struct {
	ARN    string // of the one that the request names or selects
	Tags   map[string]string
	Policy *Policy // resource-based, nil if there is none
}
