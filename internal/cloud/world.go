package cloud

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/kms"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// AmazonAccount owns the managed AMIs. It is nobody's account.
const AmazonAccount = "000000000000"

// World has the AMIs and snapshots of every account and region.
type World struct {
	store  *store.Store
	public Publisher
	groups func(account string) []string // nil: no account is in an organisation
	now    func() time.Time
	keys   *kms.Ring // nil: nothing is encrypted
	blocks Blocks    // nil: all regions share their disks
	queue  Queue     // nil: CopyImage moves nothing
	copies Copies    // nil: there is no fast launch

	provider Provider // of other accounts' AMIs; nil: there are none
}

// Publisher has AMIs that exist in every region for everyone, such as those of
// the managed parent images. They are not rows: they follow from what the
// server has on its disk.
type Publisher interface {
	// PublicAMIs gives them as they are in a region, with IDs that never change.
	PublicAMIs(ctx context.Context, region string) ([]AMI, error)
}

// New returns the world that s keeps. now is the clock, nil for the real one.
func New(s *store.Store, now func() time.Time) *World {
	if now == nil {
		now = time.Now
	}
	return &World{store: s, now: now}
}

// Publish makes p's AMIs visible to everyone. Call it before the first request.
func (w *World) Publish(p Publisher) { w.public = p }

// Organize makes launch permissions of organisations and their units hold.
// groups gives the ids ("o-…", "ou-…") of the organisation and the units that an
// account is in, those above its own unit too. Call it before the first request.
func (w *World) Organize(groups func(account string) []string) { w.groups = groups }

// memberships gives the organisation and units that an account is in.
func (w *World) memberships(account string) []string {
	if w.groups == nil {
		return nil
	}
	return w.groups(account)
}

// published gives the public AMIs of a region in the order of their IDs.
func (w *World) published(ctx context.Context, region string) ([]AMI, error) {
	if w.public == nil {
		return nil, nil
	}
	all, err := w.public.PublicAMIs(ctx, region)
	if err != nil {
		return nil, fmt.Errorf("listing the managed AMIs: %w", err)
	}
	slices.SortFunc(all, byID)
	return all, nil
}

// own gives an AMI of a region if it is a row that an account may see.
func (w *World) own(tx *store.Tx, account, region, id string) (AMI, bool, error) {
	a, ok, err := w.AMI(tx, id)
	if a.Region != region || err != nil {
		return a, false, err
	}
	may := append(w.memberships(account), account, store.Everyone)
	granted := slices.ContainsFunc(a.grantees(), func(g string) bool { return slices.Contains(may, g) })
	return a, ok && (a.Account == account || granted), nil
}

// Visible gives an AMI of a region if an account owns it or may launch it, or
// if it is a managed one, and it is not disabled. What an account may not see
// does not exist for it.
func (w *World) Visible(ctx context.Context, tx *store.Tx, account, region, id string) (AMI, bool, error) {
	a, ok, err := w.own(tx, account, region, id)
	if ok || err != nil {
		return a, ok && a.State != Disabled, err
	}
	managed, err := w.published(ctx, region)
	if err != nil {
		return AMI{}, false, err
	}
	if i := slices.IndexFunc(managed, func(m AMI) bool { return m.ID == id }); i >= 0 {
		return managed[i], true, nil
	}
	return AMI{}, false, nil
}
