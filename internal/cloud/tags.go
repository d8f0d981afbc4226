package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// maxTags is how many tags a resource may have.
const maxTags = 50

// with gives tags with more put over them.
func with(tags, more map[string]string) map[string]string {
	all := maps.Clone(tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, more)
	return all
}

// readTags checks tags that a client sets.
func readTags(given []ec2.Tag) (map[string]string, error) {
	all := map[string]string{}
	for _, t := range given {
		key, value := text(t.Key), text(t.Value)
		switch {
		case key == "" || len([]rune(key)) > 127:
			return nil, fault.New("InvalidParameterValue", "Tag keys must have 1 to 127 characters")
		case len([]rune(value)) > 255:
			return nil, fault.New("InvalidParameterValue", "Tag value exceeds the maximum length of 255 characters")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, fault.New("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
		all[key] = value
	}
	return all, nil
}

// specifiedTags are the tags for the first of some kinds of a new resource;
// specifications for other kinds are refused.
func specifiedTags(given []ec2.TagSpecification, kinds ...ec2.ResourceType) (map[string]string, error) {
	var tags map[string]string
	for _, s := range given {
		kind := ec2.ResourceType("")
		if s.ResourceType != nil {
			kind = *s.ResourceType
		}
		if !slices.Contains(kinds, kind) {
			return nil, fault.New("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", kind)
		}
		all, err := readTags(s.Tags)
		if err != nil {
			return nil, err
		}
		if kind == kinds[0] {
			tags = all
		}
	}
	return tags, nil
}

// retag changes the tags of a resource of the caller's, whose kind its id tells.
func (f face) retag(ctx context.Context, tx *store.Tx, id string, change func(map[string]string)) error {
	caller := identity.From(ctx)
	changed := func(tags map[string]string) (map[string]string, error) {
		all := with(tags, nil)
		change(all)
		if len(all) > maxTags {
			return nil, fault.New("TagLimitExceeded", "%s can have %d tags at most", id, maxTags)
		}
		return all, nil
	}
	switch {
	case imageID.MatchString(id):
		a, err := f.world.mine(ctx, tx, id)
		if err != nil {
			return err
		}
		tags, err := changed(a.Tags)
		if err != nil {
			return err
		}
		_, err = f.world.Modify(tx, id, func(a *AMI) { a.Tags = tags })
		return err
	case snapshotID.MatchString(id):
		s, ok, err := f.world.Snapshot(tx, id)
		if err == nil && (!ok || s.Account != caller.Account || s.Region != caller.Region) {
			err = fault.New("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
		}
		if err == nil {
			s.Tags, err = changed(s.Tags)
		}
		if err != nil {
			return err
		}
		doc, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", id, err)
		}
		return tx.UpdateSnapshot(id, doc)
	case templateID.MatchString(id):
		t, err := f.world.Template(tx, caller.Account, caller.Region, id)
		if err == nil {
			t.Tags, err = changed(t.Tags)
		}
		if err != nil {
			return err
		}
		return f.world.saveTemplate(tx, t)
	case keyPairID.MatchString(id):
		k, err := f.world.keyPairByID(tx, caller.Account, caller.Region, id)
		if err == nil {
			k.Tags, err = changed(k.Tags)
		}
		if err != nil {
			return err
		}
		return f.world.saveKeyPair(tx, k)
	}
	return fault.New("InvalidID", "The ID '%.100s' is not valid", id)
}

// CreateTags sets tags of images, snapshots, launch templates and key pairs.
func (f face) CreateTags(ctx context.Context, in *ec2.CreateTagsInput) (*ec2.CreateTagsOutput, error) {
	tags, err := readTags(in.Tags)
	if err != nil {
		return nil, err
	}
	err = f.world.store.Write(ctx, func(tx *store.Tx) error {
		for _, id := range in.Resources {
			if err := f.retag(ctx, tx, id, func(all map[string]string) { maps.Copy(all, tags) }); err != nil {
				return err
			}
		}
		return refuseDryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CreateTagsOutput{}, nil
}

// DeleteTags removes tags: those with a value only if they have it, and all if
// none are named.
func (f face) DeleteTags(ctx context.Context, in *ec2.DeleteTagsInput) (*ec2.DeleteTagsOutput, error) {
	err := f.world.store.Write(ctx, func(tx *store.Tx) error {
		for _, id := range in.Resources {
			err := f.retag(ctx, tx, id, func(all map[string]string) {
				if len(in.Tags) == 0 {
					clear(all)
				}
				for _, t := range in.Tags {
					if t.Value == nil || all[text(t.Key)] == *t.Value {
						delete(all, text(t.Key))
					}
				}
			})
			if err != nil {
				return err
			}
		}
		return refuseDryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.DeleteTagsOutput{}, nil
}

// tagged is one tag of a resource, as DescribeTags lists it.
type tagged struct{ id, kind, key, value string }

var tagAttributes = attributes[tagged]{
	"key":           func(t tagged) []string { return []string{t.key} },
	"resource-id":   func(t tagged) []string { return []string{t.id} },
	"resource-type": func(t tagged) []string { return []string{t.kind} },
	"value":         func(t tagged) []string { return []string{t.value} },
}

// DescribeTags lists the tags of the caller's resources.
func (f face) DescribeTags(ctx context.Context, in *ec2.DescribeTagsInput) (*ec2.DescribeTagsOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	filters, err := tagAttributes.compile(in.Filters, func(t tagged) map[string]string { return map[string]string{t.key: t.value} })
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	limit, at, err := limits(in.MaxResults, in.NextToken, false, "tags", caller.Account, caller.Region, in.Filters)
	if err != nil {
		return nil, err
	}
	var all []tagged
	err = f.world.store.Read(ctx, func(tx *store.Tx) error {
		all, err = f.world.allTags(tx, caller)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b tagged) int { return strings.Compare(a.place(), b.place()) })
	out := &ec2.DescribeTagsOutput{Tags: []ec2.TagDescription{}}
	last := ""
	for _, t := range all {
		if t.place() <= at.After || !pass(filters, t) {
			continue
		}
		if len(out.Tags) == limit {
			out.NextToken = at.token(last)
			break
		}
		out.Tags = append(out.Tags, ec2.TagDescription{Key: ptr(t.key), Value: ptr(t.value), ResourceId: ptr(t.id), ResourceType: ptr(ec2.ResourceType(t.kind))})
		last = t.place()
	}
	return out, nil
}

func (t tagged) place() string { return t.id + " " + t.key }

// allTags gives every tag of an account in a region.
func (w *World) allTags(tx *store.Tx, owner identity.Caller) (all []tagged, err error) {
	add := func(id, kind string, tags map[string]string) {
		for key, value := range tags {
			all = append(all, tagged{id, kind, key, value})
		}
	}
	err = w.eachAMI(tx, owner, func(a AMI) error {
		add(a.ID, "image", a.Tags)
		return nil
	})
	fetch := fetchSnapshots(tx, owner)
	for after := ""; err == nil; {
		var some []Snapshot
		if some, err = fetch(after, 500); len(some) == 0 {
			break
		}
		for _, s := range some {
			after = s.ID
			add(s.ID, "snapshot", s.Tags)
		}
	}
	if err != nil {
		return nil, err
	}
	err = w.eachTemplate(tx, owner, func(t Template) error {
		add(t.ID, "launch-template", t.Tags)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, w.eachKeyPair(tx, owner, func(k KeyPair) error {
		add(k.ID, "key-pair", k.Tags)
		return nil
	})
}
