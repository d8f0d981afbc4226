package parameter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// The types of a parameter, its tiers and its data types, as the API spells
// them.
const (
	String       = "String"
	StringList   = "StringList"
	SecureString = "SecureString"

	Standard    = "Standard"
	Advanced    = "Advanced"
	Intelligent = "Intelligent-Tiering"

	Text  = "text"
	Image = "aws:ec2:image" // the value is an AMI that the account may launch
)

const kind store.Kind = "parameter"

const (
	maxVersions = 100   // of a parameter; older ones go (User Guide, "Working with parameter versions")
	maxStandard = 10000 // parameters of an account in a region
	maxAdvanced = 100000
	defaultKey  = "alias/aws/ssm"
)

// Parameter is one version of a named value.
type Parameter struct {
	Account        string            `json:"account"`
	Region         string            `json:"region"`
	Name           string            `json:"name"` // as it was first written
	Type           string            `json:"type"`
	Value          string            `json:"value"` // sealed in rows if it is a SecureString
	Version        int64             `json:"version"`
	Description    string            `json:"description,omitempty"`
	KeyID          string            `json:"keyId,omitempty"` // of a SecureString
	AllowedPattern string            `json:"allowedPattern,omitempty"`
	Tier           string            `json:"tier"`
	DataType       string            `json:"dataType"`
	Modified       time.Time         `json:"modified"`
	User           string            `json:"user"` // ARN of who put it
	Tags           map[string]string `json:"tags,omitempty"`
}

// ARN is the parameter's, without a version.
func (p *Parameter) ARN() string { return arn(p.Account, p.Region, p.Name) }

func arn(account, region, name string) string {
	return fmt.Sprintf("arn:%s:ssm:%s:%s:parameter/%s", cloud.PartitionFor(region), region, account, strings.TrimPrefix(name, "/"))
}

// Store has the parameters of every account and region.
type Store struct {
	store *store.Store
	world *cloud.World
	seal  *Seal
	now   func() time.Time
}

// New returns the parameters that s keeps. Secret values are sealed by seal; now
// is the clock, nil for the real one.
func New(s *store.Store, world *cloud.World, seal *Seal, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{store: s, world: world, seal: seal, now: now}
}

// key is where a parameter's versions are. Names with and without a leading
// slash are one parameter, as their ARN is one.
func key(account, region, name string) store.Key {
	return store.Key{Kind: kind, Account: account, Region: region, Name: strings.TrimPrefix(name, "/")}
}

var every = store.Version{Build: store.Any}

// Put writes a version of a parameter; one that is there is overwritten only if
// overwrite says so, and keeps what p leaves empty. It gives what was written.
// The errors are faults of the API.
func (s *Store) Put(ctx context.Context, tx *store.Tx, p Parameter, overwrite bool) (Parameter, error) {
	if err := checkName(p.Account, p.Region, p.Name); err != nil {
		return Parameter{}, err
	}
	old, exists, err := s.get(tx, p.Account, p.Region, p.Name, store.Any)
	switch {
	case err != nil:
		return Parameter{}, err
	case exists && !overwrite:
		return Parameter{}, fault.New("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case exists:
		if p, err = over(old, p); err != nil {
			return Parameter{}, err
		}
	default:
		p.Version = 1
	}
	if err := s.complete(ctx, tx, &p); err != nil {
		return Parameter{}, err
	}
	if !exists {
		if err := s.room(tx, p); err != nil {
			return Parameter{}, err
		}
	}
	p.Modified = s.now().UTC().Truncate(time.Millisecond)
	return p, s.insert(tx, p)
}

// over puts a new version over an old one.
func over(old, p Parameter) (Parameter, error) {
	if p.Type != "" && p.Type != old.Type {
		return Parameter{}, fault.New("HierarchyTypeMismatchException", "The parameter %s is a %s and cannot become a %s: delete it and create it anew.", old.Name, old.Type, p.Type)
	}
	if old.Tier == Advanced && p.Tier == Standard {
		return Parameter{}, fault.New("ValidationException", "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.")
	}
	p.Name, p.Type, p.Version, p.Tags = old.Name, old.Type, old.Version+1, old.Tags
	for _, m := range []struct{ to, from *string }{
		{&p.Description, &old.Description}, {&p.KeyID, &old.KeyID}, {&p.AllowedPattern, &old.AllowedPattern}, {&p.DataType, &old.DataType}, {&p.Tier, &old.Tier},
	} {
		if *m.to == "" {
			*m.to = *m.from
		}
	}
	return p, nil
}

// room holds an account to its quota.
func (s *Store) room(tx *store.Tx, p Parameter) error {
	n, err := tx.Count(kind, p.Account, p.Region)
	limit := int64(maxStandard)
	if p.Tier == Advanced {
		limit = maxAdvanced
	}
	if err == nil && n >= limit {
		err = fault.New("ParameterLimitExceeded", "You have exceeded the number of parameters for this AWS account in this Region, which is %d in the tier %s. Delete one or more parameters and try again.", limit, p.Tier)
	}
	return err
}

// insert writes the row of a version, and forgets the oldest beyond the limit.
func (s *Store) insert(tx *store.Tx, p Parameter) error {
	if p.Type == SecureString {
		p.Value = s.seal.seal(p.Value, p.place())
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding the parameter %s: %w", p.Name, err)
	}
	row := store.Resource{Key: key(p.Account, p.Region, p.Name), Version: store.Version{Build: p.Version}, ARN: rowARN(p.ARN(), p.Version), Created: p.Modified, Doc: doc}
	if err := tx.Insert(row); err != nil {
		return err
	}
	if p.Version <= maxVersions {
		return nil
	}
	err = tx.Delete(rowARN(p.ARN(), p.Version-maxVersions))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// place binds a sealed value to the version that it is of.
func (p *Parameter) place() string { return rowARN(p.ARN(), p.Version) }

func rowARN(arn string, version int64) string { return fmt.Sprintf("%s:%d", arn, version) }

// get gives a version of a parameter, store.Any for the newest. The value of a
// SecureString stays sealed.
func (s *Store) get(tx *store.Tx, account, region, name string, version int64) (Parameter, bool, error) {
	row, ok, err := tx.Match(key(account, region, name), store.Version{Build: version})
	if err != nil || !ok {
		return Parameter{}, false, err
	}
	p, err := decode(row)
	return p, err == nil, err
}

func decode(row store.Resource) (p Parameter, err error) {
	if err := json.Unmarshal(row.Doc, &p); err != nil {
		return Parameter{}, fmt.Errorf("decoding %s: %w", row.ARN, err)
	}
	return p, nil
}

// open gives a parameter with its value readable.
func (s *Store) open(p Parameter) (Parameter, error) {
	if p.Type != SecureString {
		return p, nil
	}
	value, err := s.seal.open(p.Value, p.place())
	p.Value = value
	return p, err
}

// Value gives the value that a reference selects for an account in a region: a
// name, "name:3", or the ARN of the account's own parameter. A fault
// ParameterNotFound or ParameterVersionNotFound if there is none.
func (s *Store) Value(tx *store.Tx, account, region, reference string) (string, error) {
	p, _, err := s.find(tx, account, region, reference)
	if err == nil {
		p, err = s.open(p)
	}
	return p.Value, err
}

// remove deletes all versions of a parameter.
func (s *Store) remove(tx *store.Tx, account, region, name string) (found bool, err error) {
	for {
		rows, err := s.versions(tx, account, region, name, 0, maxVersions)
		if err != nil || len(rows) == 0 {
			return found, err
		}
		for _, p := range rows {
			if err := tx.Delete(p.place()); err != nil {
				return found, err
			}
		}
		found = true
	}
}

// versions gives the versions of a parameter after one of them, oldest first.
func (s *Store) versions(tx *store.Tx, account, region, name string, after int64, limit int) ([]Parameter, error) {
	k := key(account, region, name)
	q := store.Query{Kind: kind, Account: account, Region: region, Name: k.Name, Scope: store.Builds, Pattern: &every, Limit: limit}
	if after > 0 {
		q.After = store.Cursor{Name: k.Name, Version: store.Version{Build: after}}
	}
	rows, err := tx.List(q)
	if err != nil {
		return nil, err
	}
	all := make([]Parameter, 0, len(rows))
	for _, row := range rows {
		p, err := decode(row)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
