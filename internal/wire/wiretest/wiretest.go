package wiretest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// Key is an access key of account 123456789012, for tests only.
var Key = identity.Key{
	AccessKeyID:     "AKIAGOLDSMITHTEST001",
	SecretAccessKey: "not-a-secret/for+tests=only",
	Account:         "123456789012",
	ARN:             "arn:aws:iam::123456789012:user/tester",
	UserID:          "AIDAGOLDSMITHTEST001",
}

// Keys knows the keys in it, by access key id.
type Keys map[string]identity.Key

// Known is a Keys with just Key.
func Known() Keys { return Keys{Key.AccessKeyID: Key} }

// Lookup finds a key.
func (k Keys) Lookup(_ context.Context, id, _ string) (identity.Key, bool, error) {
	key, ok := k[id]
	return key, ok, nil
}

// Open lets every request through to its operation.
type Open struct{}

// Authorize allows.
func (Open) Authorize(context.Context, *shape.Service, *shape.Operation, any) error { return nil }

// Sign signs r, whose body is body, as an AWS client does.
func Sign(t testing.TB, r *http.Request, body []byte, key identity.Key, service, region string, at time.Time) {
	t.Helper()
	credentials := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: string(key.SecretAccessKey), SessionToken: key.SessionToken}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, Hash(body), service, region, at); err != nil {
		t.Fatalf("signing: %v", err)
	}
}

// Request makes a request to url, signed now with Key for service in us-east-1.
func Request(t testing.TB, service, method, url string, header http.Header, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	Sign(t, r, body, Key, service, "us-east-1", time.Now())
	return r
}

// Hash is a body's hash as signatures use it.
func Hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
