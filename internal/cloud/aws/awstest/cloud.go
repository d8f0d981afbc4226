package awstest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// Account is whose credentials all requests have.
const Account = "210987654321"

// Cloud is the stand-in. Its maps are for reading when no request is under way.
type Cloud struct {
	URL string

	// Fault is asked before each request; an answer that is not "" is the error
	// that it fails with: "CODE" of a client's error, or "5xx" for a failing server.
	// It is called for one request at a time. nil: none fails.
	Fault func(operation, region string) string

	Slow int // times that a copy is seen pending before it is available
	Late int // times that a new snapshot is not known to PutSnapshotBlock

	mu        sync.Mutex
	Snapshots map[string]*Snapshot
	Images    map[string]*Image
	Calls     map[string]int // by operation
	next      int
}

// Start starts a stand-in that lives as long as the test.
func Start(t testing.TB) *Cloud {
	c := &Cloud{Snapshots: map[string]*Snapshot{}, Images: map[string]*Image{}, Calls: map[string]int{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Credentials gives the process credentials that every stand-in takes, and no
// other way to any. Call it before the first test.
func Credentials() {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEAWSTEST00", "AWS_SECRET_ACCESS_KEY": "a-secret-for-tests-only", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		os.Setenv(name, value)
	}
}

// refusal is an error of the API.
type refusal struct {
	status  int
	code    string
	reason  string // of EBS's ValidationException
	message string
}

func refuse(code, format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

// Locked calls f while no request is worked on.
func (c *Cloud) Locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *Cloud) id(prefix string) string {
	c.next++
	return fmt.Sprintf("%s-%017x", prefix, c.next)
}

var scope = regexp.MustCompile(`Credential=([A-Z0-9]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9]+)/aws4_request`)

// ServeHTTP answers a request of any of the services.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signed := scope.FindStringSubmatch(r.Header.Get("Authorization"))
	if signed == nil {
		http.Error(w, "not signed", http.StatusForbidden)
		return
	}
	region := signed[2]
	if strings.HasPrefix(r.URL.Path, "/snapshots") {
		c.serveEBS(w, r, region)
		return
	}
	c.serveQuery(w, r, region)
}

// fault counts a request and says whether it is to fail.
func (c *Cloud) fault(operation, region string) *refusal {
	c.Calls[operation]++
	if c.Fault == nil {
		return nil
	}
	switch code := c.Fault(operation, region); code {
	case "":
		return nil
	case "5xx":
		return &refusal{status: http.StatusServiceUnavailable, code: "InternalServerException", message: "try again"}
	default:
		return refuse(code, "the test wants this to fail")
	}
}
