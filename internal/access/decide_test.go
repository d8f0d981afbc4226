package access_test

import (
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/access"
)

// directory has a user of each account, and a role of bob's that alice may
// assume.
func directory(t testing.TB, userPolicies, rolePolicies []*access.Policy) *access.Directory {
	t.Helper()
	trust := parse(t, access.Trust, `{"Statement": {"Effect": "Allow", "Principal": {"AWS": "`+alice+`"}, "Action": "sts:AssumeRole"}}`)
	d, err := access.NewDirectory([]access.Account{
		{ID: alice, Users: []access.User{{Name: "ci", Policies: userPolicies, Keys: []access.AccessKey{{ID: "AKIAALICE", Secret: "s"}}}}},
		{ID: bob, Roles: []access.Role{{Name: "deploy", Path: "/ops/", Trust: trust, Policies: rolePolicies, Tags: map[string]string{"Team": "ops", "env": "prod"}}}},
	}, []access.Organization{{ID: "o-abcdefghij", Root: access.Unit{ID: "r-ab12", Units: []access.Unit{{ID: "ou-ab12-11111111", Accounts: []string{bob}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// session is one of bob's role, limited if policies are given.
func session(t testing.TB, d *access.Directory, limits ...*access.Policy) *access.Principal {
	t.Helper()
	r, ok := d.Role("arn:aws:iam::" + bob + ":role/ops/deploy")
	if !ok {
		t.Fatal("there is no such role")
	}
	return r.Assume(access.Session{Name: "run", Issued: time.Unix(0, 0), Limited: limits != nil, Policies: limits}, map[string]string{"team": "web"})
}

func TestWhoDecides(t *testing.T) {
	t.Parallel()
	const get = "imagebuilder:GetComponent"
	any := allow(t, `"Action": "*", "Resource": "*"`)
	none := allow(t, `"Action": "ec2:*", "Resource": "*"`)
	deny := parse(t, access.IdentityBased, `{"Statement": {"Effect": "Deny", "Action": "imagebuilder:*", "Resource": "*"}}`)
	share := func(effect, principal string) *access.Policy {
		return parse(t, access.ResourceBased, `{"Statement": {"Effect": "`+effect+`", "Principal": `+principal+`, "Action": "imagebuilder:GetComponent", "Resource": "*"}}`)
	}
	d := directory(t, nil, []*access.Policy{any})
	assumed := "arn:aws:sts::" + bob + ":assumed-role/deploy/run"
	his := "arn:aws:imagebuilder:us-east-1:" + bob + ":component/db/1.0.0/1"
	managed := "arn:aws:imagebuilder:us-east-1:aws:component/update-linux/1.0.0/1"
	var (
		yes        = access.Decision{Allowed: true}
		byResource = access.Decision{Allowed: true, By: access.ByResource}
		noIdentity = access.Decision{By: access.ByIdentity}
		noResource = access.Decision{By: access.ByResource}
	)
	for name, c := range map[string]struct {
		who      *access.Principal
		resource string
		policy   *access.Policy
		want     access.Decision
	}{
		"own, allowed":                        {user(any), web, nil, yes},
		"own, not allowed":                    {user(none), web, nil, noIdentity},
		"own, denied":                         {user(any, deny), web, nil, access.Decision{Explicit: true, By: access.ByIdentity}},
		"own, by its policy alone":            {user(none), web, share("Allow", `{"AWS": "arn:aws:iam::111111111111:user/ci"}`), yes},
		"own, by its account only":            {user(none), web, share("Allow", `{"AWS": "111111111111"}`), noIdentity},
		"own, denied by its policy":           {user(any), web, share("Deny", `"*"`), access.Decision{Explicit: true, By: access.ByResource}},
		"own, another user's":                 {user(none), web, share("Allow", `{"AWS": "arn:aws:iam::111111111111:user/other"}`), noIdentity},
		"foreign, no policy":                  {user(any), his, nil, noResource},
		"foreign, shared with the account":    {user(any), his, share("Allow", `{"AWS": "arn:aws:iam::111111111111:root"}`), yes},
		"foreign, shared with the user":       {user(any), his, share("Allow", `{"AWS": ["arn:aws:iam::111111111111:user/ci"]}`), yes},
		"foreign, shared with all":            {user(any), his, share("Allow", `"*"`), yes},
		"foreign, shared with another":        {user(any), his, share("Allow", `{"AWS": "333333333333"}`), noResource},
		"foreign, shared, not allowed itself": {user(none), his, share("Allow", `"*"`), noIdentity},
		"foreign, neither":                    {user(none), his, nil, noIdentity},
		"foreign, denied to all but one":      {user(any), his, parse(t, access.ResourceBased, `{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "NotPrincipal": {"AWS": "333333333333"}, "Action": "*", "Resource": "*"}]}`), access.Decision{Explicit: true, By: access.ByResource}},
		"Amazon's":                            {user(any), managed, nil, yes},
		"Amazon's, not allowed":               {user(none), managed, nil, noIdentity},
		"session":                             {session(t, d), his, nil, yes},
		"session, limited":                    {session(t, d, none), his, nil, access.Decision{By: access.BySession}},
		"session, limit denies":               {session(t, d, any, deny), his, nil, access.Decision{Explicit: true, By: access.BySession}},
		"session, limited, role is named":     {session(t, d, none), his, share("Allow", `{"AWS": "arn:aws:iam::222222222222:role/ops/deploy"}`), access.Decision{By: access.BySession}},
		"session, limited, itself named":      {session(t, d, none), his, share("Allow", `{"AWS": "`+assumed+`"}`), byResource},
		"session, another one named":          {session(t, d, none), his, share("Allow", `{"AWS": "`+assumed+`2"}`), access.Decision{By: access.BySession}},
	} {
		got := access.Decide(access.Request{Principal: c.who, Action: get, Resource: c.resource, Context: values(c.who, nil).Lookup, Policy: c.policy})
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestDenials(t *testing.T) {
	t.Parallel()
	r := access.Request{Principal: user(), Action: "imagebuilder:GetComponent", Resource: web}
	const who = "User: arn:aws:iam::111111111111:user/ci is not authorized to perform: imagebuilder:GetComponent"
	for want, d := range map[string]access.Decision{
		who + " on resource: " + web + " because no identity-based policy allows the imagebuilder:GetComponent action": {By: access.ByIdentity},
		who + " on resource: " + web + " because no resource-based policy allows the imagebuilder:GetComponent action": {By: access.ByResource},
		who + " on resource: " + web + " with an explicit deny in an identity-based policy":                            {By: access.ByIdentity, Explicit: true},
		who + " on resource: " + web + " with an explicit deny in a session policy":                                    {By: access.BySession, Explicit: true},
	} {
		if got := access.Denial(r, d); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	r.Resource = "*"
	if got, want := access.Denial(r, access.Decision{By: access.ByIdentity}), who+" because no identity-based policy allows the imagebuilder:GetComponent action"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// A trust policy is what allows: without it nothing is allowed, not even by an
// administrator of the role's own account.
func TestTrust(t *testing.T) {
	t.Parallel()
	administrator := user(access.Administrator)
	his := user(access.Administrator)
	his.Account, his.ARN = bob, "arn:aws:iam::"+bob+":user/root"
	powerless := user()
	trust := func(principal, condition string) *access.Policy {
		return parse(t, access.Trust, `{"Statement": {"Effect": "Allow", "Principal": `+principal+`, "Action": "sts:AssumeRole", "Condition": {`+condition+`}}}`)
	}
	const role = "arn:aws:iam::" + bob + ":role/ops/deploy"
	for name, c := range map[string]struct {
		who   *access.Principal
		trust *access.Policy
		more  access.Values
		want  bool
	}{
		"trusted account":                  {administrator, trust(`{"AWS": "`+alice+`"}`, ""), nil, true},
		"trusted account, powerless":       {powerless, trust(`{"AWS": "`+alice+`"}`, ""), nil, false},
		"trusted user, powerless":          {powerless, trust(`{"AWS": "arn:aws:iam::`+alice+`:user/ci"}`, ""), nil, false},
		"untrusted administrator":          {his, trust(`{"AWS": "`+alice+`"}`, ""), nil, false},
		"own account":                      {his, trust(`{"AWS": "`+bob+`"}`, ""), nil, true},
		"a service only":                   {administrator, trust(`{"Service": "lambda.amazonaws.com"}`, ""), nil, false},
		"external id":                      {administrator, trust(`{"AWS": "`+alice+`"}`, `"StringEquals": {"sts:ExternalId": "7"}`), access.Values{"sts:externalid": {"7"}}, true},
		"another external id":              {administrator, trust(`{"AWS": "`+alice+`"}`, `"StringEquals": {"sts:ExternalId": "7"}`), access.Values{"sts:externalid": {"8"}}, false},
		"no external id":                   {administrator, trust(`{"AWS": "`+alice+`"}`, `"StringEquals": {"sts:ExternalId": "7"}`), nil, false},
		"outside the trusted organisation": {administrator, trust(`"*"`, `"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}`), nil, false},
	} {
		got := access.Decide(access.Request{Principal: c.who, Action: "sts:AssumeRole", Resource: role, Policy: c.trust, Role: true, Context: values(c.who, c.more).Lookup})
		if got.Allowed != c.want {
			t.Errorf("%s: %+v, want %v", name, got, c.want)
		}
	}
}

func TestWhatIsKnownOfASession(t *testing.T) {
	t.Parallel()
	p := session(t, directory(t, nil, nil))
	v := values(p, nil)
	for key, want := range map[string]string{
		"aws:principalarn": "arn:aws:iam::222222222222:role/ops/deploy", "aws:principaltype": "AssumedRole", "aws:principalorgid": "o-abcdefghij",
		"aws:principalorgpaths": "o-abcdefghij/r-ab12/ou-ab12-11111111/", "aws:principaltag/team": "web", "aws:principaltag/env": "prod", "aws:tokenissuetime": "1970-01-01T00:00:00Z",
	} {
		if got, _ := v.Lookup(key); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if _, ok := v.Lookup("aws:username"); ok {
		t.Error("a session has a user's name")
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	t.Parallel()
	key := []access.AccessKey{{ID: "AKIAX"}}
	for name, accounts := range map[string][]access.Account{
		"key":  {{ID: alice, Users: []access.User{{Name: "a", Keys: key}, {Name: "b", Keys: key}}}},
		"user": {{ID: alice, Users: []access.User{{Name: "a"}, {Name: "A"}}}},
		"role": {{ID: alice, Roles: []access.Role{{Name: "a", Path: "/x/"}, {Name: "a"}}}},
	} {
		if _, err := access.NewDirectory(accounts, nil); err == nil {
			t.Errorf("%s: two of the same name were taken", name)
		}
	}
	twice := access.Organization{ID: "o-a", Root: access.Unit{ID: "r-a", Accounts: []string{alice}, Units: []access.Unit{{ID: "ou-a", Accounts: []string{alice}}}}}
	if _, err := access.NewDirectory(nil, []access.Organization{twice}); err == nil {
		t.Error("an account was taken into an organisation twice")
	}
}
