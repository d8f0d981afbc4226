package access

import (
	"cmp"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Account is an account with its principals.
type Account struct {
	ID      string // 12 digits
	Users   []User
	Roles   []Role
	Managed map[string]*Policy // managed policies by name
}

// User is an IAM user.
type User struct {
	Name     string
	Path     string // "/", "/build/"
	Tags     map[string]string
	Keys     []AccessKey
	Policies []*Policy
}

// AccessKey is a long-lived key of a user.
type AccessKey struct {
	ID     string
	Secret identity.Secret
}

// Role is an IAM role.
type Role struct {
	Name       string
	Path       string
	Tags       map[string]string
	Trust      *Policy
	Policies   []*Policy
	MaxSession time.Duration // from 1 h to 12 h

	account string
	place   Place
}

// ARN is the role's.
func (r *Role) ARN() string { return roleARN(r.account, r.Path, r.Name) }

// Account is that of the role.
func (r *Role) Account() string { return r.account }

// ID is stable as long as the role has its name.
func (r *Role) ID() string { return stableID("AROA", r.ARN()) }

func roleARN(account, path, name string) string {
	return "arn:aws:iam::" + account + ":role" + cmp.Or(path, "/") + name
}

// Assume makes a session of the role. tags are the session's own.
func (r *Role) Assume(s Session, tags map[string]string) *Principal {
	p := &Principal{
		Account: r.account, ARN: "arn:aws:sts::" + r.account + ":assumed-role/" + r.Name + "/" + s.Name, ID: r.ID() + ":" + s.Name, Role: r.ARN(),
		Tags: sessionTags(r.Tags, tags), Place: r.place, Policies: r.Policies, Session: &s,
	}
	return p.settle()
}

// Directory has every principal of a server. It never changes: a changed
// configuration makes a new one.
type Directory struct {
	keys    map[string]identity.Key
	roles   map[string]*Role   // by ARN
	managed map[string]*Policy // by ARN
	places  map[string]Place   // by account
}

// NewDirectory makes a Directory. It fails if two access keys, or two users or
// roles of an account, have the same name.
func NewDirectory(accounts []Account, organizations []Organization) (*Directory, error) {
	d := &Directory{keys: map[string]identity.Key{}, roles: map[string]*Role{}, managed: maps.Clone(amazonPolicies), places: map[string]Place{}}
	for _, o := range organizations {
		if err := o.place(d.places); err != nil {
			return nil, err
		}
	}
	for _, a := range accounts {
		names := map[string]bool{}
		for _, u := range a.Users {
			if name := "user " + lower(u.Name); names[name] {
				return nil, fmt.Errorf("account %s has two users %q", a.ID, u.Name)
			} else {
				names[name] = true
			}
			if err := d.addUser(a.ID, u); err != nil {
				return nil, err
			}
		}
		for _, r := range a.Roles {
			if name := "role " + lower(r.Name); names[name] {
				return nil, fmt.Errorf("account %s has two roles %q", a.ID, r.Name)
			} else {
				names[name] = true
			}
			r.account, r.place = a.ID, d.places[a.ID]
			d.roles[r.ARN()] = &r
		}
		for name, p := range a.Managed {
			d.managed["arn:aws:iam::"+a.ID+":policy/"+name] = p
		}
	}
	return d, nil
}

func (d *Directory) addUser(account string, u User) error {
	arn := "arn:aws:iam::" + account + ":user" + cmp.Or(u.Path, "/") + u.Name
	p := &Principal{Account: account, ARN: arn, ID: stableID("AIDA", arn), User: u.Name, Tags: u.Tags, Place: d.places[account], Policies: u.Policies}
	p.settle()
	for _, k := range u.Keys {
		if _, taken := d.keys[k.ID]; taken {
			return fmt.Errorf("the access key %s is there twice", k.ID)
		}
		d.keys[k.ID] = identity.Key{AccessKeyID: k.ID, SecretAccessKey: k.Secret, Account: account, ARN: arn, UserID: p.ID, Principal: p}
	}
	return nil
}

// Key finds a long-lived access key.
func (d *Directory) Key(id string) (identity.Key, bool) {
	k, ok := d.keys[id]
	return k, ok
}

// Role finds a role.
func (d *Directory) Role(arn string) (*Role, bool) {
	r, ok := d.roles[arn]
	return r, ok
}

// Managed finds a managed policy, of an account or of Amazon.
func (d *Directory) Managed(arn string) (*Policy, bool) {
	p, ok := d.managed[arn]
	return p, ok
}

// Place says where an account is in its organisation.
func (d *Directory) Place(account string) Place { return d.places[account] }

// Organization is an organisation with its tree of accounts.
type Organization struct {
	ID   string // "o-…"
	Root Unit   // with the id "r-…"
}

// Unit is an organisational unit, or the root of an organisation.
type Unit struct {
	ID       string // "ou-…"
	Accounts []string
	Units    []Unit
}

// place notes where each account is.
func (o Organization) place(places map[string]Place) error {
	var walk func(u Unit, path string) error
	walk = func(u Unit, path string) error {
		path += u.ID + "/"
		for _, account := range u.Accounts {
			if at, taken := places[account]; taken {
				return fmt.Errorf("the account %s is in %s and in %s", account, strings.TrimSuffix(at.Path, "/"), strings.TrimSuffix(path, "/"))
			}
			places[account] = Place{Organization: o.ID, Path: path}
		}
		for _, below := range u.Units {
			if err := walk(below, path); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(o.Root, o.ID+"/")
}
