package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Scheme begins the targets of the outbox that are accounts of AWS:
// "aws:ACCOUNT:REGION".
const Scheme = "aws"

// following names what is to be made as its row is.
type following struct {
	ID string `json:"id"`
}

// Follow implements cloud.Provider: it is a row of the outbox, in the lane of
// what it is about.
func (a *Accounts) Follow(ctx context.Context, tx *store.Tx, account, region, id string) error {
	body, err := json.Marshal(following{id})
	if err != nil {
		return err
	}
	return a.Outbox.Add(ctx, tx, Scheme+":"+account+":"+region, id, body)
}

// followPolicy tries for some hours: a snapshot that is in use, or an account
// that does not let the server in, may be mended in that time.
var followPolicy = delivery.Policy{MinDelayTarget: 5, MaxDelayTarget: 1200, NumRetries: 40, NumMinDelayRetries: 3, BackoffFunction: "exponential"}

// Send implements delivery.Sender: it makes an AMI or snapshot of AWS as its row
// is, and removes what has none.
func (a *Accounts) Send(ctx context.Context, d store.Delivery) (delivery.Policy, error) {
	parts := strings.Split(d.Target, ":")
	var what following
	if err := json.Unmarshal(d.Body, &what); err != nil || len(parts) != 3 {
		return followPolicy, fmt.Errorf("not a change of AWS: %s", d.Target)
	}
	account, region := parts[1], parts[2]
	if _, ok := a.account(account); !ok {
		return followPolicy, delivery.ErrGone // it left the configuration
	}
	s, err := a.in(ctx, account, region)
	if err != nil {
		return followPolicy, err
	}
	if strings.HasPrefix(what.ID, "snap-") {
		return followPolicy, a.followSnapshot(ctx, s, what.ID)
	}
	return followPolicy, a.followAMI(ctx, s, what.ID)
}

func (a *Accounts) followSnapshot(ctx context.Context, s *session, id string) error {
	there := false
	err := a.Store.Read(ctx, func(tx *store.Tx) (err error) {
		_, there, err = a.World.Snapshot(tx, id)
		return err
	})
	if err != nil || there {
		return err
	}
	return s.deleteSnapshot(ctx, id)
}

func (a *Accounts) followAMI(ctx context.Context, s *session, id string) error {
	var row cloud.AMI
	there := false
	err := a.Store.Read(ctx, func(tx *store.Tx) (err error) {
		row, there, err = a.World.AMI(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	if !there {
		return s.deregister(ctx, id)
	}
	out, err := s.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}, IncludeDeprecated: sdk.Bool(true), IncludeDisabled: sdk.Bool(true)})
	if err != nil {
		return fmt.Errorf("reading %s: %w", id, err)
	}
	if len(out.Images) == 0 {
		return fmt.Errorf("AWS has no AMI %s in %s", id, s.region)
	}
	image := out.Images[0]
	// A disabled AMI takes no changes: it is enabled first, and disabled last.
	if image.State == types.ImageStateDisabled && row.State != cloud.Disabled {
		if _, err := s.ec2.EnableImage(ctx, &ec2.EnableImageInput{ImageId: &id}); err != nil {
			return fmt.Errorf("enabling %s: %w", id, err)
		}
	}
	if err := s.retag(ctx, id, untagged(image.Tags), row.Tags); err != nil {
		return fmt.Errorf("tagging %s: %w", id, err)
	}
	if row.State == cloud.Disabled {
		if image.State == types.ImageStateDisabled {
			return nil
		}
		if _, err := s.ec2.DisableImage(ctx, &ec2.DisableImageInput{ImageId: &id}); err != nil {
			return fmt.Errorf("disabling %s: %w", id, err)
		}
		return nil
	}
	if err := s.deprecate(ctx, image, row.DeprecationTime); err != nil {
		return fmt.Errorf("setting the deprecation of %s: %w", id, err)
	}
	if sdk.ToString(image.Description) != row.Description {
		if _, err := s.ec2.ModifyImageAttribute(ctx, &ec2.ModifyImageAttributeInput{ImageId: &id, Description: &types.AttributeValue{Value: &row.Description}}); err != nil {
			return fmt.Errorf("describing %s: %w", id, err)
		}
	}
	return a.Permit(ctx, row)
}

// retag makes an AMI's tags those of its row. Tags of AWS itself are not
// touched.
func (s *session) retag(ctx context.Context, id string, have, want map[string]string) error {
	change, drop := map[string]string{}, []types.Tag{}
	for key, value := range want {
		if v, ok := have[key]; !ok || v != value {
			change[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[key]; !ok && !strings.HasPrefix(key, "aws:") {
			drop = append(drop, types.Tag{Key: sdk.String(key)})
		}
	}
	if len(change) > 0 {
		if _, err := s.ec2.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{id}, Tags: ec2Tags(change)}); err != nil {
			return err
		}
	}
	if len(drop) > 0 {
		if _, err := s.ec2.DeleteTags(ctx, &ec2.DeleteTagsInput{Resources: []string{id}, Tags: drop}); err != nil {
			return err
		}
	}
	return nil
}

// deprecate sets or takes back the time from which an AMI is out of date. EC2
// takes no time that has passed for another one than now, and leaves seconds
// off.
func (s *session) deprecate(ctx context.Context, image types.Image, at time.Time) error {
	has := sdk.ToString(image.DeprecationTime)
	switch old, err := time.Parse(time.RFC3339, has); {
	case at.IsZero() && has == "", err == nil && !at.IsZero() && !old.After(at) && at.Sub(old) < time.Minute:
		return nil
	case at.IsZero():
		_, err := s.ec2.DisableImageDeprecation(ctx, &ec2.DisableImageDeprecationInput{ImageId: image.ImageId})
		return err
	}
	_, err := s.ec2.EnableImageDeprecation(ctx, &ec2.EnableImageDeprecationInput{ImageId: image.ImageId, DeprecateAt: &at})
	return err
}

// deregister removes an AMI; one that is gone does not matter.
func (s *session) deregister(ctx context.Context, id string) error {
	_, err := s.ec2.DeregisterImage(ctx, &ec2.DeregisterImageInput{ImageId: &id})
	switch code(err) {
	case "InvalidAMIID.NotFound", "InvalidAMIID.Unavailable":
		return nil
	}
	if err != nil {
		return fmt.Errorf("deregistering %s: %w", id, err)
	}
	return nil
}

// deleteSnapshot removes a snapshot; one that is gone does not matter.
func (s *session) deleteSnapshot(ctx context.Context, id string) error {
	_, err := s.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: &id})
	if err != nil && code(err) != "InvalidSnapshot.NotFound" {
		return fmt.Errorf("deleting %s: %w", id, err)
	}
	return nil
}
