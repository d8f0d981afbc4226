package access

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is the sort of a policy, which says what elements it may have.
type Kind int

const (
	// IdentityBased policies belong to users and roles: they have a Resource and
	// no Principal. Session policies have the same form.
	IdentityBased Kind = iota
	// ResourceBased policies belong to resources: they say whom they speak of.
	ResourceBased
	// Trust policies belong to roles: they say who may assume them.
	Trust
)

// Policy is a policy document that was read and checked. It never changes, and
// may be used by many goroutines.
type Policy struct {
	statements []statement
}

// statement is one element of a policy's Statement.
type statement struct {
	deny         bool
	principals   []principal // nil in identity-based policies
	notPrincipal bool
	actions      []pattern // in lower case
	notAction    bool
	resources    []arnPattern // nil in trust policies: the role itself
	notResource  bool
	conditions   []condition
}

// principal is one entry of a Principal element.
type principal struct {
	form    principalForm
	account string // 12 digits
	arn     string
}

type principalForm byte

const (
	everyone     principalForm = iota // "*"
	wholeAccount                      // an account, or its root: whomever the account lets
	named                             // a user, a role, a session
	service                           // an AWS service or an identity provider: nobody who calls here
)

// Lookup gives the values that a request has for a condition key, which is in
// lower case ("aws:resourcetag/team"); ok is false if it has none.
type Lookup func(key string) (values []string, ok bool)

// unconditional reports whether the policy allows everything to everyone it
// belongs to, and whether it denies anything.
func (p *Policy) unconditional() (allowsAll, denies bool) {
	for i := range p.statements {
		s := &p.statements[i]
		if s.deny {
			denies = true
			continue
		}
		all := !s.notAction && !s.notResource && len(s.conditions) == 0
		everyAction, everyResource := false, false
		for _, a := range s.actions {
			everyAction = everyAction || len(a) == 1 && a[0].kind == anyMany
		}
		for _, r := range s.resources {
			everyResource = everyResource || r.isAnything()
		}
		allowsAll = allowsAll || all && everyAction && everyResource
	}
	return allowsAll, denies
}

// Grantees gives the accounts that the statements that allow something name,
// "*" for everybody: the accounts in which someone may find a use for it.
func (p *Policy) Grantees() []string {
	var all []string
	seen := map[string]bool{}
	add := func(account string) {
		if !seen[account] {
			seen[account] = true
			all = append(all, account)
		}
	}
	for _, s := range p.statements {
		if s.deny {
			continue
		}
		for _, p := range s.principals {
			switch p.form {
			case everyone:
				add("*")
			case wholeAccount, named:
				add(p.account)
			}
		}
	}
	return all
}

// says is what the statements of a policy that speak of a request say together.
type says struct {
	denied  bool
	allowed bool    // at all
	through grantee // of resource-based policies: the closest way in which it was allowed
}

// grantee is how a resource-based policy names whom it allows something.
type grantee byte

const (
	nobody     grantee = iota
	theAccount         // the caller's account, which leaves it to its own policies
	thePrincipal
	theSession
)

// ask evaluates a policy. An explicit denial says everything.
func (p *Policy) ask(who *Principal, action, resource string, context Lookup) says {
	var out says
	action = lower(action)
	for i := range p.statements {
		s := &p.statements[i]
		through, ok := s.speaksOf(who)
		if !ok || !s.matchesAction(action) || !s.holds(resource, context) {
			continue
		}
		if s.deny {
			return says{denied: true}
		}
		out.allowed = true
		out.through = max(out.through, through)
	}
	return out
}

// speaksOf reports whether a statement concerns a principal, and how closely it
// names it.
func (s *statement) speaksOf(who *Principal) (grantee, bool) {
	if s.principals == nil {
		return nobody, true
	}
	through := nobody
	for _, p := range s.principals {
		through = max(through, p.names(who))
	}
	if s.notPrincipal {
		return nobody, through == nobody
	}
	return through, through != nobody
}

// names says how an entry names a principal.
func (p principal) names(who *Principal) grantee {
	switch {
	case p.form == everyone:
		return thePrincipal
	case p.form == wholeAccount && p.account == who.Account:
		return theAccount
	case p.form == named && who.Role != "" && p.arn == who.ARN:
		return theSession
	case p.form == named && (p.arn == who.ARN || who.Role != "" && p.arn == who.Role):
		return thePrincipal
	}
	return nobody
}

func (s *statement) matchesAction(action string) bool {
	for _, a := range s.actions {
		if a.match(action) {
			return !s.notAction
		}
	}
	return s.notAction
}

// holds reports whether a statement speaks of a resource under the request's
// conditions. One with a variable that the request has no value for does not.
func (s *statement) holds(resource string, context Lookup) bool {
	if s.resources != nil {
		found := false
		for i := range s.resources {
			r, ok := s.resources[i].expand(context)
			if !ok {
				return false
			}
			found = found || r.match(resource)
		}
		if found == s.notResource {
			return false
		}
	}
	for i := range s.conditions {
		if ok, valid := s.conditions[i].holds(context); !ok || !valid {
			return false
		}
	}
	return true
}

// Grants reports whether a resource-based policy lets a principal do something,
// whatever the principal's own policies say.
func (p *Policy) Grants(who *Principal, action, resource string, context Lookup) bool {
	said := p.ask(who, action, resource, context)
	return said.allowed && !said.denied
}

// GrantsAccount is Grants for an account as a whole, when nobody in particular
// asks: what is granted to one of its users or roles counts.
func (p *Policy) GrantsAccount(account string, place Place, action, resource string) bool {
	root := AccountRoot(account, place)
	values := Values{}
	for key, value := range root.keys() {
		values.Set(key, value)
	}
	if place.Path != "" {
		values["aws:principalorgpaths"] = []string{place.Path}
	}
	if said := p.ask(root, action, resource, values.Lookup); said.denied || said.allowed {
		return !said.denied
	}
	action = lower(action)
	for i := range p.statements {
		s := &p.statements[i]
		names := slices.ContainsFunc(s.principals, func(x principal) bool { return x.form == named && x.account == account })
		if !s.deny && names && s.matchesAction(action) && s.holds(resource, values.Lookup) {
			return true
		}
	}
	return false
}

// Concerns checks that every statement of a resource-based policy names the
// resource that it belongs to and only actions that can be granted on it. Its
// error names the statement and the reason.
func (p *Policy) Concerns(resource string, actions []string) error {
	none := func(string) ([]string, bool) { return nil, false }
	for i := range p.statements {
		s := &p.statements[i]
		if s.notResource || s.notAction {
			return malformed("Statement[%d]: it must have Action and Resource, not their opposites", i)
		}
		for _, r := range s.resources {
			if plain, ok := r.expand(none); !ok || !plain.match(resource) {
				return malformed("Statement[%d]: Resource: it must be the resource that the policy is for, '%s'", i, resource)
			}
		}
		for _, pattern := range s.actions {
			if !slices.ContainsFunc(actions, func(a string) bool { return pattern.match(lower(a)) }) {
				return malformed("Statement[%d]: Action: '%s' is not one of the actions that can be granted on the resource: %s", i, pattern.written(), strings.Join(actions, ", "))
			}
		}
	}
	return nil
}

// malformed is an error that names a member of a policy as policies spell it.
func malformed(format string, args ...any) error { return fmt.Errorf(format, args...) }
