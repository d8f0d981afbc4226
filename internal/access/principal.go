package access

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Principal is who stands behind an access key, with what it may do: a user, or
// a session of a role. It never changes once it was made.
type Principal struct {
	Account string // 12 digits
	ARN     string // "arn:aws:iam::…:user/NAME", "arn:aws:sts::…:assumed-role/ROLE/SESSION"
	ID      string // stable: "AIDA…", "AROA…:SESSION"
	User    string // name; "" for sessions
	Role    string // ARN of a session's role; "" for users
	Tags    map[string]string
	Place   Place

	Policies []*Policy // identity-based: of the user or the role
	Session  *Session  // nil for users

	unlimited bool // a policy allows everything, and nothing is denied or limited
}

// Session is what a session has beside its role.
type Session struct {
	Name       string
	Issued     time.Time
	Expires    time.Time
	Limited    bool      // by Policies
	Policies   []*Policy // session policies: what they do not allow is not allowed
	Source     string    // source identity, "" if none
	Transitive []string  // tag keys that the sessions have which this one assumes
}

// Place is where an account is in an organisation.
type Place struct {
	Organization string // "o-…", "" if the account is in none
	Path         string // "o-…/r-…/ou-…/", as aws:PrincipalOrgPaths has it
}

// Memberships are the ids of the organisation and of the units that the account
// is in, from the top: "o-…", "ou-…".
func (p Place) Memberships() []string {
	return slices.DeleteFunc(strings.Split(p.Path, "/"), func(id string) bool {
		return !strings.HasPrefix(id, "o-") && !strings.HasPrefix(id, "ou-")
	})
}

// PrincipalARN implements identity.Principal: it is what aws:PrincipalArn says,
// for a session the ARN of its role.
func (p *Principal) PrincipalARN() string {
	if p.Role != "" {
		return p.Role
	}
	return p.ARN
}

// settle works out what need not be asked for every request.
func (p *Principal) settle() *Principal {
	for _, policy := range p.Policies {
		all, denies := policy.unconditional()
		if denies {
			p.unlimited = false
			break
		}
		p.unlimited = p.unlimited || all
	}
	p.unlimited = p.unlimited && (p.Session == nil || !p.Session.Limited)
	return p
}

// Unlimited reports whether the principal may do everything in its account, so
// that nothing has to be looked up to know it.
func (p *Principal) Unlimited() bool { return p.unlimited }

// Of gives the principal of a verified caller. A caller that does not come from
// a Directory has an ARN and an account, and no permissions.
func Of(c identity.Caller) *Principal {
	if p, ok := c.Principal.(*Principal); ok {
		return p
	}
	return &Principal{Account: c.Account, ARN: c.ARN, ID: c.UserID}
}

// AccountRoot is an account as a whole: whom a policy names that shares
// something with the account.
func AccountRoot(account string, place Place) *Principal {
	return &Principal{Account: account, ARN: "arn:aws:iam::" + account + ":root", ID: account, Place: place}
}

// stableID makes the id of a user or a role: the same whenever the server reads
// its configuration.
func stableID(prefix, arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return prefix + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

// keys gives the values of the global condition keys that follow from the
// principal (IAM User Guide, "Global condition context keys").
func (p *Principal) keys() map[string]string {
	all := map[string]string{
		"aws:principalarn":          p.PrincipalARN(),
		"aws:principalaccount":      p.Account,
		"aws:principaltype":         "User",
		"aws:principalisawsservice": "false",
		"aws:viaawsservice":         "false",
		"aws:userid":                p.ID,
	}
	if p.User != "" {
		all["aws:username"] = p.User
	}
	if strings.HasSuffix(p.ARN, ":root") {
		all["aws:principaltype"] = "Account"
	}
	if p.Place.Organization != "" {
		all["aws:principalorgid"] = p.Place.Organization
	}
	if s := p.Session; s != nil {
		all["aws:principaltype"] = "AssumedRole"
		all["aws:tokenissuetime"] = s.Issued.UTC().Format(time.RFC3339)
		all["aws:multifactorauthpresent"] = "false"
		if s.Source != "" {
			all["aws:sourceidentity"] = s.Source
		}
	}
	return all
}

// sessionTags are the tags of a session: the role's, under those given to the
// session.
func sessionTags(role, session map[string]string) map[string]string {
	all := maps.Clone(role)
	if all == nil {
		all = map[string]string{}
	}
	for key, v := range session {
		for have := range all { // tag keys are the same whatever their case
			if lower(have) == lower(key) {
				delete(all, have)
			}
		}
		all[key] = v
	}
	return all
}
