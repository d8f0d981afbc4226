package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// authenticate verifies the request's signature and gives the caller and the
// body. The cheap checks come first: nothing is read from a client that shows
// no known access key.
func (h *Handler) authenticate(x *exchange) (identity.Caller, []byte, error) {
	var none identity.Caller
	c, err := parseCredential(x.r)
	if err != nil {
		return none, nil, err
	}
	x.event.Service, x.event.Region = c.service, c.region
	if e := h.services[c.service]; e != nil {
		x.service, x.dialect = e.service, e.dialect
	}
	if err := c.current(h.clock()); err != nil {
		return none, nil, err
	}
	if !regionName.MatchString(c.region) {
		return none, nil, refuse(mismatch, "Credential should be scoped to a valid region.")
	}
	key, ok, err := h.keys.Lookup(x.r.Context(), c.accessKeyID, c.token)
	if err != nil {
		return none, nil, fmt.Errorf("looking up the access key: %w", err)
	}
	if !ok || subtle.ConstantTimeCompare([]byte(c.token), []byte(key.SessionToken)) != 1 {
		return none, nil, refuse(unknownKey, "The security token included in the request is invalid.")
	}
	if !key.Expires.IsZero() && !h.clock().Before(key.Expires) {
		return none, nil, refuse(expiredToken, "The security token included in the request is expired")
	}
	body, err := readBody(x.w, x.r)
	if err != nil {
		return none, nil, err
	}
	sum := sha256.Sum256(body)
	bodyHash := hex.EncodeToString(sum[:])
	// A wrong hash in the header would make a signature over it meaningless.
	stated := x.r.Header.Get("X-Amz-Content-Sha256")
	want := signature(string(key.SecretAccessKey), c, canonicalRequest(x.r, c.query, c.signedHeaders, bodyHash))
	if subtle.ConstantTimeCompare([]byte(want), []byte(c.signature)) != 1 || stated != "" && stated != bodyHash {
		return none, nil, refuse(mismatch, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	x.event.Account, x.event.AccessKeyID = key.Account, key.AccessKeyID
	return identity.Caller{
		Account:     key.Account,
		Region:      c.region,
		AccessKeyID: key.AccessKeyID,
		ARN:         key.ARN,
		UserID:      key.UserID,
		Principal:   key.Principal,
		RequestID:   x.event.RequestID,
		SourceIP:    sourceIP(x.r),
		UserAgent:   x.r.UserAgent(),
		Encrypted:   x.r.TLS != nil,
	}, body, nil
}

// sourceIP is the address at the other end of the connection. What a proxy or a
// client says in a header does not count: anyone can say it.
func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}
