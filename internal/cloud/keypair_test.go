package cloud_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// publicLine is a fresh public key as OpenSSH writes it.
func publicLine(t testing.TB) (string, ssh.PublicKey) {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := must(ssh.NewPublicKey(public))(t)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), key
}

func TestKeyPairs(t *testing.T) {
	t.Parallel()
	f := open(t)
	face := f.world.EC2()
	line, key := publicLine(t)
	in := &ec2.ImportKeyPairInput{KeyName: p("deploy"), PublicKeyMaterial: []byte(line + " alice@laptop\n"), TagSpecifications: []ec2.TagSpecification{
		{ResourceType: p(ec2.ResourceType("key-pair")), Tags: []ec2.Tag{{Key: p("team"), Value: p("web")}}}}}
	made := must(face.ImportKeyPair(as(t, alice, home), in))(t)
	// ssh-keygen prints the same digest without its padding.
	if got, want := strings.TrimRight(*made.KeyFingerprint, "="), strings.TrimPrefix(ssh.FingerprintSHA256(key), "SHA256:"); got != want {
		t.Errorf("fingerprint %s, ssh-keygen says %s", got, want)
	}
	_, err := face.ImportKeyPair(as(t, alice, home), in)
	wantCode(t, err, "InvalidKeyPair.Duplicate")
	must(face.ImportKeyPair(as(t, alice, far), in))(t) // names are a region's
	must(face.ImportKeyPair(as(t, bob, home), in))(t)  // and an account's
	dry := *in
	dry.KeyName, dry.DryRun = p("dry"), p(true)
	_, err = face.ImportKeyPair(as(t, alice, home), &dry)
	wantCode(t, err, "DryRunOperation")

	all := must(face.DescribeKeyPairs(as(t, alice, home), &ec2.DescribeKeyPairsInput{}))(t).KeyPairs
	if len(all) != 1 || *all[0].KeyPairId != *made.KeyPairId || *all[0].KeyType != "ed25519" || all[0].PublicKey != nil {
		t.Errorf("key pairs: %+v", all)
	}
	shown := must(face.DescribeKeyPairs(as(t, alice, home), &ec2.DescribeKeyPairsInput{KeyPairIds: []string{*made.KeyPairId}, IncludePublicKey: p(true),
		Filters: []ec2.Filter{{Name: p("tag:team"), Values: []string{"w*"}}}}))(t).KeyPairs
	if len(shown) != 1 || *shown[0].PublicKey != line+" deploy" {
		t.Errorf("with its key: %+v", shown)
	}
	_, err = face.DescribeKeyPairs(as(t, alice, home), &ec2.DescribeKeyPairsInput{KeyNames: []string{"deploy", "none"}})
	wantCode(t, err, "InvalidKeyPair.NotFound")
	must(face.CreateTags(as(t, alice, home), &ec2.CreateTagsInput{Resources: []string{*made.KeyPairId}, Tags: []ec2.Tag{{Key: p("more"), Value: p("1")}}}))(t)
	if tags := must(face.DescribeTags(as(t, alice, home), &ec2.DescribeTagsInput{}))(t).Tags; len(tags) != 2 || *tags[0].ResourceType != "key-pair" {
		t.Errorf("tags: %+v", tags)
	}
	_, err = face.CreateTags(as(t, bob, home), &ec2.CreateTagsInput{Resources: []string{*made.KeyPairId}, Tags: []ec2.Tag{{Key: p("k"), Value: p("v")}}})
	wantCode(t, err, "InvalidKeyPair.NotFound")

	if gone := must(face.DeleteKeyPair(as(t, alice, home), &ec2.DeleteKeyPairInput{KeyName: p("deploy")}))(t); *gone.KeyPairId != *made.KeyPairId {
		t.Errorf("deleted %+v", gone)
	}
	if again := must(face.DeleteKeyPair(as(t, alice, home), &ec2.DeleteKeyPairInput{KeyPairId: made.KeyPairId}))(t); again.KeyPairId != nil || !*again.Return {
		t.Errorf("deleted again: %+v", again)
	}
	err = f.store.Read(t.Context(), func(tx *store.Tx) error {
		_, err := f.world.KeyPair(tx, alice, home, "deploy")
		return err
	})
	wantCode(t, err, "InvalidKeyPair.NotFound")
}

func TestFormsOfPublicKeys(t *testing.T) {
	t.Parallel()
	f := open(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := must(ssh.NewPublicKey(&private.PublicKey))(t)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	blob := base64.StdEncoding.EncodeToString(key.Marshal())
	der := base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(&private.PublicKey))(t))
	for name, material := range map[string]string{
		"openssh":  line,
		"rfc4716":  "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"a \\\nb\"\nx-user: me\n" + blob[:70] + "\n" + blob[70:] + "\n---- END SSH2 PUBLIC KEY ----\n",
		"der":      der,
		"der-wrap": der[:64] + "\n" + der[64:],
	} {
		out := must(f.world.EC2().ImportKeyPair(as(t, alice, home), &ec2.ImportKeyPairInput{KeyName: p(name), PublicKeyMaterial: []byte(material)}))(t)
		if len(*out.KeyFingerprint) != 47 || strings.Count(*out.KeyFingerprint, ":") != 15 {
			t.Errorf("%s: fingerprint %s", name, *out.KeyFingerprint)
		}
		got := must(f.world.EC2().DescribeKeyPairs(as(t, alice, home), &ec2.DescribeKeyPairsInput{KeyNames: []string{name}, IncludePublicKey: p(true)}))(t).KeyPairs[0]
		if *got.PublicKey != line+" "+name || *got.KeyType != "rsa" {
			t.Errorf("%s is kept as %s", name, *got.PublicKey)
		}
	}
}

// What would let more than the key's owner in, or is none of EC2's keys, is not
// kept.
func TestHostilePublicKeys(t *testing.T) {
	t.Parallel()
	f := open(t)
	line, _ := publicLine(t)
	other, _ := publicLine(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := must(ssh.NewPublicKey(&curve.PublicKey))(t)
	for name, material := range map[string]string{
		"two keys": line + "\n" + other, "nothing": "", "garbage": "ssh-ed25519 AAAA", "ecdsa": string(ssh.MarshalAuthorizedKey(ec)),
		"private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----",
	} {
		_, err := f.world.EC2().ImportKeyPair(as(t, alice, home), &ec2.ImportKeyPairInput{KeyName: p(name), PublicKeyMaterial: []byte(material)})
		if fault.Code(err) != "InvalidKey.Format" {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(f.world.EC2().ImportKeyPair(as(t, alice, home), &ec2.ImportKeyPairInput{KeyName: p("options"), PublicKeyMaterial: []byte(`command="rm -rf /",environment="A=B" ` + line + " \x1b[2J")}))(t)
	got := must(f.world.EC2().DescribeKeyPairs(as(t, alice, home), &ec2.DescribeKeyPairsInput{IncludePublicKey: p(true)}))(t).KeyPairs
	if len(got) != 1 || *got[0].PublicKey != line+" options" {
		t.Errorf("kept: %+v", got)
	}
	_, err = f.world.EC2().ImportKeyPair(as(t, alice, home), &ec2.ImportKeyPairInput{KeyName: p("a\nb"), PublicKeyMaterial: []byte(line)})
	wantCode(t, err, "InvalidParameterValue")
}

func FuzzImportKeyPair(f *testing.F) {
	line, _ := publicLine(f)
	for _, seed := range []string{line, "---- BEGIN SSH2 PUBLIC KEY ----\nA: b\\\nAAAA\n---- END", "MIIB", "command=\"x\" " + line} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, material []byte) {
		fx := open(t)
		_, err := fx.world.EC2().ImportKeyPair(as(t, alice, home), &ec2.ImportKeyPairInput{KeyName: p("k"), PublicKeyMaterial: material})
		if err != nil {
			if fault.Code(err) != "InvalidKey.Format" {
				t.Fatal(err)
			}
			return
		}
		got := must(fx.world.EC2().DescribeKeyPairs(as(t, alice, home), &ec2.DescribeKeyPairsInput{IncludePublicKey: p(true)}))(t).KeyPairs[0]
		if n := len(strings.Fields(*got.PublicKey)); n != 3 || strings.ContainsAny(*got.PublicKey, "\r\n") {
			t.Errorf("%q was kept as %q", material, *got.PublicKey)
		}
	})
}
