package wire

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxExpires is the longest life of a presigned URL, in seconds: a week.
const maxExpires = 604_800

// dateFormat is X-Amz-Date's.
const dateFormat = "20060102T150405Z"

var regionName = regexp.MustCompile(`^[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}$`)

// credential is what a request says about its signature.
type credential struct {
	accessKeyID   string
	day           string // of the scope, "20260102"
	region        string
	service       string
	signedHeaders []string
	signature     string
	date          string // X-Amz-Date
	time          time.Time
	token         string        // session token, "" if none
	expires       time.Duration // of a presigned URL, 0 for a signed header
	presigned     bool
	query         []parameter // to be signed
}

func (c *credential) scope() string {
	return c.day + "/" + c.region + "/" + c.service + "/aws4_request"
}

// parseCredential reads the signature from the Authorization header or, for a
// presigned URL, from the query.
func parseCredential(r *http.Request) (*credential, error) {
	query, err := splitQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(incomplete, "The query string cannot be read: %v.", err)
	}
	if err := checkHeaders(r); err != nil {
		return nil, err
	}
	presigned := slices.ContainsFunc(query, func(p parameter) bool {
		return p.name == "X-Amz-Algorithm" || p.name == "X-Amz-Signature" || p.name == "X-Amz-Credential"
	})
	header := r.Header.Get("Authorization")
	var c *credential
	switch {
	case presigned && header != "":
		return nil, refuse(incomplete, "Only one way of authentication is allowed: the Authorization header or the query string.")
	case presigned:
		c, err = fromQuery(query)
	case header != "":
		c, err = fromHeader(r, header)
		if err == nil {
			c.query = query
		}
	default:
		return nil, refuse(missing, "Missing Authentication Token")
	}
	if err != nil {
		return nil, err
	}
	return c, c.complete(r)
}

// checkHeaders refuses repeated headers where one value must hold: two readers
// of such a request could choose different ones.
func checkHeaders(r *http.Request) error {
	for name, values := range r.Header {
		single := name == "Authorization" || name == "Content-Type" || strings.HasPrefix(name, "X-Amz-")
		if single && len(values) > 1 {
			return refuse(incomplete, "The header '%s' appears more than once.", name)
		}
	}
	return nil
}

func fromHeader(r *http.Request, header string) (*credential, error) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return nil, refuse(incomplete, "Authorization header requires the algorithm '%s'.", algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.Trim(part, " \t"), "=")
		if _, twice := parts[name]; !ok || twice || name != "Credential" && name != "SignedHeaders" && name != "Signature" {
			return nil, refuse(incomplete, "Authorization header has a part that is malformed, unknown or repeated.")
		}
		parts[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if parts[name] == "" {
			return nil, refuse(incomplete, "Authorization header requires '%s' parameter.", name)
		}
	}
	c := &credential{signature: parts["Signature"], date: r.Header.Get("X-Amz-Date"), token: r.Header.Get("X-Amz-Security-Token")}
	if c.date == "" {
		return nil, refuse(incomplete, "Authorization header requires existence of a 'X-Amz-Date' header.")
	}
	return c, c.parse(parts["Credential"], parts["SignedHeaders"])
}

func fromQuery(query []parameter) (*credential, error) {
	parts := map[string]string{}
	c := &credential{presigned: true}
	for _, p := range query {
		if p.name != "X-Amz-Signature" {
			c.query = append(c.query, p)
		}
		if !strings.HasPrefix(p.name, "X-Amz-") {
			continue
		}
		if _, twice := parts[p.name]; twice {
			return nil, refuse(incomplete, "The query parameter '%.64s' appears more than once.", p.name)
		}
		parts[p.name] = p.value
	}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature", "X-Amz-SignedHeaders"} {
		if parts[name] == "" {
			return nil, refuse(incomplete, "AWS query-string parameters must include '%s'.", name)
		}
	}
	if parts["X-Amz-Algorithm"] != algorithm {
		return nil, refuse(incomplete, "X-Amz-Algorithm has to be '%s'.", algorithm)
	}
	seconds, err := strconv.ParseUint(parts["X-Amz-Expires"], 10, 32)
	if err != nil || seconds < 1 || seconds > maxExpires {
		return nil, refuse(incomplete, "X-Amz-Expires has to be a number from 1 to %d.", maxExpires)
	}
	c.expires = time.Duration(seconds) * time.Second
	c.signature, c.date, c.token = parts["X-Amz-Signature"], parts["X-Amz-Date"], parts["X-Amz-Security-Token"]
	return c, c.parse(parts["X-Amz-Credential"], parts["X-Amz-SignedHeaders"])
}

// parse reads the scope and the list of signed headers.
func (c *credential) parse(scope, signed string) error {
	parts := strings.Split(scope, "/")
	if len(parts) != 5 || slices.Contains(parts, "") || parts[4] != "aws4_request" {
		return refuse(incomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	c.accessKeyID, c.day, c.region, c.service = parts[0], parts[1], parts[2], parts[3]
	c.signedHeaders = strings.Split(signed, ";")
	for i, name := range c.signedHeaders {
		if name == "" || name != strings.ToLower(name) || i > 0 && name <= c.signedHeaders[i-1] {
			return refuse(incomplete, "SignedHeaders must be lower-case names in order, each once.")
		}
	}
	t, err := time.Parse(dateFormat, c.date)
	// The length, because Parse would take a fraction of a second as well.
	if err != nil || len(c.date) != len(dateFormat) {
		return refuse(incomplete, "Date must be in ISO-8601 'basic format'. Got '%.64s'.", c.date)
	}
	c.time = t
	return nil
}

// complete checks that all that has to be signed is signed.
func (c *credential) complete(r *http.Request) error {
	if !slices.Contains(c.signedHeaders, "host") {
		return refuse(mismatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !slices.Contains(c.signedHeaders, lower) {
			return refuse(mismatch, "There were headers present in the request which were not signed: '%.64s'.", lower)
		}
	}
	for _, name := range c.signedHeaders {
		if _, sent := r.Header[http.CanonicalHeaderKey(name)]; !sent && name != "host" {
			return refuse(mismatch, "The signed header '%.64s' is not in the request.", name)
		}
	}
	if payload := r.Header.Get("X-Amz-Content-Sha256"); payload == "UNSIGNED-PAYLOAD" || strings.HasPrefix(payload, "STREAMING-") {
		return refuse(mismatch, "The payload has to be signed: '%.64s' is not supported by this service.", payload)
	}
	return nil
}

// current checks the request's date against the scope's and the clock.
func (c *credential) current(now time.Time) error {
	const skew = 5 * time.Minute
	if day := c.date[:8]; day != c.day {
		return refuse(mismatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%.16s' != '%s', from '%s'.", c.day, day, c.date)
	}
	now = now.UTC().Truncate(time.Second)
	if latest := now.Add(skew); c.time.After(latest) {
		return refuse(expired, "Signature not yet current: %s is still later than %s (%s + 5 min.)", c.date, latest.Format(dateFormat), now.Format(dateFormat))
	}
	if c.presigned {
		if end := c.time.Add(c.expires); now.After(end) {
			return refuse(expired, "Signature expired: %s is now earlier than %s", end.Format(dateFormat), now.Format(dateFormat))
		}
		return nil
	}
	if earliest := now.Add(-skew); c.time.Before(earliest) {
		return refuse(expired, "Signature expired: %s is now earlier than %s (%s - 5 min.)", c.date, earliest.Format(dateFormat), now.Format(dateFormat))
	}
	return nil
}

// reason says why a signature was not accepted.
type reason int

const (
	missing reason = iota
	incomplete
	unknownKey
	mismatch
	expired
	expiredToken
)

// authError is a request refused by its signature; the protocol chooses the
// code.
type authError struct {
	reason  reason
	message string
}

func (e *authError) Error() string { return e.message }

func refuse(r reason, format string, args ...any) error {
	return &authError{r, fmt.Sprintf(format, args...)}
}
