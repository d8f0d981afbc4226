package base

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// aptSource is one suite of one package archive, as sources.list(5) has them.
type aptSource struct {
	URI        string
	Suite      string
	Components []string
	SignedBy   string // path of a keyring, an inline key, or ""
}

// readSources reads the machine's package sources: etc/apt/sources.list and
// sources.list.d in both formats. Entries that are switched off, for sources,
// or of other schemes than http, https and file are left out; lists of mirrors
// are replaced by the mirrors.
func readSources(etc string) ([]aptSource, error) {
	names := []string{filepath.Join(etc, "sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, err := filepath.Glob(filepath.Join(etc, "sources.list.d", pattern))
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	var all []aptSource
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading package sources: %w", err)
		}
		parse := parseOneLine
		if strings.HasSuffix(name, ".sources") {
			parse = parseDeb822
		}
		all = append(all, parse(data)...)
	}
	return expandMirrors(all)
}

// parseOneLine reads "deb [option=value …] URI SUITE COMPONENT…" lines.
func parseOneLine(data []byte) []aptSource {
	var all []aptSource
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		s := aptSource{}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			options, after, closed := strings.Cut(rest[1:], "]")
			if !closed {
				continue
			}
			for option := range strings.FieldsSeq(options) {
				if value, ok := strings.CutPrefix(option, "signed-by="); ok {
					s.SignedBy = value
				}
			}
			rest = after
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		s.URI, s.Suite, s.Components = fields[0], fields[1], fields[2:]
		all = append(all, s)
	}
	return all
}

// parseDeb822 reads stanzas of "Field: value" lines with continuations.
func parseDeb822(data []byte) []aptSource {
	var all []aptSource
	fields := map[string]string{}
	field := ""
	finish := func() {
		all = append(all, stanzaSources(fields)...)
		fields, field = map[string]string{}, ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			finish()
		case line[0] == ' ' || line[0] == '\t':
			if field != "" {
				fields[field] += "\n" + strings.TrimSpace(line)
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if ok {
				field = strings.ToLower(name)
				fields[field] = strings.TrimSpace(value)
			}
		}
	}
	finish()
	return all
}

func stanzaSources(fields map[string]string) []aptSource {
	if !slices.Contains(strings.Fields(fields["types"]), "deb") || strings.EqualFold(fields["enabled"], "no") {
		return nil
	}
	var all []aptSource
	for uri := range strings.FieldsSeq(fields["uris"]) {
		for suite := range strings.FieldsSeq(fields["suites"]) {
			all = append(all, aptSource{URI: uri, Suite: suite,
				Components: strings.Fields(fields["components"]), SignedBy: strings.TrimSpace(fields["signed-by"])})
		}
	}
	return all
}

// expandMirrors replaces sources of the scheme mirror+file, a file with a URI
// a line, by its first mirror, and drops what a parent cannot be made from.
func expandMirrors(sources []aptSource) ([]aptSource, error) {
	var kept []aptSource
	for _, s := range sources {
		if name, ok := strings.CutPrefix(s.URI, "mirror+file:"); ok {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("reading list of mirrors: %w", err)
			}
			if s.URI = firstMirror(data); s.URI == "" {
				continue
			}
		}
		u, err := url.Parse(s.URI)
		if err != nil || !slices.Contains([]string{"http", "https", "file"}, u.Scheme) {
			continue
		}
		kept = append(kept, s)
	}
	return kept, nil
}

func firstMirror(data []byte) string {
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) > 0 {
			return fields[0]
		}
	}
	return ""
}

// debianKeyring is where the package debian-archive-keyring puts its keys.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// otherReleases are suites under which a machine's sources name the same
// archives when the machine runs another release of Debian.
var otherReleases = []string{"bullseye", "bookworm", "trixie", "forky", "duke", "sid", "unstable", "testing",
	"stable", "oldstable", "oldoldstable"}

// debianSources picks from the machine's sources those that serve a release of
// Debian with its updates and security suites. Where the machine runs another
// release, the same archives are asked for this one.
func debianSources(sources []aptSource, release string) []aptSource {
	pick := func(of string) []aptSource {
		var picked []aptSource
		for _, s := range sources {
			kind, ok := strings.CutPrefix(s.Suite, of)
			if !ok || !slices.Contains([]string{"", "-updates", "-security", "/updates"}, kind) || !servesDebian(s) {
				continue
			}
			s.Suite = release + strings.ReplaceAll(kind, "/updates", "-security")
			s.URI = strings.TrimSuffix(s.URI, "/")
			duplicate := func(o aptSource) bool { return o.Suite == s.Suite && o.URI == s.URI }
			if !slices.ContainsFunc(picked, duplicate) {
				picked = append(picked, s)
			}
		}
		return picked
	}
	for _, candidate := range append([]string{release}, otherReleases...) {
		picked := pick(candidate)
		if slices.ContainsFunc(picked, func(s aptSource) bool { return s.Suite == release }) {
			return picked
		}
	}
	return nil
}

// servesDebian tells Debian's own archives from others that use the names of
// its releases: by the key, or by the path that mirrors have.
func servesDebian(s aptSource) bool {
	if !slices.Contains(s.Components, "main") {
		return false
	}
	if s.SignedBy != "" {
		return strings.Contains(filepath.Base(s.SignedBy), "debian-archive")
	}
	u, err := url.Parse(s.URI)
	return err == nil && strings.Contains(u.Path, "debian")
}

// oneLine writes the source for the bootstrapping tool.
func (s aptSource) oneLine(keyring string) string {
	return fmt.Sprintf("deb [signed-by=%s] %s %s %s", keyring, s.URI, s.Suite, strings.Join(s.Components, " "))
}

// imageSources is the file that the image gets: the same archives, without
// passwords.
func imageSources(sources []aptSource) []byte {
	var b bytes.Buffer
	for i, s := range sources {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n",
			withoutPassword(s.URI), s.Suite, strings.Join(s.Components, " "), debianKeyring)
	}
	return b.Bytes()
}

// withoutPassword gives a URL to show: without what stands before an "@".
func withoutPassword(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		if _, rest, ok := strings.Cut(uri, "@"); ok {
			return "…@" + rest
		}
		return uri
	}
	if u.User == nil {
		return uri
	}
	u.User = nil
	return u.String()
}
