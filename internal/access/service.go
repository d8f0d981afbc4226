package access

import "slices"

// LetsService reports whether a role's trust policy lets a service of AWS, such
// as "ec2.amazonaws.com", do something. It has no session yet: context has what
// is known of the request.
func (p *Policy) LetsService(name, action string, context Lookup) bool {
	allowed := false
	for i := range p.statements {
		s := &p.statements[i]
		spoken := slices.ContainsFunc(s.principals, func(x principal) bool {
			return x.form == everyone || x.form == service && x.arn == "Service:"+name
		})
		if spoken == s.notPrincipal || !s.matchesAction(lower(action)) || !s.holds("", context) {
			continue
		}
		if s.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

// RoleNamed finds a role of an account by its name, whatever its path.
func (d *Directory) RoleNamed(account, name string) (*Role, bool) {
	for _, r := range d.roles {
		if r.account == account && r.Name == name {
			return r, true
		}
	}
	return nil, false
}
