package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// delivery is one thing that a distribution brings to an account in a region:
// the copy of an AMI, a version of a launch template, a parameter, an export.
// Each is recorded in the transaction that makes it, so whatever becomes of the
// others, it is neither lost nor made twice.
type delivery struct {
	target
	what string // for people: "the launch template lt-…"; "": the region says it all

	// work is what cannot be done in a transaction, such as moving blocks. It may
	// be begun again after a crash. nil: there is none.
	work func(ctx context.Context) error

	// commit makes the rows and tells what came out of it: the ID of an AMI, the
	// name of an object. It may be called again if the transaction has to be.
	commit func(ctx context.Context, tx *store.Tx) (result string, err error)
}

// target says what a delivery is: two with equal targets are the same, so that
// the second has nothing to do.
type target struct {
	Region   string `json:"region"`
	Account  string `json:"accountId"`
	Step     string `json:"step"`               // ImageConfigurationStep of the API, or one of the steps below
	Resource string `json:"resource,omitempty"` // within all these: "lt-…", "/golden/latest"
	AMI      string `json:"amiId,omitempty"`    // that it is told of
}

// The steps of a delivery, as failureContext names them (service model,
// ImageConfigurationStep). The first two, for what comes before the image is
// INTEGRATING, are not in the model.
const (
	copyAMI           = "COPY_AMI"
	modifyAttributes  = "MODIFY_IMAGE_ATTRIBUTES"
	associateLicenses = "ASSOCIATE_LICENSES"
	updateTemplates   = "UPDATE_LAUNCH_TEMPLATES"
	putParameters     = "PUT_SSM_PARAMETERS"
	exportAMI         = "EXPORT_AMI"
	updateFastLaunch  = "UPDATE_FAST_LAUNCH_CONFIGURATIONS"
)

// delivered is the note that a delivery was made.
type delivered struct {
	target
	Result  string `json:"result,omitempty"`
	Started string `json:"dateStarted"`
	Stopped string `json:"dateStopped"`
}

// sideBySide is how many deliveries that take long go on at once.
const sideBySide = 4

// round is one attempt to make the deliveries of a step.
type round struct {
	*call
	all     []delivery
	outputs func([]delivered) map[string]any // of the step, by what is there

	mu       sync.Mutex // the members below, and the step's row
	done     []*delivered
	failures []*RegionFailure
}

// deliver makes all deliveries but those that earlier attempts made. One that
// fails does not keep the others from being made; the error then names each that
// is missing. The step's outputs say at any time what is there.
func (c *call) deliver(ctx context.Context, all []delivery, earlier []delivered, outputs func([]delivered) map[string]any) ([]delivered, error) {
	r := &round{call: c, all: all, outputs: outputs, done: make([]*delivered, len(all)), failures: make([]*RegionFailure, len(all))}
	for i := range all {
		if at := slices.IndexFunc(earlier, func(e delivered) bool { return e.target == all[i].target }); at >= 0 {
			r.done[i] = &earlier[at]
		}
	}
	if err := r.makeAll(ctx); err != nil {
		return nil, err
	}
	if err := r.failed(ctx); err != nil {
		return nil, err
	}
	return r.made(), nil
}

// makeAll tries every delivery once: first those that are only rows, then side
// by side those that take long. The error is one that ends the step for another
// reason than that a delivery failed.
func (r *round) makeAll(ctx context.Context) error {
	var rows, long []int
	for i := range r.all {
		switch {
		case r.done[i] != nil:
		case r.all[i].work == nil:
			rows = append(rows, i)
		default:
			long = append(long, i)
		}
	}
	if err := r.commit(ctx, rows, r.engine.Now()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, sideBySide)
	var running sync.WaitGroup
	for _, i := range long {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			if err := r.work(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	if cause := context.Cause(ctx); endsStep(cause) {
		return cause
	}
	return nil
}

// work makes a delivery that takes long.
func (r *round) work(ctx context.Context, i int) error {
	start := r.engine.Now()
	if err := r.all[i].work(ctx); err != nil {
		return r.fail(ctx, i, err)
	}
	return r.commit(ctx, []int{i}, start)
}

// commit makes the rows of deliveries, with the notes of them, in one
// transaction; if that is refused, in one for each half of them, and so on, until
// only those are left out that are refused alone.
func (r *round) commit(ctx context.Context, these []int, start time.Time) error {
	if len(these) == 0 || ctx.Err() != nil {
		return nil // failed tells of those that the context cut short
	}
	err := r.record(ctx, these, start)
	switch half := len(these) / 2; {
	case err == nil:
		return nil
	case half == 0 || endsStep(err) || ctx.Err() != nil:
		return r.fail(ctx, these[0], err)
	default:
		if err := r.commit(ctx, these[:half], start); err != nil {
			return err
		}
		return r.commit(ctx, these[half:], start)
	}
}

// record is one such transaction.
func (r *round) record(ctx context.Context, these []int, start time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	row := *r.row
	ran := false
	kept := func(ctx context.Context) (is bool, err error) {
		err = r.engine.read(ctx, func(tx *store.Tx) error {
			now, _, err := tx.StepExecution(row.ID)
			is = ran && now.Outputs == row.Outputs // what the try before made of them
			return err
		})
		return is, err
	}
	err := r.engine.record(ctx, r.stepPoint(row.Name, "delivered"), kept, func(tx *store.Tx) error {
		for _, i := range these {
			result, err := r.all[i].commit(ctx, tx)
			if err != nil {
				return err
			}
			r.done[i] = &delivered{target: r.all[i].target, Result: result, Started: stamp(start), Stopped: stamp(r.engine.Now())}
		}
		row.Outputs, ran = jsonText(r.outputs(r.made())), true
		return putStep(tx, row)
	})
	if err != nil {
		for _, i := range these {
			r.done[i] = nil
		}
		return err
	}
	*r.row = row
	return nil
}

// fail notes why a delivery could not be made. It gives the error back if that
// ends the step.
func (r *round) fail(ctx context.Context, i int, err error) error {
	d := &r.all[i]
	switch {
	case endsStep(err):
		return fmt.Errorf("recording what was brought to %s: %w", d.Region, err)
	case ctx.Err() != nil:
		return nil
	}
	failure := d.failure("FAILED", err)
	r.mu.Lock()
	r.failures[i] = failure
	r.mu.Unlock()
	r.log.printf("%s failed in %s for account %s: %s", d.Step, d.Region, d.Account, failure.ErrorMessage)
	return nil
}

// endsStep reports whether an error is not a delivery's own: the database is
// gone, or is another worker's to write.
func endsStep(err error) bool {
	for _, own := range []error{store.ErrLeaseLost, store.ErrUnavailable, store.ErrNoSpace, store.ErrClosed} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// made gives what is there.
func (r *round) made() []delivered {
	all := make([]delivered, 0, len(r.done))
	for _, d := range r.done {
		if d != nil {
			all = append(all, *d)
		}
	}
	return all
}

// failed is the error that names what is missing; nil if nothing is.
func (r *round) failed(ctx context.Context) error {
	var missing []RegionFailure
	for i := range r.all {
		switch {
		case r.failures[i] != nil:
			missing = append(missing, *r.failures[i])
		case r.done[i] == nil && ctx.Err() != nil:
			missing = append(missing, *r.all[i].failure("TIMED_OUT", context.Cause(ctx)))
		}
	}
	if len(missing) == 0 {
		return ctx.Err()
	}
	e := &distributionError{DistributionFailure{Regions: missing[:min(len(missing), maxRegionFailures)]}}
	e.ErrorMessage = e.Error()
	return e
}

// maxRegionFailures is how many a failure context holds (service model,
// RegionFailureList).
const maxRegionFailures = 256

// failure is what the failure context says of a delivery.
func (d *delivery) failure(status string, cause error) *RegionFailure {
	text := cause.Error()
	var f *fault.Error
	if errors.As(cause, &f) {
		text = f.Message
	}
	step := d.Step
	if at, why, ok := because(cause); ok {
		step, text = at, why
	}
	if d.what != "" {
		text = d.what + ": " + text
	}
	return &RegionFailure{Region: d.Region, Account: d.Account, Step: step, Status: status, ErrorMessage: strings.TrimSpace(text)}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
