package parameter

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// scanned is how many rows one request looks through at most; its page may then
// be short, and has a token all the same.
const scanned = 5000

// page is where a listing goes on, bound to the request it began with.
type page struct {
	Query   string `json:"q"`
	Name    string `json:"n,omitempty"`
	Version int64  `json:"v,omitempty"`
}

// start reads a token; what says which listing this is.
func start(token *string, what ...any) (page, error) {
	data, err := json.Marshal(what)
	if err != nil {
		return page{}, err
	}
	sum := sha256.Sum256(data)
	at := page{Query: hex.EncodeToString(sum[:8])}
	if token == nil {
		return at, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	var got page
	if err != nil || json.Unmarshal(raw, &got) != nil || got.Query != at.Query {
		return page{}, fault.New("InvalidNextToken", "The specified token isn't valid.")
	}
	return got, nil
}

func (p page) token() *string {
	data, err := json.Marshal(p)
	if err != nil {
		panic("parameter: a page is plain data and always marshals: " + err.Error())
	}
	return ptr(base64.RawURLEncoding.EncodeToString(data))
}

// scan goes through the newest versions of the parameters below a prefix, in the
// order of their names, and gives those that are wanted; more is the name to go
// on after, "" at the end.
func (s *Store) scan(tx *store.Tx, caller identity.Caller, prefix, after string, limit int, wants func(Parameter) bool) (all []Parameter, more string, err error) {
	if after == "" {
		after = prefix
	}
	for looked := 0; looked < scanned; {
		rows, err := tx.List(store.Query{Kind: kind, Account: caller.Account, Region: caller.Region, Scope: store.Names, After: store.Cursor{Name: after}, Limit: 100})
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			if !strings.HasPrefix(row.Name, prefix) {
				return all, "", nil
			}
			p, err := decode(row)
			if err != nil {
				return nil, "", err
			}
			if wants(p) {
				if len(all) == limit {
					return all, after, nil
				}
				all = append(all, p)
			}
			after = row.Name
		}
		if len(rows) < 100 {
			return all, "", nil
		}
		looked += len(rows)
	}
	return all, after, nil
}

// GetParametersByPath gives the values of a hierarchy.
func (f face) GetParametersByPath(ctx context.Context, in *ssm.GetParametersByPathInput) (*ssm.GetParametersByPathOutput, error) {
	path := strings.TrimSuffix(*in.Path, "/")
	if !strings.HasPrefix(*in.Path, "/") || strings.Contains(path, "//") || path != "" && !nameForm.MatchString(path) {
		return nil, invalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). All sub-paths, if specified, must use the forward slash symbol \"/\".")
	}
	filters, err := compile(in.ParameterFilters, "Type", "KeyId", "Tier", "DataType", "Label")
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	at, err := start(in.NextToken, "path", caller.Account, caller.Region, in.Path, in.Recursive, in.ParameterFilters)
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimPrefix(path+"/", "/")
	within := below(prefix, or(in.Recursive, false))
	wants := func(p Parameter) bool { return within(p) && filters.pass(p) }
	out := &ssm.GetParametersByPathOutput{Parameters: []ssm.Parameter{}}
	err = f.parameters.store.Read(ctx, func(tx *store.Tx) error {
		all, more, err := f.parameters.scan(tx, caller, prefix, at.Name, int(or(in.MaxResults, 10)), wants)
		if err != nil {
			return err
		}
		for _, p := range all {
			shown, err := f.parameters.show(p, "", or(in.WithDecryption, false))
			if err != nil {
				return err
			}
			out.Parameters = append(out.Parameters, shown)
		}
		if more != "" {
			out.NextToken = page{Query: at.Query, Name: more}.token()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// below tells the parameters under a prefix, of its own level only unless
// recursive.
func below(prefix string, recursive bool) func(Parameter) bool {
	return func(p Parameter) bool {
		rest, ok := strings.CutPrefix(strings.TrimPrefix(p.Name, "/"), prefix)
		return ok && (recursive || !strings.Contains(rest, "/"))
	}
}

// GetParameterHistory gives the versions of a parameter, oldest first.
func (f face) GetParameterHistory(ctx context.Context, in *ssm.GetParameterHistoryInput) (*ssm.GetParameterHistoryOutput, error) {
	caller := identity.From(ctx)
	at, err := start(in.NextToken, "history", caller.Account, caller.Region, in.Name)
	if err != nil {
		return nil, err
	}
	limit := int(or(in.MaxResults, 50))
	out := &ssm.GetParameterHistoryOutput{Parameters: []ssm.ParameterHistory{}}
	err = f.parameters.store.Read(ctx, func(tx *store.Tx) error {
		p, _, err := f.parameters.find(tx, caller.Account, caller.Region, *in.Name)
		if err != nil {
			return err
		}
		all, err := f.parameters.versions(tx, caller.Account, caller.Region, p.Name, at.Version, limit+1)
		if err != nil {
			return err
		}
		if len(all) > limit {
			all = all[:limit]
			out.NextToken = page{Query: at.Query, Version: all[limit-1].Version}.token()
		}
		for _, p := range all {
			if or(in.WithDecryption, false) {
				if p, err = f.parameters.open(p); err != nil {
					return err
				}
			}
			out.Parameters = append(out.Parameters, ssm.ParameterHistory{
				Name: &p.Name, Type: ptr(ssm.ParameterType(p.Type)), KeyId: some(p.KeyID), LastModifiedDate: shape.At(p.Modified), LastModifiedUser: &p.User, Description: some(p.Description),
				Value: &p.Value, AllowedPattern: some(p.AllowedPattern), Version: &p.Version, Tier: ptr(ssm.ParameterTier(p.Tier)), DataType: &p.DataType, Policies: []ssm.ParameterInlinePolicy{},
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeParameters lists what there is, without values.
func (f face) DescribeParameters(ctx context.Context, in *ssm.DescribeParametersInput) (*ssm.DescribeParametersOutput, error) {
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	given := in.ParameterFilters
	for _, old := range in.Filters {
		given = append(given, ssm.ParameterStringFilter{Key: ptr(string(*old.Key)), Values: old.Values})
	}
	filters, err := compile(given, "Path", "Name", "Type", "KeyId", "Tier", "DataType")
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	at, err := start(in.NextToken, "describe", caller.Account, caller.Region, given, in.Shared)
	if err != nil {
		return nil, err
	}
	out := &ssm.DescribeParametersOutput{Parameters: []ssm.ParameterMetadata{}}
	if or(in.Shared, false) {
		return out, nil // nothing is shared between accounts here
	}
	err = f.parameters.store.Read(ctx, func(tx *store.Tx) error {
		all, more, err := f.parameters.scan(tx, caller, "", at.Name, int(or(in.MaxResults, 50)), filters.pass)
		for _, p := range all {
			out.Parameters = append(out.Parameters, ssm.ParameterMetadata{
				Name: &p.Name, ARN: ptr(p.ARN()), Type: ptr(ssm.ParameterType(p.Type)), KeyId: some(p.KeyID), LastModifiedDate: shape.At(p.Modified), LastModifiedUser: &p.User, Description: some(p.Description),
				AllowedPattern: some(p.AllowedPattern), Version: &p.Version, Tier: ptr(ssm.ParameterTier(p.Tier)), DataType: &p.DataType, Policies: []ssm.ParameterInlinePolicy{},
			})
		}
		if more != "" {
			out.NextToken = page{Query: at.Query, Name: more}.token()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// filters are those of a request, understood: a parameter must pass all.
type filters []func(Parameter) bool

func (fs filters) pass(p Parameter) bool {
	for _, f := range fs {
		if !f(p) {
			return false
		}
	}
	return true
}

// compile reads filters whose keys must be among some, or tags.
func compile(given []ssm.ParameterStringFilter, keys ...string) (filters, error) {
	var all filters
	seen := map[string]bool{}
	for _, g := range given {
		key := *g.Key
		tag, isTag := strings.CutPrefix(key, "tag:")
		if !isTag {
			tag = ""
		}
		known := isTag
		for _, k := range keys {
			known = known || k == key
		}
		if !known {
			return nil, fault.New("InvalidFilterKey", "The following filter key is not valid: %s. Valid filter keys include: [%s].", fault.Clip(key), strings.Join(keys, ", "))
		}
		if seen[key] {
			return nil, fault.New("InvalidFilterKey", "The following filter is duplicated in the request: %s. A request can contain only one occurrence of a specific filter.", fault.Clip(key))
		}
		seen[key] = true
		if len(g.Values) == 0 && !isTag {
			return nil, fault.New("InvalidFilterValue", "The following filter values are missing : null for filter key %s.", key)
		}
		f, err := compileOne(key, tag, or(g.Option, ""), g.Values)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

func compileOne(key, tag, option string, values []string) (func(Parameter) bool, error) {
	if key == "Path" {
		if option != "" && option != "OneLevel" && option != "Recursive" {
			return nil, fault.New("InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [Recursive, OneLevel].", option)
		}
		return anyOf(values, func(p Parameter, v string) bool {
			return below(strings.TrimPrefix(strings.TrimSuffix(v, "/")+"/", "/"), option == "Recursive")(p)
		}), nil
	}
	var compare func(have, want string) bool
	switch {
	case option == "" || option == "Equals":
		compare = func(have, want string) bool { return have == want }
	case option == "BeginsWith":
		compare = strings.HasPrefix
	case option == "Contains" && key == "Name":
		compare = strings.Contains
	default:
		return nil, fault.New("InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [BeginsWith, Equals].", option)
	}
	if tag != "" {
		return func(p Parameter) bool {
			have, ok := p.Tags[tag]
			return ok && (len(values) == 0 || anyOf(values, func(_ Parameter, v string) bool { return compare(have, v) })(p))
		}, nil
	}
	return anyOf(values, func(p Parameter, v string) bool {
		switch key {
		case "Name":
			return compare(strings.TrimPrefix(p.Name, "/"), strings.TrimPrefix(v, "/"))
		case "Type":
			return compare(p.Type, v)
		case "KeyId":
			return compare(p.KeyID, v)
		case "Tier":
			return compare(p.Tier, v)
		case "DataType":
			return compare(p.DataType, v)
		}
		return false // Label: there are none here
	}), nil
}

// anyOf tells whether a test holds for some value.
func anyOf(values []string, test func(Parameter, string) bool) func(Parameter) bool {
	return func(p Parameter) bool {
		for _, v := range values {
			if test(p, v) {
				return true
			}
		}
		return false
	}
}
