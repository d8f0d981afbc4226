package imagebuilder

import (
	"cmp"
	"context"
	"slices"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// What another account shares may be read and used, and never changed. The
// policy of each single build or version says who may: an ARN that selects among
// several needs the permission for the one it selects.

// usable reads an ARN like reachable; it may also name what another account
// shares. Whoever takes it has to ask granted before reading the resource.
func (r request) usable(member string, value *string, kind store.Kind, forms ...form) (arn, error) {
	a, ok := parseARN(text(value))
	if _, share := shareable[kind]; ok && share && a.Kind == kind && a.Region == r.Region && a.Account != r.Account && slices.Contains(forms, a.form) {
		return a, nil
	}
	return r.reachable(member, value, kind, forms...)
}

// borrows reads an ARN of another resource that a new one is to use, like refers;
// it may be one that another account shares.
func (s *Service) borrows(tx *store.Tx, r request, member string, value *string, kind store.Kind, forms ...form) (arn, error) {
	a, err := r.usable(member, value, kind, forms...)
	if err != nil {
		return r.refers(member, value, kind, forms...)
	}
	return a, s.granted(tx, r, a)
}

// granted refuses what belongs to another account and is not shared with the
// request's. That it is not there is said in the same words.
func (s *Service) granted(tx *store.Tx, r request, a arn) error {
	if a.Account == r.Account || a.Account == amazon {
		return nil
	}
	row, ok, err := find(tx, a)
	if err != nil {
		return err
	}
	if ok {
		if ok, err = s.shares(tx, r, row); err != nil {
			return err
		}
	}
	if !ok {
		return r.accessDenied(a.String())
	}
	return nil
}

// stillGranted is granted for a build, some time after what it uses was named.
func (s *Service) stillGranted(tx *store.Tx, r request, a arn) error {
	if err := s.granted(tx, r, a); err != nil {
		if fault.Code(err) == "" {
			return err
		}
		return fault.New(api.CodeClient, "The resource '%s' is not shared with the account %s, or not any more.", a, r.Account)
	}
	return nil
}

// shares reports whether the policy of a resource lets the request's caller use
// it. A build or a schedule acts for an account as a whole.
func (s *Service) shares(tx *store.Tx, r request, row store.Resource) (bool, error) {
	a, ok := parseARN(row.ARN)
	if !ok {
		return false, nil
	}
	policy, err := parsedPolicy(tx, a)
	if err != nil || policy == nil {
		return false, err
	}
	action := shareable[a.Kind][0]
	if r.Principal == nil {
		return policy.GrantsAccount(r.Account, s.place(r.Account), action, row.ARN), nil
	}
	return policy.Grants(access.Of(r.Caller), action, row.ARN, access.Global(r.Caller, r.now).Lookup), nil
}

// place says where an account is in its organisation.
func (s *Service) place(account string) access.Place {
	if s.places == nil {
		return access.Place{}
	}
	return s.places(account)
}

// sharedWith gives the resources of a kind that other accounts share with the
// request's caller, in the order of name, account and version.
func (s *Service) sharedWith(tx *store.Tx, r request, kind store.Kind) ([]store.Resource, error) {
	var all []store.Resource
	seen := map[string]bool{}
	for _, account := range []string{r.Account, everyone} {
		found, err := tx.References(store.Key{Kind: "shared-" + kind, Account: account, Region: r.Region, Name: "shared"}, maxShared)
		if err != nil {
			return nil, err
		}
		for _, ref := range found {
			arn := ref.Source[len("policy:"):]
			if seen[arn] {
				continue
			}
			seen[arn] = true
			row, ok, err := tx.Resource(arn)
			if err != nil {
				return nil, err
			}
			if !ok || row.Account == r.Account {
				continue
			}
			if ok, err = s.shares(tx, r, row); err != nil {
				return nil, err
			}
			if ok {
				row.Content = nil
				all = append(all, row)
			}
		}
	}
	slices.SortFunc(all, func(a, b store.Resource) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Account, b.Account), compareVersions(a.Version, b.Version))
	})
	return all, nil
}

// maxShared is how many shared resources of a kind are looked at for a list.
const maxShared = 10_000

// listShared reads a page of what is shared with the caller: versions with their
// latest shared build, or names.
func listShared[T any](ctx context.Context, s *Service, r request, kind store.Kind, byName *bool, at place, limit int, keep func(*T) bool) (page []entry[T], next *string, err error) {
	var rows []store.Resource
	err = s.read(ctx, func(tx *store.Tx) error {
		rows, err = s.sharedWith(tx, r, kind)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for i, row := range rows {
		if i+1 < len(rows) && sameEntry(row, rows[i+1], or(byName, false)) {
			continue // a later build, or version, stands for it
		}
		place := store.Cursor{Name: row.Name + "/" + row.Account, Version: row.Version}
		if compareCursors(place, at.After) <= 0 {
			continue
		}
		shape, err := decode[T](row)
		if err != nil {
			return nil, nil, err
		}
		if !keep(shape) {
			continue
		}
		if len(page) == limit {
			last := page[limit-1].row
			return page, at.token(store.Cursor{Name: last.Name + "/" + last.Account, Version: last.Version}), nil
		}
		page = append(page, entry[T]{row, shape})
	}
	return page, nil, nil
}

// sameEntry reports whether a list shows two rows as one.
func sameEntry(a, b store.Resource, byName bool) bool {
	if a.Name != b.Name || a.Account != b.Account {
		return false
	}
	v, w := a.Version, b.Version
	return byName || v.Major == w.Major && v.Minor == w.Minor && v.Patch == w.Patch
}
