package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/access"
)

// Organization is an AWS organisation with the accounts in it.
type Organization struct {
	ID       string   `yaml:"id"`       // "o-" and 10 to 32 letters and digits
	Root     string   `yaml:"root"`     // "r-…", default "r-root"
	Accounts []string `yaml:"accounts"` // directly below the root
	Units    []Unit   `yaml:"units"`
}

// Unit is an organisational unit.
type Unit struct {
	ID       string   `yaml:"id"` // "ou-…-…"
	Name     string   `yaml:"name"`
	Accounts []string `yaml:"accounts"`
	Units    []Unit   `yaml:"units"`
}

var (
	organizationID = regexp.MustCompile(`^o-[a-z0-9]{10,32}$`)
	rootID         = regexp.MustCompile(`^r-[0-9a-z]{4,32}$`)
	unitID         = regexp.MustCompile(`^ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}$`)
)

// maxUnits is how deep units may be in each other, as in AWS.
const maxUnits = 5

func (o Organization) check() error {
	switch {
	case !organizationID.MatchString(o.ID):
		return fmt.Errorf("id: must be o- and 10 to 32 small letters and digits, not %q", o.ID)
	case o.Root != "" && !rootID.MatchString(o.Root):
		return fmt.Errorf("root: must be r- and 4 to 32 small letters and digits, not %q", o.Root)
	}
	return checkUnits(o.Accounts, o.Units, 0)
}

func checkUnits(accounts []string, units []Unit, depth int) error {
	if depth > maxUnits {
		return fmt.Errorf("units: they can be at most %d deep", maxUnits)
	}
	for i, a := range accounts {
		if !accountID.MatchString(a) {
			return fmt.Errorf("accounts[%d]: must be 12 digits in quotes, not %q", i, a)
		}
	}
	for i, u := range units {
		if !unitID.MatchString(u.ID) {
			return fmt.Errorf("units[%d].id: must be like ou-ab12-11111111, not %q", i, u.ID)
		}
		if err := checkUnits(u.Accounts, u.Units, depth+1); err != nil {
			return fmt.Errorf("units[%d].%w", i, err)
		}
	}
	return nil
}

// Directory gives the principals of the configuration. own is the key of the
// data folder, which makes its holder an administrator of the first account;
// without an id there is none.
func (c *Config) Directory(own access.AccessKey) (*access.Directory, error) {
	accounts := make([]access.Account, 0, len(c.Accounts))
	managed := map[string]*access.Policy{}
	for _, a := range c.Accounts {
		for _, p := range a.Policies {
			managed["arn:aws:iam::"+a.ID+":policy/"+p.Name] = p.policy
		}
	}
	for i, a := range c.Accounts {
		account, err := a.principals(managed)
		if err != nil {
			return nil, fmt.Errorf("accounts[%d].%w", i, err)
		}
		keys := a.Keys
		if i == 0 && own.ID != "" {
			keys = append([]Key{{AccessKeyID: own.ID, SecretAccessKey: own.Secret}}, keys...)
		}
		account.Users = append(administrators(keys), account.Users...)
		accounts = append(accounts, account)
	}
	var organizations []access.Organization
	for _, o := range c.Organizations {
		root := access.Unit{ID: o.Root, Accounts: o.Accounts, Units: units(o.Units)}
		if root.ID == "" {
			root.ID = "r-root"
		}
		organizations = append(organizations, access.Organization{ID: o.ID, Root: root})
	}
	return access.NewDirectory(accounts, organizations)
}

func units(all []Unit) []access.Unit {
	var out []access.Unit
	for _, u := range all {
		out = append(out, access.Unit{ID: u.ID, Accounts: u.Accounts, Units: units(u.Units)})
	}
	return out
}

// administrators are the users of an account's own keys.
func administrators(keys []Key) []access.User {
	var users []access.User
	for _, k := range keys {
		i := slices.IndexFunc(users, func(u access.User) bool { return u.Name == k.userName() })
		if i < 0 {
			i, users = len(users), append(users, access.User{Name: k.userName(), Policies: []*access.Policy{access.Administrator}})
		}
		users[i].Keys = append(users[i].Keys, access.AccessKey{ID: k.AccessKeyID, Secret: k.SecretAccessKey})
	}
	return users
}

// principals are the users and roles of an account.
func (a *Account) principals(managed map[string]*access.Policy) (access.Account, error) {
	out := access.Account{ID: a.ID, Managed: map[string]*access.Policy{}}
	for _, p := range a.Policies {
		out.Managed[p.Name] = p.policy
	}
	for i, u := range a.Users {
		policies, err := a.attached(u.Policies, u.ManagedPolicyARNs, managed)
		if err != nil {
			return out, fmt.Errorf("users[%d].%w", i, err)
		}
		user := access.User{Name: u.Name, Path: u.Path, Tags: u.Tags, Policies: policies}
		for _, k := range u.Keys {
			user.Keys = append(user.Keys, access.AccessKey{ID: k.AccessKeyID, Secret: k.SecretAccessKey})
		}
		out.Users = append(out.Users, user)
	}
	for i, r := range a.Roles {
		policies, err := a.attached(r.Policies, r.ManagedPolicyARNs, managed)
		if err != nil {
			return out, fmt.Errorf("roles[%d].%w", i, err)
		}
		out.Roles = append(out.Roles, access.Role{
			Name: r.Name, Path: r.Path, Tags: r.Tags, Trust: r.TrustPolicy.policy, Policies: policies, MaxSession: time.Duration(r.MaxSessionDuration) * time.Second,
		})
	}
	return out, nil
}

// attached puts inline and managed policies together.
func (a *Account) attached(inline []Policy, arns []string, managed map[string]*access.Policy) ([]*access.Policy, error) {
	var all []*access.Policy
	for _, p := range inline {
		all = append(all, p.policy)
	}
	for i, arn := range arns {
		p, ok := managed[arn]
		if !ok {
			p, ok = access.AmazonPolicy(arn)
		}
		if !ok {
			return nil, fmt.Errorf("managedPolicyArns[%d]: there is no policy %q: name one below 'policies' of an account, or one of %v", i, arn, access.AmazonPolicies())
		}
		all = append(all, p)
	}
	return all, nil
}

// hasSecrets reports whether the file is worth stealing.
func (c *Config) hasSecrets() bool {
	if u, err := url.Parse(c.Database); c.S3.SecretAccessKey != "" || err == nil && u.User != nil && strings.Contains(u.User.String(), ":") {
		return true
	}
	if c.S3.SecretAccessKey != "" {
		return true
	}
	if slices.ContainsFunc(c.Events, func(r Receiver) bool { return r.Secret != "" }) || c.hasKeySecrets() {
		return true
	}
	for _, a := range c.Accounts {
		if len(a.Keys) > 0 || slices.ContainsFunc(a.Users, func(u User) bool { return len(u.Keys) > 0 }) {
			return true
		}
	}
	return false
}
