package aws

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Provider is the name that rows of AMIs at AWS carry.
const Provider = "aws"

// Account is an account of AWS, and how to get into it.
type Account struct {
	ID         string // 12 digits; credentials of another account are refused
	Profile    string // of the AWS files; "": as every AWS client finds its credentials
	Role       string // ARN, assumed with those credentials; "": they are used as they are
	ExternalID string // shown to the role's trust policy
	Endpoint   string // of all services, instead of Amazon's
	Regions    []string
}

// Blocks are the disks that are uploaded.
type Blocks interface {
	// Manifest lists the blocks of a disk.
	Manifest(ctx context.Context, id string) (*disk.Manifest, error)

	// Open opens a disk for reading; it is to be closed.
	Open(ctx context.Context, id string) (*disk.Reader, error)
}

// Followers take what is to be done later: see cloud.Provider.Follow.
type Followers interface {
	Add(ctx context.Context, tx *store.Tx, target, lane string, body []byte) error
}

// Config is what Accounts work with.
type Config struct {
	Accounts []Account
	Store    *store.Store
	World    *cloud.World
	Blocks   Blocks
	Outbox   Followers
	Log      *slog.Logger

	Poll time.Duration // between looks at what AWS does by itself; 0: 5 s
}

// Accounts are the configured accounts of AWS. They are safe for concurrent use.
type Accounts struct {
	Config

	mu       sync.Mutex
	sessions map[string]*session // by account and region
	known    map[string]bool     // accounts whose credentials were found to be theirs
}

var _ cloud.Provider = (*Accounts)(nil)

// New returns the accounts of a configuration.
func New(c Config) *Accounts {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Poll == 0 {
		c.Poll = 5 * time.Second
	}
	return &Accounts{Config: c, sessions: map[string]*session{}, known: map[string]bool{}}
}

// account gives an account by its ID.
func (a *Accounts) account(id string) (Account, bool) {
	i := slices.IndexFunc(a.Accounts, func(a Account) bool { return a.ID == id })
	if i < 0 {
		return Account{}, false
	}
	return a.Accounts[i], true
}

// Has implements cloud.Provider.
func (a *Accounts) Has(account, region string) bool {
	found, ok := a.account(account)
	return ok && (len(found.Regions) == 0 || slices.Contains(found.Regions, region))
}

// wait calls done, with a pause after each time, until it says so or fails.
func (a *Accounts) wait(ctx context.Context, what string, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-time.After(a.Poll):
		}
	}
}
