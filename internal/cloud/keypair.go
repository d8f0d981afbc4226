package cloud

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const keyPairKind store.Kind = "key-pair"

var keyPairID = regexp.MustCompile(`^key-([0-9a-f]{8}|[0-9a-f]{17})$`)

// maxKeyPairs is EC2's limit for an account in a region.
const maxKeyPairs = 5000

// KeyPair is the public half of a key pair of an account in a region; the
// private half never comes here.
type KeyPair struct {
	ID          string            `json:"id"` // "key-" and 17 hexadecimal digits
	Account     string            `json:"account"`
	Region      string            `json:"region"`
	Name        string            `json:"name"`
	Type        string            `json:"type"` // "rsa" or "ed25519"
	Fingerprint string            `json:"fingerprint"`
	Key         string            `json:"key"` // a line of authorized_keys: type and base64, without a comment
	Tags        map[string]string `json:"tags,omitempty"`
	Created     time.Time         `json:"created"`
}

func keyPairARN(account, region, id string) string {
	return fmt.Sprintf("arn:%s:ec2:%s:%s:key-pair/%s", PartitionFor(region), region, account, id)
}

// errKeyFormat is EC2's answer to what is no public key that instances take.
func errKeyFormat(because error) error {
	return fault.New("InvalidKey.Format", "Key is not in valid OpenSSH public key format").Because(because)
}

// readPublicKey reads the forms that EC2 takes: OpenSSH's line, RFC 4716's
// block, and base64 of a DER structure (User Guide, "Create key pairs"). Only
// the key itself is kept: neither options, which OpenSSH would obey, nor the
// comment.
func readPublicKey(material []byte) (kind, fingerprint, line string, err error) {
	key, err := parsePublicKey(bytes.TrimSpace(material))
	if err != nil {
		return "", "", "", errKeyFormat(err)
	}
	public, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return "", "", "", errKeyFormat(fmt.Errorf("a key of the type %s", key.Type()))
	}
	switch key.Type() {
	case ssh.KeyAlgoRSA:
		der, err := x509.MarshalPKIXPublicKey(public.CryptoPublicKey())
		if err != nil {
			return "", "", "", errKeyFormat(err)
		}
		sum := md5.Sum(der)
		pairs := make([]string, len(sum))
		for i, b := range sum {
			pairs[i] = hex.EncodeToString([]byte{b})
		}
		kind, fingerprint = "rsa", strings.Join(pairs, ":")
	case ssh.KeyAlgoED25519:
		sum := sha256.Sum256(key.Marshal())
		kind, fingerprint = "ed25519", base64.StdEncoding.EncodeToString(sum[:])
	default:
		return "", "", "", errKeyFormat(fmt.Errorf("keys of the type %s are not taken, RSA and ED25519 are", key.Type()))
	}
	return kind, fingerprint, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), nil
}

func parsePublicKey(material []byte) (ssh.PublicKey, error) {
	if bytes.HasPrefix(material, []byte("---- BEGIN SSH2 PUBLIC KEY")) {
		return parseRFC4716(string(material))
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey(material)
	if err == nil {
		if len(bytes.TrimSpace(rest)) > 0 {
			return nil, errors.New("there is more than one key")
		}
		return key, nil
	}
	der, decodeErr := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(material)), ""))
	if decodeErr != nil {
		return nil, err
	}
	public, decodeErr := x509.ParsePKIXPublicKey(der)
	if decodeErr != nil {
		return nil, err
	}
	return ssh.NewPublicKey(public)
}

// parseRFC4716 reads a block between markers: headers, whose lines a backslash
// continues, and base64.
func parseRFC4716(block string) (ssh.PublicKey, error) {
	var body strings.Builder
	header := false
	for _, line := range strings.Split(block, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "----"):
		case header || strings.Contains(line, ":"):
			header = strings.HasSuffix(line, `\`)
		default:
			body.WriteString(line)
		}
	}
	blob, err := base64.StdEncoding.DecodeString(body.String())
	if err != nil {
		return nil, err
	}
	return ssh.ParsePublicKey(blob)
}

// addKeyPair adds a key pair, whose name must be new in the account and region.
func (w *World) addKeyPair(tx *store.Tx, k KeyPair) (KeyPair, error) {
	count := 0
	if err := w.eachKeyPair(tx, identity.Caller{Account: k.Account, Region: k.Region}, func(KeyPair) error { count++; return nil }); err != nil {
		return k, err
	}
	if count >= maxKeyPairs {
		return k, fault.New("KeyPairLimitExceeded", "Maximum number of key pairs reached: %d", maxKeyPairs)
	}
	k.ID, k.Created = NewID("key"), w.now().UTC().Truncate(time.Second)
	doc, err := json.Marshal(k)
	if err != nil {
		return k, fmt.Errorf("encoding %s: %w", k.ID, err)
	}
	err = tx.Insert(store.Resource{Key: store.Key{Kind: keyPairKind, Account: k.Account, Region: k.Region, Name: k.Name}, ARN: keyPairARN(k.Account, k.Region, k.ID), Created: k.Created, Doc: doc})
	if errors.Is(err, store.ErrExists) {
		return k, fault.New("InvalidKeyPair.Duplicate", "The keypair already exists").Because(err)
	}
	return k, err
}

// KeyPair gives a key pair by its name; a fault InvalidKeyPair.NotFound if the
// account has none such in the region.
func (w *World) KeyPair(tx *store.Tx, account, region, name string) (KeyPair, error) {
	row, ok, err := tx.Match(store.Key{Kind: keyPairKind, Account: account, Region: region, Name: name}, store.Version{})
	if err == nil && !ok {
		err = fault.New("InvalidKeyPair.NotFound", "The key pair '%.255s' does not exist", name)
	}
	var k KeyPair
	if err == nil {
		err = unpack(row, &k)
	}
	return k, err
}

// keyPairByID gives a key pair by its ID.
func (w *World) keyPairByID(tx *store.Tx, account, region, id string) (KeyPair, error) {
	row, ok, err := tx.Resource(keyPairARN(account, region, id))
	if err == nil && !ok {
		err = fault.New("InvalidKeyPair.NotFound", "The key pair ID '%.64s' does not exist", id)
	}
	var k KeyPair
	if err == nil {
		err = unpack(row, &k)
	}
	return k, err
}

func (w *World) saveKeyPair(tx *store.Tx, k KeyPair) error {
	doc, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", k.ID, err)
	}
	return tx.Update(store.Resource{ARN: keyPairARN(k.Account, k.Region, k.ID), Updated: w.now(), Doc: doc})
}

// eachKeyPair calls do for every key pair of an account in a region, in the
// order of their names.
func (w *World) eachKeyPair(tx *store.Tx, owner identity.Caller, do func(KeyPair) error) error {
	var at store.Cursor
	for {
		rows, err := tx.List(store.Query{Kind: keyPairKind, Account: owner.Account, Region: owner.Region, Scope: store.Names, After: at, Limit: 500})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			at = row.Cursor()
			var k KeyPair
			if err := unpack(row, &k); err != nil {
				return err
			}
			if err := do(k); err != nil {
				return err
			}
		}
	}
}
