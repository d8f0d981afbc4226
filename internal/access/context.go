package access

import (
	"strconv"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Values are condition keys, in lower case, and their values.
type Values map[string][]string

// Set gives a key one value; an empty one leaves the key absent.
func (v Values) Set(key, value string) {
	if value != "" {
		v[key] = []string{value}
	}
}

// Tags adds prefix/KEY for every tag. Keys that differ only in case are one
// condition key with several values.
func (v Values) Tags(prefix string, tags map[string]string) {
	for key, value := range tags {
		name := lower(prefix + "/" + key)
		v[name] = append(v[name], value)
	}
}

// Global gives the values of the global condition keys of a request: who calls,
// from where and when.
func Global(c identity.Caller, now time.Time) Values {
	p := Of(c)
	v := Values{}
	for key, value := range p.keys() {
		v.Set(key, value)
	}
	v.Tags("aws:principaltag", p.Tags)
	if p.Place.Path != "" {
		v["aws:principalorgpaths"] = []string{p.Place.Path}
	}
	v.Set("aws:requestedregion", c.Region)
	v.Set("aws:sourceip", c.SourceIP)
	v.Set("aws:useragent", c.UserAgent)
	v.Set("aws:securetransport", strconv.FormatBool(c.Encrypted))
	v.Set("aws:currenttime", now.UTC().Format(time.RFC3339))
	v.Set("aws:epochtime", strconv.FormatInt(now.Unix(), 10))
	return v
}

// Lookup gives the values to an evaluation.
func (v Values) Lookup(key string) ([]string, bool) {
	values, ok := v[key]
	return values, ok
}

// ownerOf is the account in an ARN, "" if it has none.
func ownerOf(resource string) string {
	parts := strings.SplitN(resource, ":", 6)
	if len(parts) != 6 {
		return ""
	}
	return parts[4]
}
