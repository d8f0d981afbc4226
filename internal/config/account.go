package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Account is an AWS account that the server knows.
type Account struct {
	ID       string   `yaml:"id"` // 12 digits
	Name     string   `yaml:"name"`
	Keys     []Key    `yaml:"keys"` // of administrators, who may do everything in the account
	Users    []User   `yaml:"users"`
	Roles    []Role   `yaml:"roles"`
	Policies []Policy `yaml:"policies"` // managed policies: arn:aws:iam::ID:policy/NAME
	Provider string   `yaml:"provider"` // "aws": its AMIs are made at AWS; "": here
	AWS      *Access  `yaml:"aws"`      // how to get in there
}

// Key is an access key.
type Key struct {
	AccessKeyID     string          `yaml:"accessKeyId"`
	SecretAccessKey identity.Secret `yaml:"secretAccessKey"`
	User            string          `yaml:"user"` // of an administrator, default "admin"
}

// User is an IAM user, who may do what policies allow.
type User struct {
	Name              string            `yaml:"name"`
	Path              string            `yaml:"path"` // default "/"
	Tags              map[string]string `yaml:"tags"`
	Keys              []Key             `yaml:"keys"`
	Policies          []Policy          `yaml:"policies"`
	ManagedPolicyARNs []string          `yaml:"managedPolicyArns"`
}

// Role is an IAM role, which users and other roles assume.
type Role struct {
	Name               string            `yaml:"name"`
	Path               string            `yaml:"path"` // default "/"
	Tags               map[string]string `yaml:"tags"`
	TrustPolicy        Policy            `yaml:"trustPolicy"`        // who may assume the role; without a name
	MaxSessionDuration int               `yaml:"maxSessionDuration"` // seconds, 3600 to 43200, default 3600
	Policies           []Policy          `yaml:"policies"`
	ManagedPolicyARNs  []string          `yaml:"managedPolicyArns"`
}

var (
	accountID     = regexp.MustCompile(`^[0-9]{12}$`)
	accessKeyID   = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
	principalName = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	principalPath = regexp.MustCompile(`^/([\w+=,.@-]+/)*$`)
	policyName    = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
)

// sessionKeys begins the ids of temporary keys, which only STS makes.
const sessionKeys = "ASIA"

func (a *Account) check(dir string) error {
	if !accountID.MatchString(a.ID) {
		return fmt.Errorf("id: must be 12 digits in quotes, not %q", a.ID)
	}
	if err := a.checkProvider(); err != nil {
		return err
	}
	for i, k := range a.Keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("keys[%d].%w", i, err)
		}
		if k.User != "" && !principalName.MatchString(k.User) {
			return fmt.Errorf("keys[%d].user: %q is not the name of a user", i, k.User)
		}
	}
	if err := checkPolicies(dir, "policies", a.Policies); err != nil {
		return err
	}
	for i := range a.Users {
		if err := a.Users[i].check(dir); err != nil {
			return fmt.Errorf("users[%d].%w", i, err)
		}
		if slices.ContainsFunc(a.Keys, func(k Key) bool { return strings.EqualFold(k.userName(), a.Users[i].Name) }) {
			return fmt.Errorf("users[%d].name: %q is an administrator with a key below 'keys'", i, a.Users[i].Name)
		}
	}
	for i := range a.Roles {
		if err := a.Roles[i].check(dir); err != nil {
			return fmt.Errorf("roles[%d].%w", i, err)
		}
	}
	return nil
}

func (k Key) check() error {
	switch {
	case !accessKeyID.MatchString(k.AccessKeyID):
		return errors.New("accessKeyId: must be 16 to 128 capital letters and digits")
	case strings.HasPrefix(k.AccessKeyID, sessionKeys):
		return fmt.Errorf("accessKeyId: %s… are the keys of sessions", sessionKeys)
	case len(k.SecretAccessKey) < 16:
		return errors.New("secretAccessKey: must have at least 16 characters")
	}
	return nil
}

// userName is the administrator whom a key belongs to.
func (k Key) userName() string {
	if k.User == "" {
		return administrator
	}
	return k.User
}

// administrator is the user of keys that name none.
const administrator = "admin"

func (u *User) check(dir string) error {
	if err := checkPrincipal(u.Name, u.Path, u.Tags); err != nil {
		return err
	}
	for i, k := range u.Keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("keys[%d].%w", i, err)
		}
		if k.User != "" {
			return fmt.Errorf("keys[%d].user: the key is that of %s", i, u.Name)
		}
	}
	return checkPolicies(dir, "policies", u.Policies)
}

func (r *Role) check(dir string) error {
	if err := checkPrincipal(r.Name, r.Path, r.Tags); err != nil {
		return err
	}
	if r.MaxSessionDuration == 0 {
		r.MaxSessionDuration = 3600
	}
	if r.MaxSessionDuration < 3600 || r.MaxSessionDuration > 43200 {
		return fmt.Errorf("maxSessionDuration: must be 3600 to 43200 seconds, not %d", r.MaxSessionDuration)
	}
	if err := r.TrustPolicy.read(dir, access.Trust); err != nil {
		return fmt.Errorf("trustPolicy: %w", err)
	}
	return checkPolicies(dir, "policies", r.Policies)
}

func checkPrincipal(name, path string, tags map[string]string) error {
	switch {
	case !principalName.MatchString(name):
		return fmt.Errorf("name: must be 1 to 64 letters, digits and _+=,.@-, not %q", name)
	case path != "" && !principalPath.MatchString(path):
		return fmt.Errorf("path: must begin and end with a slash, not %q", path)
	}
	for key, value := range tags {
		if len(key) < 1 || len(key) > 128 || len(value) > 256 {
			return fmt.Errorf("tags: %q: keys have 1 to 128 characters, values at most 256", key)
		}
	}
	return nil
}
