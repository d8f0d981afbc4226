package cloud

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// EC2 is the face of the world that Amazon EC2's clients see.
func (w *World) EC2() ec2.Service { return face{world: w} }

type face struct {
	ec2.Unimplemented
	world *World
}

var (
	imageID    = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
	snapshotID = regexp.MustCompile(`^snap-([0-9a-f]{8}|[0-9a-f]{17})$`)
	accountID  = regexp.MustCompile(`^[0-9]{12}$`)
)

// DescribeRegions lists the regions of the caller's partition; those that AWS
// has accounts opt in to are all enabled here.
func (f face) DescribeRegions(ctx context.Context, in *ec2.DescribeRegionsInput) (*ec2.DescribeRegionsOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	known := attributes[region]{
		"endpoint":      func(r region) []string { return []string{r.endpoint()} },
		"opt-in-status": func(r region) []string { return []string{r.optInStatus()} },
		"region-name":   func(r region) []string { return []string{r.name} },
	}
	filters, err := known.compile(in.Filters, func(region) map[string]string { return nil })
	if err != nil {
		return nil, err
	}
	all := regionsOf(identity.From(ctx).Region)
	for _, name := range in.RegionNames {
		if !slices.ContainsFunc(all, func(r region) bool { return r.name == name }) {
			return nil, fault.New("InvalidParameterValue", "Invalid region name: %s", name)
		}
	}
	out := &ec2.DescribeRegionsOutput{}
	for _, r := range all {
		if (len(in.RegionNames) == 0 || slices.Contains(in.RegionNames, r.name)) && pass(filters, r) {
			out.Regions = append(out.Regions, ec2.Region{RegionName: ptr(r.name), Endpoint: ptr(r.endpoint()), OptInStatus: ptr(r.optInStatus())})
		}
	}
	return out, nil
}

func refuseDryRun(dryRun *bool) error {
	if dryRun != nil && *dryRun {
		return fault.New("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	return nil
}

// page is where a listing goes on, bound to the request it began with.
type page struct {
	Query string `json:"q"`
	After string `json:"a"`
}

// limits reads maxResults and nextToken. What says which listing this is.
func limits(maxResults *int32, nextToken *string, withIDs bool, what ...any) (limit int, at page, err error) {
	data, err := json.Marshal(what)
	if err != nil {
		return 0, page{}, err
	}
	sum := sha256.Sum256(data)
	at.Query = hex.EncodeToString(sum[:8])
	limit = 1000
	if maxResults != nil {
		if withIDs {
			return 0, page{}, fault.New("InvalidParameterCombination", "The parameter MaxResults cannot be used with the parameter for resource IDs")
		}
		limit = int(*maxResults)
		if limit < 1 || limit > 1000 {
			return 0, page{}, fault.New("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between 1 and 1000.", limit)
		}
	}
	if nextToken != nil {
		raw, err := base64.RawURLEncoding.DecodeString(*nextToken)
		var got page
		if err != nil || json.Unmarshal(raw, &got) != nil || got.Query != at.Query {
			return 0, page{}, fault.New("InvalidParameterValue", "The token '%.40s' for the parameter NextToken is invalid", *nextToken)
		}
		at = got
	}
	return limit, at, nil
}

func (p page) token(after string) *string {
	p.After = after
	data, err := json.Marshal(p)
	if err != nil {
		panic("cloud: a page is plain data and always marshals: " + err.Error())
	}
	return ptr(base64.RawURLEncoding.EncodeToString(data))
}

// wanted checks IDs and gives them as a set; nil when there are none.
func wanted(ids []string, form *regexp.Regexp, code string) (map[string]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	set := make(map[string]bool)
	for _, id := range ids {
		if !form.MatchString(id) {
			return nil, fault.New(code, "Invalid id: \"%.100s\"", id)
		}
		set[id] = true
	}
	return set, nil
}

// owners reads owner names: "self", an alias, or an account.
func owners(names []string, account string) (map[string]bool, error) {
	if len(names) == 0 {
		return nil, nil
	}
	set := make(map[string]bool)
	for _, name := range names {
		switch {
		case name == "self":
			set[account] = true
		case name == "amazon":
			set[AmazonAccount] = true
		case name == "aws-marketplace", name == "aws-backup-vault":
		case accountID.MatchString(name):
			set[name] = true
		default:
			return nil, fault.New("InvalidUserID.Malformed", "Invalid user id: \"%.100s\"", name)
		}
	}
	return set, nil
}
