package condition

import (
	"crypto/md5"  //nolint:gosec // the language has it
	"crypto/sha1" //nolint:gosec // the language has it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"math/big"
	"os"
	"regexp"
	"strings"
	"unicode"
)

// operator is a comparison: decide compares the value of the second key with
// the operand ("value OP operand"); check, where there is one, looks at an
// operand before anything runs.
type operator struct {
	name   string
	second string // the companion key: "", "value" or "path"
	check  func(operand string) error
	decide func(env Env, operand, second string) (bool, error)
}

// fold is the one place that says how texts compare: without regard to case,
// with blanks as they are (user guide, "Comparison operators").
func fold(s string) string { return strings.ToLower(s) }

func compareText(test func(order int) bool) func(Env, string, string) (bool, error) {
	return func(_ Env, operand, value string) (bool, error) {
		return test(strings.Compare(fold(value), fold(operand))), nil
	}
}

func compareNumbers(test func(order int) bool) func(Env, string, string) (bool, error) {
	return func(_ Env, operand, value string) (bool, error) {
		want, err := number(operand)
		if err != nil {
			return false, err
		}
		got, err := number(value)
		if err != nil {
			return false, nil // the guide: what cannot be converted compares as false
		}
		return test(got.Cmp(want)), nil
	}
}

var numberForm = regexp.MustCompile(`^[-+]?([0-9]+[.])?[0-9]+$`)

func number(s string) (*big.Rat, error) {
	const longest = 4096
	if len(s) > longest || !numberForm.MatchString(s) {
		return nil, errors.New("is not a number (digits with an optional sign and decimal point)")
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, errors.New("is not a number")
	}
	return r, nil
}

func checkNumber(s string) error {
	_, err := number(s)
	return err
}

func checkPattern(s string) error {
	if _, err := regexp.Compile("(?i)" + s); err != nil {
		return errors.New("is not a regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

func matchPattern(_ Env, pattern, value string) (bool, error) {
	re, err := regexp.Compile("(?i)" + pattern)
	if err != nil {
		return false, checkPattern(pattern)
	}
	return re.MatchString(value), nil
}

func isWhitespace(_ Env, s, _ string) (bool, error) {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsSpace(r) }) < 0, nil
}

func exists(test func(fs.FileMode) bool) func(Env, string, string) (bool, error) {
	return func(env Env, operand, _ string) (bool, error) {
		info, err := os.Stat(env.path(operand))
		return err == nil && test(info.Mode()), nil
	}
}

// hashEquals is false for a file that is missing or cannot be read.
func hashEquals(newHash func() hash.Hash) func(Env, string, string) (bool, error) {
	return func(env Env, operand, path string) (bool, error) {
		f, err := os.Open(env.path(path))
		if err != nil {
			return false, nil
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return false, nil // a pipe or device might never end
		}
		h := newHash()
		if _, err := io.Copy(h, f); err != nil {
			return false, nil
		}
		return strings.EqualFold(hex.EncodeToString(h.Sum(nil)), strings.TrimSpace(operand)), nil
	}
}

func less(order int) bool         { return order < 0 }
func lessEqual(order int) bool    { return order <= 0 }
func greater(order int) bool      { return order > 0 }
func greaterEqual(order int) bool { return order >= 0 }
func equal(order int) bool        { return order == 0 }

var operators = []operator{
	{name: "stringIsEmpty", decide: func(_ Env, s, _ string) (bool, error) { return s == "", nil }},
	{name: "stringIsWhitespace", decide: isWhitespace},
	{name: "stringEquals", second: "value", decide: compareText(equal)},
	{name: "stringLessThan", second: "value", decide: compareText(less)},
	{name: "stringLessThanEquals", second: "value", decide: compareText(lessEqual)},
	{name: "stringGreaterThan", second: "value", decide: compareText(greater)},
	{name: "stringGreaterThanEquals", second: "value", decide: compareText(greaterEqual)},
	{name: "patternMatches", second: "value", check: checkPattern, decide: matchPattern},
	{name: "numberEquals", second: "value", check: checkNumber, decide: compareNumbers(equal)},
	{name: "numberLessThan", second: "value", check: checkNumber, decide: compareNumbers(less)},
	{name: "numberLessThanEquals", second: "value", check: checkNumber, decide: compareNumbers(lessEqual)},
	{name: "numberGreaterThan", second: "value", check: checkNumber, decide: compareNumbers(greater)},
	{name: "numberGreaterThanEquals", second: "value", check: checkNumber, decide: compareNumbers(greaterEqual)},
	{name: "binaryExists", decide: func(env Env, name, _ string) (bool, error) { return env.BinaryExists(name), nil }},
	{name: "fileExists", decide: exists(fs.FileMode.IsRegular)},
	{name: "folderExists", decide: exists(fs.FileMode.IsDir)},
	{name: "fileMD5Equals", second: "path", decide: hashEquals(md5.New)},
	{name: "fileSHA1Equals", second: "path", decide: hashEquals(sha1.New)},
	{name: "fileSHA256Equals", second: "path", decide: hashEquals(sha256.New)},
	{name: "fileSHA512Equals", second: "path", decide: hashEquals(sha512.New)},
}

// Logical operators, and the deepest they may lie within each other.
const (
	And      = "and"
	Or       = "or"
	Not      = "not"
	MaxDepth = 4
)

var byName = func() map[string]*operator {
	m := make(map[string]*operator, len(operators))
	for i := range operators {
		m[operators[i].name] = &operators[i]
	}
	return m
}()

// Operators names every operator, the logical ones first.
func Operators() []string {
	names := []string{And, Or, Not}
	for _, op := range operators {
		names = append(names, op.name)
	}
	return names
}

// Second gives the key that stands beside an operator: "value", "path" or "".
func Second(name string) string {
	if op := byName[name]; op != nil {
		return op.second
	}
	return ""
}
