package topic

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Signer signs messages with the server's own key. Receivers fetch the
// certificate from the server.
type Signer struct {
	key         *rsa.PrivateKey
	certificate []byte // PEM
	path        string

	mu    sync.Mutex
	made  map[[sha256.Size]byte]string // signatures by what they are of
	order [][sha256.Size]byte          // in which they were made
}

// remembered is how many signatures are kept: that of a message is the same for
// all its receivers, and takes longer to make than the message takes to send.
const remembered = 4096

// NewKey makes a key with its self-signed certificate, both in PEM, for
// NewSigner. It is good for ten years.
func NewKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sns.goldsmith", Organization: []string{"Goldsmith"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = errors.Join(pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	return out.Bytes(), err
}

// NewSigner reads what NewKey made.
func NewSigner(text []byte) (*Signer, error) {
	first, rest := pem.Decode(text)
	if first == nil {
		return nil, errors.New("the key that signs messages is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(first.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the key that signs messages: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	second, _ := pem.Decode(rest)
	if !ok || second == nil || second.Type != "CERTIFICATE" {
		return nil, errors.New("the key that signs messages must be an RSA key with its certificate behind it")
	}
	sum := sha256.Sum256(second.Bytes)
	return &Signer{key: key, certificate: pem.EncodeToMemory(second), path: "/SimpleNotificationService-" + hex.EncodeToString(sum[:16]) + ".pem"}, nil
}

// Path is where the certificate is served.
func (s *Signer) Path() string { return s.path }

// ServeHTTP gives the certificate.
func (s *Signer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Write(s.certificate)
}

// sign gives the signature of a message: RSA with SHA-1 in version 1, SHA-256 in
// version 2, over names and values, each on a line (SNS Developer Guide,
// "Verifying the signatures of Amazon SNS messages").
func (s *Signer) sign(p posted) (string, error) {
	text := []byte(signed(p))
	name := sha256.Sum256(append([]byte(p.SignatureVersion+"\n"), text...))
	s.mu.Lock()
	known, ok := s.made[name]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	var sum []byte
	hash := crypto.SHA1
	if p.SignatureVersion == "2" {
		hash = crypto.SHA256
		all := sha256.Sum256(text)
		sum = all[:]
	} else {
		all := sha1.Sum(text) // what version 1 is
		sum = all[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, hash, sum)
	if err != nil {
		return "", fmt.Errorf("signing a message: %w", err)
	}
	made := base64.StdEncoding.EncodeToString(signature)
	s.remember(name, made)
	return made, nil
}

func (s *Signer) remember(name [sha256.Size]byte, signature string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		s.made = map[[sha256.Size]byte]string{}
	}
	if _, ok := s.made[name]; !ok {
		s.order = append(s.order, name)
	}
	s.made[name] = signature
	if len(s.order) > remembered {
		delete(s.made, s.order[0])
		s.order = s.order[1:]
	}
}

// signed is the text that is signed.
func signed(p posted) string {
	var b strings.Builder
	line := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	line("Message", p.Message)
	line("MessageId", p.MessageID)
	if p.Type == notification {
		if p.Subject != nil {
			line("Subject", *p.Subject)
		}
	} else {
		line("SubscribeURL", p.SubscribeURL)
	}
	line("Timestamp", p.Timestamp)
	if p.Type != notification {
		line("Token", p.Token)
	}
	line("TopicArn", p.TopicARN)
	line("Type", p.Type)
	return b.String()
}
