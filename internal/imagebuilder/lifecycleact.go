package imagebuilder

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// deprecatedBy is the tag of the AMIs that the service deprecated.
const deprecatedBy = "DeprecatedBy"

// states are the states that actions lead to.
var states = map[api.LifecycleExecutionResourceActionName]api.ImageStatus{
	api.LifecycleExecutionResourceActionNameAvailable: api.ImageStatusAvailable, api.LifecycleExecutionResourceActionNameDeprecate: api.ImageStatusDeprecated,
	api.LifecycleExecutionResourceActionNameDisable: api.ImageStatusDisabled, api.LifecycleExecutionResourceActionNameDelete: api.ImageStatusDeleted,
}

// comesFrom says from which states an image can go to a state (User Guide,
// "Manage image lifecycles"). What failed or was cancelled can only be deleted.
var comesFrom = map[api.ImageStatus][]api.ImageStatus{
	api.ImageStatusAvailable:  {api.ImageStatusDeprecated, api.ImageStatusDisabled},
	api.ImageStatusDeprecated: {api.ImageStatusAvailable},
	api.ImageStatusDisabled:   {api.ImageStatusAvailable, api.ImageStatusDeprecated},
	api.ImageStatusDeleted:    {api.ImageStatusAvailable, api.ImageStatusDeprecated, api.ImageStatusDisabled, api.ImageStatusFailed, api.ImageStatusCancelled},
}

// outcome ends an act.
func (act *lifecycleAct) outcome(r request, status api.LifecycleExecutionResourceStatus, reason string, args ...any) {
	act.State = &api.LifecycleExecutionResourceState{Status: ptr(status), Reason: limited(fmt.Sprintf(reason, args...), 1024)}
	act.EndTime = shape.At(r.now)
}

// carryOut does to an image and to its AMIs what an act says, and records what
// became of each. It fails only if the rows cannot be read or written: what
// cannot be done is the outcome of the act.
func (s *Service) carryOut(ctx context.Context, tx *store.Tx, r request, execution string, run *lifecycleRun, act *lifecycleAct) error {
	const success, skipped, failed = api.LifecycleExecutionResourceStatusSuccess, api.LifecycleExecutionResourceStatusSkipped, api.LifecycleExecutionResourceStatusFailed
	a, ok := parseARN(text(act.ResourceId))
	if !ok {
		return fmt.Errorf("%q is not the ARN of an image", text(act.ResourceId))
	}
	row, ok, err := tx.Resource(a.String())
	if err != nil {
		return err
	}
	if !ok {
		act.outcome(r, success, "The image had been deleted before.")
		return nil
	}
	to := states[or(act.Action.Name, "")]
	if !slices.Contains(comesFrom[to], api.ImageStatus(row.Status)) {
		act.outcome(r, skipped, "The image is in state %s.", row.Status)
		return nil
	}
	img, err := decode[api.Image](row)
	if err != nil {
		return err
	}
	if to == api.ImageStatusDeleted {
		dependents, err := dependentsOf(tx, a.Key, row)
		if err != nil {
			return err
		}
		if len(dependents) > 0 {
			act.outcome(r, failed, "The image is used by %s.", strings.Join(dependents[:min(len(dependents), shownDependents)], ", "))
			return nil
		}
	}
	excluded, err := s.actOnAMIs(tx, r, execution, run, act, img)
	if err != nil {
		return err
	}
	if excluded != "" {
		act.outcome(r, skipped, "%s", excluded)
		return nil
	}
	act.outcome(r, success, "")
	run.ResourcesImpactedSummary.HasImpactedResources = ptr(true)
	return s.changeState(ctx, tx, r, execution, a, row, img, to)
}

// changeState moves an image to a state, or deletes it.
func (s *Service) changeState(ctx context.Context, tx *store.Tx, r request, execution string, a arn, row store.Resource, img *api.Image, to api.ImageStatus) error {
	if err := s.tellState(ctx, tx, a, row.Status, string(to)); err != nil {
		return err
	}
	switch to {
	case api.ImageStatusDeleted:
		if err := s.remove(tx, a); err != nil {
			return err
		}
		return tx.DeleteImageRecords(a.String())
	case api.ImageStatusAvailable:
		img.DeprecationTime = nil
	case api.ImageStatusDeprecated:
		img.DeprecationTime = shape.At(r.now)
	}
	img.State, img.LifecycleExecutionId = &api.ImageState{Status: ptr(to)}, ptr(execution)
	row.Status, row.Updated = string(to), r.now
	return replace(tx, row, img)
}

// actOnAMIs does the act to the AMIs of an image, if it includes them, except to
// those that are excluded. excluded says why the image itself is to be left
// alone: its record goes on naming the AMIs that stay as they are.
func (s *Service) actOnAMIs(tx *store.Tx, r request, execution string, run *lifecycleRun, act *lifecycleAct, img *api.Image) (excluded string, err error) {
	if img.OutputResources == nil {
		return "", nil
	}
	for _, out := range img.OutputResources.Amis {
		id := text(out.Image)
		ami, there, err := s.world.AMI(tx, id)
		if err != nil {
			return "", err
		}
		one := &lifecycleAct{LifecycleExecutionResource: api.LifecycleExecutionResource{
			AccountId: some(or(out.AccountId, r.Account)), ResourceId: ptr(id), Region: out.Region, Action: act.Action, StartTime: shape.At(r.now),
		}}
		why := ""
		if there {
			why = exclusion(act.Exclude, ami)
		}
		switch {
		case why != "":
			one.outcome(r, api.LifecycleExecutionResourceStatusSkipped, "%s", why)
			excluded = fmt.Sprintf("Its AMI %s in %s is excluded: %s", id, text(out.Region), why)
		case !or(act.Include.Amis, false):
			continue
		case !there:
			one.outcome(r, api.LifecycleExecutionResourceStatusSuccess, "The AMI had been deregistered before.")
		default:
			if err := s.actOnAMI(tx, r, act, ami, one); err != nil {
				return "", err
			}
			run.ResourcesImpactedSummary.HasImpactedResources = ptr(true)
		}
		if err := addAct(tx, r, execution, run, execution+"/"+text(img.Arn), one); err != nil {
			return "", err
		}
	}
	return excluded, nil
}

// actOnAMI deregisters, deprecates, disables or enables one AMI.
func (s *Service) actOnAMI(tx *store.Tx, r request, act *lifecycleAct, ami cloud.AMI, one *lifecycleAct) (err error) {
	one.outcome(r, api.LifecycleExecutionResourceStatusSuccess, "")
	switch or(act.Action.Name, "") {
	case api.LifecycleExecutionResourceActionNameDeprecate:
		if err = s.world.Deprecate(tx, ami.ID, r.now); err == nil {
			err = s.retagAMI(tx, ami.ID, func(tags map[string]string) { tags[deprecatedBy] = "EC2 Image Builder" })
		}
	case api.LifecycleExecutionResourceActionNameDisable:
		if err = s.world.Disable(tx, ami.ID); err == nil {
			err = s.retagAMI(tx, ami.ID, func(tags map[string]string) { delete(tags, deprecatedBy) })
		}
	case api.LifecycleExecutionResourceActionNameAvailable:
		if err = s.world.Enable(tx, ami.ID); err == nil {
			err = s.world.Deprecate(tx, ami.ID, time.Time{})
		}
		if err == nil {
			err = s.retagAMI(tx, ami.ID, func(tags map[string]string) { delete(tags, deprecatedBy) })
		}
	case api.LifecycleExecutionResourceActionNameDelete:
		if err = s.world.Remove(tx, ami.ID); err == nil && or(act.Include.Snapshots, false) {
			err = s.removeSnapshots(tx, r, ami, one)
		}
	}
	return err
}

func (s *Service) retagAMI(tx *store.Tx, id string, change func(map[string]string)) error {
	_, err := s.world.Modify(tx, id, func(a *cloud.AMI) {
		tags := maps.Clone(a.Tags)
		if tags == nil {
			tags = make(map[string]string)
		}
		change(tags)
		a.Tags = tags
	})
	return err
}

func (s *Service) removeSnapshots(tx *store.Tx, r request, ami cloud.AMI, one *lifecycleAct) error {
	for _, d := range ami.Devices {
		// Devices without blocks of their own map snapshots that others made.
		if d.SnapshotID == "" || d.Manifest == "" {
			continue
		}
		if err := s.world.RemoveSnapshot(tx, d.SnapshotID); err != nil {
			return err
		}
		one.Snapshots = append(one.Snapshots, api.LifecycleExecutionSnapshotResource{
			SnapshotId: ptr(d.SnapshotID), State: &api.LifecycleExecutionResourceState{Status: ptr(api.LifecycleExecutionResourceStatusSuccess)},
		})
	}
	return nil
}

// exclusion says why an AMI is left alone, "" if it is not. The rules are looked
// at in the order of the User Guide; nothing launches AMIs of this server, so
// none was launched lately.
func exclusion(rules *api.LifecyclePolicyDetailExclusionRulesAmis, ami cloud.AMI) string {
	if rules == nil {
		return ""
	}
	if slices.Contains(rules.Regions, ami.Region) {
		return fmt.Sprintf("AMIs in %s are excluded.", ami.Region)
	}
	if or(rules.IsPublic, false) && ami.Public() {
		return "Public AMIs are excluded."
	}
	if key, ok := sharedTag(rules.TagMap, ami.Tags); ok {
		return fmt.Sprintf("AMIs with the tag '%s' are excluded.", key)
	}
	for _, account := range rules.SharedAccounts {
		if slices.Contains(ami.Permissions.UserIDs, account) {
			return fmt.Sprintf("AMIs that are shared with %s are excluded.", account)
		}
	}
	return ""
}

// sharedTag gives the key of a tag that both have with the same value.
func sharedTag(wanted, have map[string]string) (string, bool) {
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if v, ok := have[key]; ok && v == wanted[key] {
			return key, true
		}
	}
	return "", false
}
