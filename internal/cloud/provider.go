package cloud

import (
	"context"
	"errors"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Provider has the AMIs of accounts that are not this server's own world: those
// of AWS. The world keeps a row for each of them, under the provider's IDs, so
// that lists, later builds and lifecycle policies see them like all others; the
// provider's copy follows the row.
//
// Errors are *Failure, unless ctx ended.
type Provider interface {
	// Has reports whether the AMIs of an account in a region are the provider's.
	Has(account, region string) bool

	// Publish makes an AMI and returns when it can be launched. Asked again for
	// the same, also by another process, it goes on where it was, and gives the
	// AMI that is there; it makes no second one.
	Publish(ctx context.Context, p Publication) (AMI, error)

	// Permit opens an AMI to whom its row names.
	Permit(ctx context.Context, a AMI) error

	// Launch adds a version with the AMI to a launch template, unless the newest
	// one has it already.
	Launch(ctx context.Context, account, region, template, ami string, isDefault bool) error

	// PutParameter sets a parameter to an AMI's ID.
	PutParameter(ctx context.Context, account, region, name, dataType, ami, description string) error

	// Follow adds to a transaction that changes or removes the row of an AMI, or
	// removes that of a snapshot, that the provider's is to be made the same.
	Follow(ctx context.Context, tx *store.Tx, account, region, id string) error
}

// Publication says what AMI a provider is to make.
type Publication struct {
	For  string                           // what it is made for, such as an image's ARN: it gets one AMI of a name
	AMI  AMI                              // all of it but IDs; devices with manifests get snapshots
	Like *AMI                             // the same disks in another region of the account, to copy from; nil: they are uploaded
	Key  string                           // encrypts the volumes of a copy; "": as Like's are
	Tell func(format string, args ...any) // of progress, for the image's log
}

// Failure is what a provider could not do, and in which step of a distribution.
type Failure struct {
	Step  string // such as "COPY_AMI"
	Cause error
}

// Error tells the step and the cause.
func (f *Failure) Error() string { return f.Step + ": " + f.Cause.Error() }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Message is what people are told of the cause.
func (f *Failure) Message() string {
	var e *fault.Error
	if errors.As(f.Cause, &e) {
		return e.Message
	}
	return f.Cause.Error()
}

// Provide makes p have the AMIs of its accounts. Call it before the first
// request.
func (w *World) Provide(p Provider) { w.provider = p }

// Provider gives who has the AMIs of an account in a region; nil is the world
// itself.
func (w *World) Provider(account, region string) Provider {
	if w.provider == nil || !w.provider.Has(account, region) {
		return nil
	}
	return w.provider
}

// follow has a provider's AMI or snapshot follow its row.
func (w *World) follow(tx *store.Tx, provider, account, region, id string) error {
	if provider == "" || w.provider == nil {
		return nil
	}
	return w.provider.Follow(context.Background(), tx, account, region, id)
}
