package parameter

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// maxTags is how many tags a parameter may have (API Reference, Tag).
const maxTags = 50

// tagged gives tags with more added.
func tagged(tags map[string]string, more []ssm.Tag) (map[string]string, error) {
	if len(more) == 0 {
		return tags, nil
	}
	all := maps.Clone(tags)
	if all == nil {
		all = map[string]string{}
	}
	for _, t := range more {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return nil, invalid("Tag keys that begin with aws: are reserved: %s.", *t.Key)
		}
		all[*t.Key] = *t.Value
	}
	if len(all) > maxTags {
		return nil, fault.New("TooManyTagsError", "A parameter can have %d tags at most.", maxTags)
	}
	return all, nil
}

// AddTagsToResource adds tags to a parameter.
func (f face) AddTagsToResource(ctx context.Context, in *ssm.AddTagsToResourceInput) (*ssm.AddTagsToResourceOutput, error) {
	err := f.retag(ctx, in.ResourceType, in.ResourceId, func(tags map[string]string) (map[string]string, error) { return tagged(tags, in.Tags) })
	if err != nil {
		return nil, err
	}
	return &ssm.AddTagsToResourceOutput{}, nil
}

// RemoveTagsFromResource removes tags from a parameter.
func (f face) RemoveTagsFromResource(ctx context.Context, in *ssm.RemoveTagsFromResourceInput) (*ssm.RemoveTagsFromResourceOutput, error) {
	err := f.retag(ctx, in.ResourceType, in.ResourceId, func(tags map[string]string) (map[string]string, error) {
		all := maps.Clone(tags)
		for _, key := range in.TagKeys {
			delete(all, key)
		}
		return all, nil
	})
	if err != nil {
		return nil, err
	}
	return &ssm.RemoveTagsFromResourceOutput{}, nil
}

// ListTagsForResource lists the tags of a parameter.
func (f face) ListTagsForResource(ctx context.Context, in *ssm.ListTagsForResourceInput) (*ssm.ListTagsForResourceOutput, error) {
	out := &ssm.ListTagsForResourceOutput{TagList: []ssm.Tag{}}
	err := f.parameters.store.Read(ctx, func(tx *store.Tx) error {
		p, err := f.tagsOf(ctx, tx, in.ResourceType, in.ResourceId)
		for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
			out.TagList = append(out.TagList, ssm.Tag{Key: ptr(key), Value: ptr(p.Tags[key])})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// tagsOf finds the parameter that tags are of: the newest version has them.
func (f face) tagsOf(ctx context.Context, tx *store.Tx, what *ssm.ResourceTypeForTagging, id *string) (Parameter, error) {
	if *what != "Parameter" {
		return Parameter{}, fault.New("InvalidResourceType", "The resource type %s is not valid: this server has Parameter only.", *what)
	}
	caller := identity.From(ctx)
	p, ok, err := f.parameters.get(tx, caller.Account, caller.Region, *id, store.Any)
	if err == nil && !ok {
		err = fault.New("InvalidResourceId", "The parameter %s does not exist.", fault.Clip(*id))
	}
	return p, err
}

func (f face) retag(ctx context.Context, what *ssm.ResourceTypeForTagging, id *string, change func(map[string]string) (map[string]string, error)) error {
	return f.parameters.store.Write(ctx, func(tx *store.Tx) error {
		p, err := f.tagsOf(ctx, tx, what, id)
		if err != nil {
			return err
		}
		if p.Tags, err = change(p.Tags); err != nil {
			return err
		}
		doc, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encoding the parameter %s: %w", p.Name, err)
		}
		return tx.Update(store.Resource{ARN: p.place(), Updated: f.parameters.now().UTC().Truncate(time.Millisecond), Doc: doc})
	})
}
