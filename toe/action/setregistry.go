package action

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// registryValue is a value of the Windows registry, in the form of its type.
type registryValue struct {
	kind   string   // as in registryTypes
	text   string   // SZ, EXPAND_SZ
	texts  []string // MULTI_SZ
	number uint64   // DWORD, QWORD
	bytes  []byte   // BINARY
}

var registryTypes = []string{"BINARY", "DWORD", "QWORD", "SZ", "EXPAND_SZ", "MULTI_SZ"}

// setRegistry sets one value, and makes the keys above it that are missing.
func setRegistry(_ context.Context, h *Host, e Entry) (Output, error) {
	root, key, err := splitRegistryPath(e.String("path"))
	if err != nil {
		return nil, err
	}
	value, err := parseRegistryValue(e.String("type"), e.Texts("value"), e.IsList("value"))
	if err != nil {
		return nil, fmt.Errorf("the value of %s: %w", e.String("name"), err)
	}
	h.logf("SetRegistry: %s %s", e.String("path"), e.String("name"))
	return nil, writeRegistry(root, key, e.String("name"), value)
}

// splitRegistryPath gives the root by its short name (HKLM) and the key below
// it, with backslashes. A slash separates only where there is no backslash: it
// may stand in a key's name.
func splitRegistryPath(path string) (root, key string, err error) {
	if err := checkRegistryPath(path); err != nil {
		return "", "", fmt.Errorf("path %w", err)
	}
	if !strings.Contains(path, `\`) {
		path = strings.ReplaceAll(path, "/", `\`)
	}
	root, key, _ = strings.Cut(path, `\`)
	key = strings.Trim(key, `\`)
	if key == "" {
		return "", "", errors.New("path names a root of the registry, not a key below it")
	}
	for _, part := range strings.Split(key, `\`) {
		if part == "" || strings.ContainsRune(part, 0) || len(part) > 255 {
			return "", "", fmt.Errorf("path holds the name %q, which no key has", abbreviate(part))
		}
	}
	return registryRoots[strings.ToUpper(root)], key, nil
}

// parseRegistryValue reads a value by its type. Numbers may be decimal or 0x…;
// negative ones stand for their two's complement and fractions are rounded to
// even, as PowerShell does (the user guide's own example is a DWORD of 1.1).
func parseRegistryValue(kind string, texts []string, isList bool) (registryValue, error) {
	v := registryValue{kind: kind}
	if isList && kind != "BINARY" && kind != "MULTI_SZ" {
		return v, fmt.Errorf("a %s is one value, not a list", kind)
	}
	for _, s := range texts {
		if strings.ContainsRune(s, 0) {
			return v, errors.New("it holds the character NUL")
		}
	}
	var err error
	switch kind {
	case "SZ", "EXPAND_SZ":
		v.text = texts[0]
	case "MULTI_SZ":
		v.texts = texts
		for _, s := range texts {
			if s == "" {
				return v, errors.New("a MULTI_SZ cannot hold an empty text: it would end there")
			}
		}
	case "DWORD":
		v.number, err = registryNumber(texts[0], 32)
	case "QWORD":
		v.number, err = registryNumber(texts[0], 64)
	case "BINARY":
		v.bytes, err = registryBytes(texts, isList)
	default:
		return v, fmt.Errorf("type must be one of %s, not %q", strings.Join(registryTypes, ", "), abbreviate(kind))
	}
	return v, err
}

func registryNumber(s string, bits uint) (uint64, error) {
	if n, err := strconv.ParseUint(s, 0, int(bits)); err == nil && !strings.Contains(s, "_") {
		return n, nil
	}
	wrong := fmt.Errorf("%q is no number of %d bits", abbreviate(s), bits)
	if len(s) > 40 || strings.Trim(s, "+-.0123456789") != "" { // no exponents: 1e999999999 is short
		return 0, wrong
	}
	exact, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, wrong
	}
	n := roundToEven(exact)
	lowest := new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), bits-1))
	highest := new(big.Int).Lsh(big.NewInt(1), bits)
	if n.Cmp(lowest) < 0 || n.Cmp(highest) >= 0 {
		return 0, wrong
	}
	if n.Sign() < 0 {
		n.Add(n, highest)
	}
	return n.Uint64(), nil
}

// roundToEven gives the nearest whole number, of two the even one.
func roundToEven(r *big.Rat) *big.Int {
	floor := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: rounds down, as the denominator is positive
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(floor))
	switch rest.Cmp(big.NewRat(1, 2)) {
	case 1:
		return floor.Add(floor, big.NewInt(1))
	case 0:
		return floor.Add(floor, new(big.Int).And(floor, big.NewInt(1)))
	}
	return floor
}

// registryBytes reads a list of numbers from 0 to 255, one such number, or
// "hex:" with pairs of digits between commas, as registry files have it.
func registryBytes(texts []string, isList bool) ([]byte, error) {
	base := 0
	if !isList {
		if rest, ok := strings.CutPrefix(texts[0], "hex:"); ok {
			base, texts = 16, strings.Split(rest, ",")
			if rest == "" {
				return []byte{}, nil
			}
		}
	}
	b := make([]byte, len(texts))
	for i, s := range texts {
		n, err := strconv.ParseUint(strings.TrimSpace(s), base, 8)
		if err != nil {
			return nil, fmt.Errorf("%q is no byte: give numbers from 0 to 255, or hex:01,02", abbreviate(s))
		}
		b[i] = byte(n)
	}
	return b, nil
}
