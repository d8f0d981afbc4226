package metadata

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Credentials are temporary ones of a role.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey string
	Token           string
	Expiration      time.Time
}

// Service answers one instance's questions. It is an http.Handler, safe for
// concurrent use; set its members before the first request.
type Service struct {
	Document Document

	// TokenRequired refuses requests of version 1, without a session token
	// (httpTokens "required").
	TokenRequired bool

	// Credentials gives new credentials of Document.Role; nil: there are none.
	Credentials func(context.Context) (Credentials, error)

	Now func() time.Time // nil: time.Now

	once sync.Once
	key  []byte // signs session tokens
	tree tree

	mu      sync.Mutex
	current Credentials
	since   time.Time
}

// Headers of version 2 (EC2 User Guide, "Use the Instance Metadata Service").
const (
	ttlHeader   = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	tokenHeader = "X-Aws-Ec2-Metadata-Token"
	maxTTL      = 21600
)

func (s *Service) prepare() {
	s.key = make([]byte, 32)
	rand.Read(s.key)
	if s.Now == nil {
		s.Now = time.Now
	}
	s.tree = s.Document.tree(s.Credentials != nil)
}

// ServeHTTP answers as EC2 does: plain text, and errors by their status.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.once.Do(s.prepare)
	h := w.Header()
	h.Set("Server", "EC2ws")
	h.Set("Content-Type", "text/plain")
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		s.token(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		fail(w, http.StatusMethodNotAllowed)
	case !s.admitted(r):
		fail(w, http.StatusUnauthorized)
	default:
		s.get(w, r)
	}
}

func fail(w http.ResponseWriter, status int) { http.Error(w, http.StatusText(status), status) }

// token gives a session token: when it ends, and a signature of that.
func (s *Service) token(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.Header.Get(ttlHeader))
	switch {
	case r.Header.Get("X-Forwarded-For") != "":
		fail(w, http.StatusForbidden) // a proxy that others use may ask for none
		return
	case err != nil || seconds < 1 || seconds > maxTTL:
		fail(w, http.StatusBadRequest)
		return
	}
	until := binary.BigEndian.AppendUint64(nil, uint64(s.Now().Add(time.Duration(seconds)*time.Second).Unix()))
	w.Header().Set(ttlHeader, strconv.Itoa(seconds))
	fmt.Fprint(w, base64.URLEncoding.EncodeToString(append(until, s.sign(until)...)))
}

func (s *Service) sign(until []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(until)
	return mac.Sum(nil)
}

// admitted checks the session token, which version 1 has none of.
func (s *Service) admitted(r *http.Request) bool {
	given := r.Header.Values(tokenHeader)
	if len(given) == 0 {
		return !s.TokenRequired
	}
	raw, err := base64.URLEncoding.DecodeString(given[0])
	if err != nil || len(raw) != 8+sha256.Size || !hmac.Equal(raw[8:], s.sign(raw[:8])) {
		return false
	}
	return s.Now().Unix() < int64(binary.BigEndian.Uint64(raw[:8]))
}

// version is how paths begin: the newest, or a date of a release.
var version = regexp.MustCompile(`^(latest|1\.0|20[0-9]{2}-[0-9]{2}-[0-9]{2})$`)

func (s *Service) get(w http.ResponseWriter, r *http.Request) {
	clean := strings.Trim(path.Clean("/"+r.URL.Path), "/")
	if clean == "" {
		fmt.Fprint(w, "1.0\n2021-07-15\nlatest")
		return
	}
	root, rest, _ := strings.Cut(clean, "/")
	if !version.MatchString(root) {
		fail(w, http.StatusNotFound)
		return
	}
	const credentials = "meta-data/iam/security-credentials/"
	if role, ok := strings.CutPrefix(rest, credentials); ok && role == s.Document.Role && s.Credentials != nil {
		s.credentials(w, r)
		return
	}
	answer, ok := s.tree.at(rest)
	if !ok {
		fail(w, http.StatusNotFound)
		return
	}
	if rest == "user-data" {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	fmt.Fprint(w, answer)
}

// fresh is how long before their end credentials are renewed.
const fresh = 15 * time.Minute

// credentials answers with those of the role, the same until they are to end
// soon.
func (s *Service) credentials(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	if s.current.Expiration.Sub(now) < fresh {
		made, err := s.Credentials(r.Context())
		if err != nil {
			fail(w, http.StatusInternalServerError)
			return
		}
		s.current, s.since = made, now
	}
	data, err := json.MarshalIndent(struct {
		Code, LastUpdated, Type, AccessKeyId, SecretAccessKey, Token, Expiration string
	}{"Success", stamp(s.since), "AWS-HMAC", s.current.AccessKeyID, s.current.SecretAccessKey, s.current.Token, stamp(s.current.Expiration)}, "", "  ")
	if err != nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	w.Write(data)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
