package kms

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Key is a master key.
type Key struct {
	Account  string
	Region   string
	ID       string   // a UUID, or "mrk-" and 32 hexadecimal digits
	Aliases  []string // "alias/golden"
	Users    []string // accounts that may use it besides its own; Anyone: all
	Disabled bool
	Keeper   Keeper
}

// Anyone, among a key's users, lets every account use it.
const Anyone = "*"

// DefaultAlias names the key, of each account and region, that encrypts what
// names none (EBS User Guide, "Encryption"). It cannot be shared.
const DefaultAlias = "alias/aws/ebs"

// Keeper holds one master key. An error of its methods says what is wrong with
// the key, or with the way to it.
type Keeper interface {
	// Wrap encrypts a data key of at most 64 bytes. name, the key's ARN, is
	// authenticated with it.
	Wrap(ctx context.Context, name string, data []byte) ([]byte, error)

	// Unwrap decrypts what Wrap gave, and fails for everything else.
	Unwrap(ctx context.Context, name string, wrapped []byte) ([]byte, error)
}

// ARN names the key everywhere.
func (k Key) ARN() string {
	return "arn:" + partition(k.Region) + ":kms:" + k.Region + ":" + k.Account + ":key/" + k.ID
}

// partition gives the partition of a region by its name.
func partition(region string) string {
	for prefix, name := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc"} {
		if strings.HasPrefix(region, prefix) {
			return name
		}
	}
	return "aws"
}

// Default reports whether the key is the default one of its account.
func (k Key) Default() bool { return slices.Contains(k.Aliases, DefaultAlias) }

// usableBy reports whether an account may use the key.
func (k Key) usableBy(account string) bool {
	return account == k.Account || slices.Contains(k.Users, account) || slices.Contains(k.Users, Anyone)
}

// defaultKey is the key of an account that configures none: its id follows from
// the account and the region.
func defaultKey(account, region string) Key {
	sum := sha256.Sum256([]byte("goldsmith " + DefaultAlias + " " + account + " " + region))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: made as its maker likes (RFC 9562)
	return Key{Account: account, Region: region, ID: id.String(), Aliases: []string{DefaultAlias}}
}

var (
	keyID     = regexp.MustCompile(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
	aliasName = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)
	keyARN    = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):(key/.+|alias/.+)$`)
)

// Check refuses a key that could not be named.
func (k Key) Check() error {
	if !keyID.MatchString(k.ID) {
		return fmt.Errorf("id: must be a UUID or mrk- and 32 hexadecimal digits, not %q", k.ID)
	}
	for _, a := range k.Aliases {
		if !aliasName.MatchString(a) || strings.HasPrefix(a, "alias/aws/") && a != DefaultAlias {
			return fmt.Errorf("aliases: must be alias/NAME or %s, not %q", DefaultAlias, a)
		}
	}
	if k.Default() && len(k.Users) > 0 {
		return fmt.Errorf("users: the default key (%s) cannot be shared", DefaultAlias)
	}
	return nil
}
