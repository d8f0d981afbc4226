package imagebuilder

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// encode makes a row's document of an API shape.
func encode(shape any) ([]byte, error) {
	doc, err := json.Marshal(shape)
	if err != nil {
		return nil, fmt.Errorf("encoding a resource: %w", err)
	}
	return doc, nil
}

// decode reads a row's document.
func decode[T any](row store.Resource) (*T, error) {
	shape := new(T)
	if err := json.Unmarshal(row.Doc, shape); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", row.ARN, err)
	}
	return shape, nil
}

// load reads the resource with an ARN; a fault ResourceNotFoundException if it
// is not there.
func load[T any](tx *store.Tx, a arn) (*T, store.Resource, error) {
	row, ok, err := tx.Resource(a.String())
	if err != nil {
		return nil, store.Resource{}, err
	}
	if !ok {
		return nil, store.Resource{}, notFound(a.String())
	}
	shape, err := decode[T](row)
	return shape, row, err
}

// resolve reads the resource that an ARN names, or the highest that it selects.
func resolve[T any](tx *store.Tx, a arn) (*T, store.Resource, error) {
	if a.form == nameOnly {
		return load[T](tx, a)
	}
	pattern := a.version
	if a.form == versionForm {
		pattern.Build = store.Any
	}
	row, ok, err := tx.Match(a.Key, pattern)
	if err != nil {
		return nil, store.Resource{}, err
	}
	if !ok {
		return nil, store.Resource{}, notFound(a.String())
	}
	shape, err := decode[T](row)
	return shape, row, err
}

// add inserts a resource; a fault ResourceAlreadyExistsException if its name, or
// its name and version, are taken.
func (s *Service) add(tx *store.Tx, r request, a arn, row store.Resource, shape any) error {
	doc, err := encode(shape)
	if err != nil {
		return err
	}
	row.Key, row.Version, row.ARN, row.Created, row.Doc = a.Key, a.version, a.String(), r.now, doc
	if a.form != buildForm {
		row.Version.Build = 0
	}
	err = tx.Insert(row)
	if errors.Is(err, store.ErrExists) {
		return alreadyExists(a.Kind, a.String())
	}
	return err
}

// replace updates the document of a resource.
func replace(tx *store.Tx, row store.Resource, shape any) error {
	doc, err := encode(shape)
	if err != nil {
		return err
	}
	row.Doc = doc
	return tx.Update(row)
}

// target is the reference that using a makes.
func target(a arn) store.Target {
	pattern := a.version
	if a.form != buildForm {
		pattern.Build = store.Any
	}
	if a.form == nameOnly {
		pattern = store.Version{Build: store.Any}
	}
	return store.Target{Key: a.Key, Pattern: pattern}
}

// remove deletes the resource with an ARN unless something still needs it.
func (s *Service) remove(tx *store.Tx, a arn) error {
	row, ok, err := tx.Resource(a.String())
	if err != nil {
		return err
	}
	if !ok {
		return notFound(a.String())
	}
	dependents, err := dependentsOf(tx, a.Key, row)
	if err != nil {
		return err
	}
	if len(dependents) > 0 {
		return dependency(a.String(), dependents)
	}
	if err := removePolicy(tx, row); err != nil {
		return err
	}
	return tx.Delete(row.ARN)
}

// dependentsOf gives the ARNs of what would have nothing to point to without a
// row.
func dependentsOf(tx *store.Tx, key store.Key, row store.Resource) ([]string, error) {
	references, err := tx.References(key, 1000)
	if err != nil {
		return nil, err
	}
	var dependents []string
	for _, ref := range references {
		needed, err := needs(tx, ref.Target, row)
		if err != nil {
			return nil, err
		}
		if needed {
			dependents = append(dependents, ref.Source)
		}
	}
	return dependents, nil
}

// needs reports whether a reference would have nothing to point to without row.
func needs(tx *store.Tx, t store.Target, row store.Resource) (bool, error) {
	if !row.Version.Matches(t.Pattern) {
		return false, nil
	}
	others, err := tx.List(store.Query{Kind: t.Kind, Account: t.Account, Region: t.Region, Name: t.Name, Pattern: &t.Pattern, Limit: 2})
	if err != nil {
		return false, err
	}
	for _, o := range others {
		if o.ARN != row.ARN && o.Version.Matches(t.Pattern) {
			return false, nil
		}
	}
	return true, nil
}
