package action

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/problem"
)

// Type is the type of an input.
type Type int

// The types of input. Every text may hold references, so a Bool or Int that
// does is converted once its value is known.
const (
	String    Type = iota
	Bool           // true or false
	Int            // decimal
	Strings        // a list of texts
	StringMap      // a mapping of texts
	Pairs          // a list of {name, value}
	Any            // text, or a list of texts (SetRegistry's value)
)

// String names the type for messages and tables.
func (t Type) String() string {
	return [...]string{"text", "true or false", "a whole number", "a list of texts", "a mapping of texts", "a list of {name, value}", "text or a list of texts"}[t]
}

// Field is the schema of one input.
type Field struct {
	Name     string
	Type     Type
	Required bool
	Default  string   // used when the input is left out; "" for none
	Values   []string // the only literals allowed, exactly as written; nil for any
	NotOn    []string // platforms where the field is refused
	Ignored  string   // if not "", the field has no effect and this says why
	NotEmpty bool     // a literal may not be empty
	check    func(literal string) error
}

// Check looks at a literal value, one without references, of a field that
// takes text, a Bool or an Int, or at one element of Strings.
func (f *Field) Check(literal string) error {
	if _, err := f.Convert(literal); err != nil {
		return err
	}
	if f.NotEmpty && literal == "" {
		return errors.New("must not be empty")
	}
	if len(f.Values) > 0 && !slices.Contains(f.Values, literal) {
		text := "is one of " + strings.Join(f.Values, ", ")
		if near := problem.Nearest(literal, f.Values); near != "" {
			text += " (did you mean " + near + "?)"
		}
		return errors.New(text)
	}
	if f.check != nil {
		return f.check(literal)
	}
	return nil
}

// Convert turns a resolved text into the field's type: bool, int64 or string.
func (f *Field) Convert(text string) (any, error) {
	switch f.Type {
	case Bool:
		switch strings.ToLower(text) {
		case "true", "yes", "on": // the latter as in YAML 1.1
			return true, nil
		case "false", "no", "off":
			return false, nil
		}
		return nil, fmt.Errorf("must be true or false, not %q", abbreviate(text))
	case Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("must be a whole number, not %q", abbreviate(text))
		}
		return n, nil
	}
	return text, nil
}

func abbreviate(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

var octal = regexp.MustCompile(`^(0o)?[0-7]{1,5}$`)

func checkPermissions(s string) error {
	if !octal.MatchString(s) {
		return fmt.Errorf("must be an octal number such as 0644, not %q", abbreviate(s))
	}
	return nil
}

func checkAccountID(s string) error {
	if len(s) != 12 || strings.Trim(s, "0123456789") != "" {
		return errors.New("must be an account number of 12 digits")
	}
	return nil
}

func checkHTTP(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("must be an http or https URL, not %q", abbreviate(s))
	}
	return nil
}

func checkS3(s string) error {
	rest, ok := strings.CutPrefix(s, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || key == "" {
		return fmt.Errorf("must be s3://bucket/key, not %q", abbreviate(s))
	}
	return nil
}

func checkNotNegative(s string) error {
	if strings.HasPrefix(s, "-") {
		return errors.New("must not be negative")
	}
	return nil
}

// checkWildcard holds the language's rule: '*' only, and only after the last
// separator.
func checkWildcard(s string) error {
	dir := s
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		dir = s[:i]
	} else {
		dir = ""
	}
	if strings.Contains(dir, "*") {
		return errors.New("may hold '*' only after the last separator")
	}
	return nil
}

// encodings in the language's spellings, lower case, and what they mean.
var encodings = map[string]encoding{
	"utf8": utf8Text, "utf-8": utf8Text,
	"utf16": utf16LE, "utf-16": utf16LE, "utf16-le": utf16LE, "utf-16-le": utf16LE, "utf16-be": utf16BE, "utf-16-be": utf16BE,
	"utf32": utf32LE, "utf-32": utf32LE, "utf32-le": utf32LE, "utf-32-le": utf32LE, "utf32-be": utf32BE, "utf-32-be": utf32BE,
}

func checkEncoding(s string) error {
	if _, ok := encodings[strings.ToLower(s)]; !ok {
		return fmt.Errorf("must be utf-8, utf-16 or utf-32, the last two with -LE or -BE at wish, not %q", abbreviate(s))
	}
	return nil
}

func checkHex(s string) error {
	if len(s) == 0 || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return errors.New("must be hexadecimal digits")
	}
	return nil
}

func checkMSILogOptions(s string) error {
	if s == "" || strings.Trim(strings.ToLower(s), "iwearucmopvx+!*") != "" {
		return errors.New("may hold only the msiexec flags i w e a r u c m o p v x + ! *")
	}
	return nil
}

// registryRoots by the two ways to write them, and their short names.
var registryRoots = map[string]string{
	"HKEY_CLASSES_ROOT": "HKCR", "HKCR:": "HKCR", "HKEY_USERS": "HKU", "HKU:": "HKU", "HKEY_LOCAL_MACHINE": "HKLM", "HKLM:": "HKLM",
	"HKEY_CURRENT_CONFIG": "HKCC", "HKCC:": "HKCC", "HKEY_CURRENT_USER": "HKCU", "HKCU:": "HKCU",
}

func checkRegistryPath(s string) error {
	root, _, _ := strings.Cut(strings.ReplaceAll(s, "/", `\`), `\`)
	if registryRoots[strings.ToUpper(root)] == "" {
		return errors.New("must begin with a registry root such as HKLM: or HKEY_LOCAL_MACHINE")
	}
	return nil
}
