package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

const uploadKind store.Kind = "aws-upload"

// upload is the row of an upload: enough to go on with it in another process.
type upload struct {
	Account  string    `json:"account"`
	Region   string    `json:"region"`
	Manifest string    `json:"manifest"`
	Parent   string    `json:"parent,omitempty"`         // snapshot at AWS that has the other blocks
	Older    string    `json:"parentManifest,omitempty"` // the parent's disk
	Token    string    `json:"token"`                    // of StartSnapshot: asked twice, AWS starts one
	Snapshot string    `json:"snapshot,omitempty"`       // "": StartSnapshot may or may not have been called
	Done     bitmap    `json:"done,omitempty"`           // of changes: those that AWS has for certain
	Started  time.Time `json:"started"`

	arn string
}

// bitmap says of things that are counted which were done.
type bitmap []byte

func newBitmap(n int) bitmap { return make(bitmap, (n+7)/8) }

func (b bitmap) has(i int) bool { return i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }

func (b bitmap) set(i int) { b[i/8] |= 1 << (i % 8) }

// uploadARN names the row of an upload for something. It is no ARN of AWS.
func uploadARN(account, region, made, manifest string) string {
	sum := sha256.Sum256([]byte(made + "\n" + manifest))
	return "upload:" + account + ":" + region + ":" + hex.EncodeToString(sum[:])
}

// begin gives the row of an upload, which it makes if there is none.
func (a *Accounts) begin(ctx context.Context, account, region, made, manifest string) (u *upload, known bool, err error) {
	u = &upload{Account: account, Region: region, Manifest: manifest, Token: uuid.NewString(), Started: time.Now().UTC().Truncate(time.Second), arn: uploadARN(account, region, made, manifest)}
	err = a.Store.Write(ctx, func(tx *store.Tx) error {
		row, ok, err := tx.Resource(u.arn)
		if err != nil {
			return err
		}
		if known = ok; ok {
			return json.Unmarshal(row.Doc, u)
		}
		doc, err := json.Marshal(u)
		if err != nil {
			return err
		}
		return tx.Insert(store.Resource{Key: store.Key{Kind: uploadKind, Account: account, Region: region, Name: u.arn}, ARN: u.arn, Created: u.Started, Doc: doc})
	})
	if err != nil {
		return nil, false, fmt.Errorf("recording an upload: %w", err)
	}
	return u, known, nil
}

// save writes the row of an upload.
func (a *Accounts) save(ctx context.Context, u *upload) error {
	doc, err := json.Marshal(u)
	if err == nil {
		err = a.Store.Write(ctx, func(tx *store.Tx) error {
			return tx.Update(store.Resource{ARN: u.arn, Updated: time.Now(), Doc: doc})
		})
	}
	if err != nil {
		return fmt.Errorf("recording an upload: %w", err)
	}
	return nil
}

// remembered is how long rows of uploads are kept: well above the time after
// which AWS gives up a snapshot that nobody completes.
const remembered = 14 * 24 * time.Hour

// prune removes the rows of old uploads of an account in a region.
func (a *Accounts) prune(ctx context.Context, account, region string) error {
	return a.Store.Write(ctx, func(tx *store.Tx) error {
		rows, err := tx.List(store.Query{Kind: uploadKind, Account: account, Region: region, Scope: store.Names, Limit: 500})
		if err != nil {
			return fmt.Errorf("listing uploads: %w", err)
		}
		for _, row := range rows {
			if time.Since(row.Created) < remembered {
				continue
			}
			if err := tx.Delete(row.ARN); err != nil && !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("removing the record of an upload: %w", err)
			}
		}
		return nil
	})
}

// restart gives an upload up that cannot be gone on with: AWS cancelled it.
func (a *Accounts) restart(ctx context.Context, u *upload) error {
	u.Parent, u.Older, u.Snapshot, u.Done, u.Token = "", "", "", nil, uuid.NewString()
	return a.save(ctx, u)
}
