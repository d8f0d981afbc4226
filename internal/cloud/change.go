package cloud

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// mine gives an AMI that the caller owns in its region. One that it may only
// launch is a fault AuthFailure, one that it may not see does not exist.
func (w *World) mine(ctx context.Context, tx *store.Tx, id string) (AMI, error) {
	if !imageID.MatchString(id) {
		return AMI{}, fault.New("InvalidAMIID.Malformed", "Invalid id: \"%.100s\"", id)
	}
	caller := identity.From(ctx)
	a, ok, err := w.Visible(ctx, tx, caller.Account, caller.Region, id)
	switch {
	case err != nil:
		return AMI{}, err
	case !ok:
		return AMI{}, notFound(id)
	case a.Account != caller.Account:
		return AMI{}, fault.New("AuthFailure", "Not authorized for image:%s", id)
	}
	return a, nil
}

// change changes an AMI of the caller's.
func (f face) change(ctx context.Context, dryRun *bool, id string, do func(*AMI) error) error {
	return f.world.store.Write(ctx, func(tx *store.Tx) error {
		if _, err := f.world.mine(ctx, tx, id); err != nil {
			return err
		}
		if err := refuseDryRun(dryRun); err != nil {
			return err
		}
		var failed error
		_, err := f.world.Modify(tx, id, func(a *AMI) { failed = do(a) })
		return errors.Join(failed, err)
	})
}

// CopyImage copies an AMI of any region that the caller may launch to the
// caller's region.
func (f face) CopyImage(ctx context.Context, in *ec2.CopyImageInput) (*ec2.CopyImageOutput, error) {
	if !imageID.MatchString(*in.SourceImageId) {
		return nil, fault.New("InvalidAMIID.Malformed", "Invalid id: \"%.100s\"", *in.SourceImageId)
	}
	if in.DestinationOutpostArn != nil || in.DestinationAvailabilityZone != nil || in.DestinationAvailabilityZoneId != nil {
		return nil, fault.New("UnsupportedOperation", "This server copies images to regions only")
	}
	if in.KmsKeyId != nil && !is(in.Encrypted) {
		return nil, fault.New("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if caller := identity.From(ctx); f.world.Provider(caller.Account, caller.Region) != nil {
		return nil, fault.New("UnsupportedOperation", "The AMIs of the account %s in %s are at AWS: copy them there, or distribute an image", caller.Account, caller.Region)
	}
	tags, err := specifiedTags(in.TagSpecifications, "image", "snapshot")
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	var made AMI
	err = f.world.store.Write(ctx, func(tx *store.Tx) error {
		from, ok, err := f.world.Visible(ctx, tx, caller.Account, *in.SourceRegion, *in.SourceImageId)
		if err == nil && (!ok || from.State != "available") {
			err = notFound(*in.SourceImageId)
		}
		if err == nil {
			err = refuseDryRun(in.DryRun)
		}
		if err == nil && in.Encrypted != nil && !*in.Encrypted {
			err = staysEncrypted(from)
		}
		if err != nil {
			return err
		}
		to := Copying{Account: caller.Account, Region: caller.Region, Name: *in.Name, Description: text(in.Description), Tags: tags, KMSKeyID: text(in.KmsKeyId), Encrypted: is(in.Encrypted)}
		if is(in.CopyImageTags) {
			to.Tags = with(from.Tags, tags)
		}
		return f.once(tx, caller, "CopyImage", in.ClientToken, in, &made.ID, func() error {
			made, err = f.copyImage(ctx, tx, from, to)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return &ec2.CopyImageOutput{ImageId: &made.ID}, nil
}

// staysEncrypted refuses a plain copy of an encrypted AMI.
func staysEncrypted(from AMI) error {
	for _, d := range from.Devices {
		if d.Encrypted && d.SnapshotID != "" {
			return fault.New("InvalidRequest", "Snapshot %s is encrypted. Creating unencrypted copy from an encrypted snapshot is not supported.", d.SnapshotID)
		}
	}
	return nil
}

// copyImage registers the copy. One whose blocks have to be moved is pending until
// they are there.
func (f face) copyImage(ctx context.Context, tx *store.Tx, from AMI, to Copying) (AMI, error) {
	if err := f.world.MayRead(to.Account, from); err != nil {
		return AMI{}, err
	}
	all, err := f.world.volumes(from, to)
	if err != nil {
		return AMI{}, err
	}
	c := copyOf(from, to)
	if waits(all) {
		return f.world.begin(ctx, tx, c, all)
	}
	c.place(all)
	return f.world.Register(tx, c)
}

// once does what a client token asks for once: a repetition gives the same id.
func (f face) once(tx *store.Tx, caller identity.Caller, operation string, token *string, in any, id *string, do func() error) error {
	if token == nil {
		return do()
	}
	data, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	sum := sha256.Sum256(data)
	t := store.Token{Account: caller.Account, Region: caller.Region, Operation: "ec2:" + operation, Token: *token, Digest: hex.EncodeToString(sum[:]), Created: f.world.now()}
	old, ok, err := tx.Token(t.Account, t.Region, t.Operation, t.Token, t.Created)
	if err != nil {
		return err
	}
	if ok && old.Digest != t.Digest {
		return fault.New("IdempotentParameterMismatch", "The client token was used with other parameters before")
	}
	if ok {
		*id = string(old.Response)
		return nil
	}
	if err := do(); err != nil {
		return err
	}
	t.Response = []byte(*id)
	return tx.PutToken(t)
}

// DeregisterImage removes an AMI; its snapshots stay unless asked for.
func (f face) DeregisterImage(ctx context.Context, in *ec2.DeregisterImageInput) (*ec2.DeregisterImageOutput, error) {
	out := &ec2.DeregisterImageOutput{Return: ptr(true)}
	var a AMI
	err := f.world.store.Write(ctx, func(tx *store.Tx) (err error) {
		out.DeleteSnapshotResults = nil
		a, err = f.world.mine(ctx, tx, *in.ImageId)
		if err == nil {
			err = refuseDryRun(in.DryRun)
		}
		if err == nil {
			err = f.world.Remove(tx, a.ID)
		}
		if err != nil || !is(in.DeleteAssociatedSnapshots) {
			return err
		}
		for _, d := range a.Devices {
			if d.SnapshotID == "" {
				continue
			}
			if err := f.world.RemoveSnapshot(tx, d.SnapshotID); err != nil {
				return err
			}
			out.DeleteSnapshotResults = append(out.DeleteSnapshotResults, ec2.DeleteSnapshotReturnCode{SnapshotId: ptr(d.SnapshotID), ReturnCode: ptr(ec2.SnapshotReturnCodes("success"))})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := f.world.forgetCopies(a); err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteSnapshot removes a snapshot that no AMI is made of.
func (f face) DeleteSnapshot(ctx context.Context, in *ec2.DeleteSnapshotInput) (*ec2.DeleteSnapshotOutput, error) {
	id := *in.SnapshotId
	if !snapshotID.MatchString(id) {
		return nil, fault.New("InvalidSnapshotID.Malformed", "Invalid id: \"%.100s\"", id)
	}
	caller := identity.From(ctx)
	err := f.world.store.Write(ctx, func(tx *store.Tx) error {
		s, ok, err := f.world.Snapshot(tx, id)
		if err != nil {
			return err
		}
		if !ok || s.Account != caller.Account || s.Region != caller.Region {
			return fault.New("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
		}
		user, err := f.world.usedBy(tx, caller, id)
		if err != nil {
			return err
		}
		if user != "" {
			return fault.New("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", id, user)
		}
		if err := refuseDryRun(in.DryRun); err != nil {
			return err
		}
		return f.world.RemoveSnapshot(tx, id)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.DeleteSnapshotOutput{}, nil
}

// usedBy gives an AMI of the snapshot's owner that is made of it, "" for none.
func (w *World) usedBy(tx *store.Tx, owner identity.Caller, snapshot string) (string, error) {
	found := ""
	err := w.eachAMI(tx, owner, func(a AMI) error {
		if slices.ContainsFunc(a.Devices, func(d BlockDevice) bool { return d.SnapshotID == snapshot }) {
			found = a.ID
		}
		return nil
	})
	return found, err
}

// eachAMI calls do for every AMI of an account in a region.
func (w *World) eachAMI(tx *store.Tx, owner identity.Caller, do func(AMI) error) error {
	after := ""
	for {
		rows, err := tx.VisibleAMIs(owner.Account, nil, owner.Region, after, 500)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			after = row.ID
			if row.Account != owner.Account {
				continue
			}
			a, err := fromRow(row)
			if err == nil {
				err = do(a)
			}
			if err != nil {
				return err
			}
		}
	}
}

// EnableImageDeprecation gives an AMI the time from which it is out of date; an
// old time takes effect at once.
func (f face) EnableImageDeprecation(ctx context.Context, in *ec2.EnableImageDeprecationInput) (*ec2.EnableImageDeprecationOutput, error) {
	at := in.DeprecateAt.Time.UTC().Truncate(time.Minute) // EC2 rounds seconds off
	if at.After(f.world.now().AddDate(10, 0, 0)) {
		return nil, fault.New("InvalidParameterValue", "The deprecation date must be within 10 years")
	}
	err := f.change(ctx, in.DryRun, *in.ImageId, func(a *AMI) error {
		a.DeprecationTime = at
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2.EnableImageDeprecationOutput{Return: ptr(true)}, nil
}

// DisableImageDeprecation takes the deprecation of an AMI back.
func (f face) DisableImageDeprecation(ctx context.Context, in *ec2.DisableImageDeprecationInput) (*ec2.DisableImageDeprecationOutput, error) {
	err := f.change(ctx, in.DryRun, *in.ImageId, func(a *AMI) error {
		a.DeprecationTime = time.Time{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ec2.DisableImageDeprecationOutput{Return: ptr(true)}, nil
}
