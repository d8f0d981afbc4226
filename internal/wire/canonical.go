package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
)

// Signature Version 4, as a server computes it: from exactly the headers that
// the client says it signed. Source of the rules: the IAM User Guide,
// "Create a signed AWS API request".

const algorithm = "AWS4-HMAC-SHA256"

// canonicalRequest builds the text that both sides hash. query must be without
// X-Amz-Signature.
func canonicalRequest(r *http.Request, query []parameter, signedHeaders []string, bodyHash string) string {
	var b strings.Builder
	b.Grow(512)
	b.WriteString(r.Method)
	b.WriteByte('\n')
	// Every service but S3 escapes the path that was sent once more.
	path := rawPath(r)
	if path == "" {
		path = "/"
	}
	escape(&b, path, true)
	b.WriteByte('\n')
	canonicalQuery(&b, query)
	b.WriteByte('\n')
	for _, name := range signedHeaders {
		b.WriteString(name)
		b.WriteByte(':')
		canonicalValue(&b, r, name)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.WriteString(strings.Join(signedHeaders, ";"))
	b.WriteByte('\n')
	b.WriteString(bodyHash)
	return b.String()
}

func canonicalQuery(b *strings.Builder, query []parameter) {
	pairs := make([]string, 0, len(query))
	for _, p := range query {
		var pair strings.Builder
		escape(&pair, p.name, false)
		// Below every character that escaping leaves, so that sorting the
		// pairs sorts by name and then by value.
		pair.WriteByte(0)
		escape(&pair, p.value, false)
		pairs = append(pairs, pair.String())
	}
	slices.Sort(pairs)
	for i, pair := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		name, value, _ := strings.Cut(pair, "\x00")
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(value)
	}
}

// canonicalValue writes a header's value: values joined by commas, each
// trimmed, with runs of spaces made one.
func canonicalValue(b *strings.Builder, r *http.Request, name string) {
	values := r.Header[http.CanonicalHeaderKey(name)]
	if name == "host" {
		values = []string{r.Host}
	}
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		v = strings.Trim(v, " \t")
		space := false
		for j := 0; j < len(v); j++ {
			if v[j] == ' ' && space {
				continue
			}
			space = v[j] == ' '
			b.WriteByte(v[j])
		}
	}
}

// escape percent-encodes all but RFC 3986's unreserved characters.
func escape(b *strings.Builder, s string, keepSlash bool) {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
}

// signature computes what the client should have computed.
func signature(secret string, c *credential, canonical string) string {
	hash := sha256.Sum256([]byte(canonical))
	toSign := algorithm + "\n" + c.date + "\n" + c.scope() + "\n" + hex.EncodeToString(hash[:])
	key := sum([]byte("AWS4"+secret), c.day)
	key = sum(key, c.region)
	key = sum(key, c.service)
	key = sum(key, "aws4_request")
	return hex.EncodeToString(sum(key, toSign))
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
