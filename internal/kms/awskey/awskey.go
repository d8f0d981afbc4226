// Package awskey keeps a master key in AWS KMS, through Amazon's own client
// library.
package awskey

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"

	"github.com/goldsmith-build/goldsmith/internal/kms"
)

// Config says where the key is.
type Config struct {
	Key             string // ARN, id, or alias
	Region          string
	Endpoint        string // "": Amazon's
	AccessKeyID     string // neither: as every AWS client finds its credentials
	SecretAccessKey string
}

// Key is a key of AWS KMS.
type Key struct {
	client *awskms.Client
	key    string
}

var _ kms.Keeper = (*Key)(nil)

// answering is how long KMS may take to answer; the client tries three times.
const answering = 10 * time.Second

// contextName is the member of the encryption context that binds a data key to
// the ARN that it was wrapped for.
const contextName = "goldsmith:key"

// New gives the key that c names. It does not ask whether it is there.
func New(ctx context.Context, c Config) (*Key, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = answering })
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(c.Region), awsconfig.WithHTTPClient(client)}
	if c.AccessKeyID != "" {
		options = append(options, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "")))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("configuring access to AWS KMS: %w", err)
	}
	return &Key{key: c.Key, client: awskms.NewFromConfig(loaded, func(o *awskms.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})}, nil
}

// Wrap implements kms.Keeper.
func (k *Key) Wrap(ctx context.Context, name string, data []byte) ([]byte, error) {
	out, err := k.client.Encrypt(ctx, &awskms.EncryptInput{KeyId: &k.key, Plaintext: data, EncryptionContext: map[string]string{contextName: name}})
	if err != nil {
		return nil, k.failed(err)
	}
	return out.CiphertextBlob, nil
}

// Unwrap implements kms.Keeper.
func (k *Key) Unwrap(ctx context.Context, name string, wrapped []byte) ([]byte, error) {
	out, err := k.client.Decrypt(ctx, &awskms.DecryptInput{KeyId: &k.key, CiphertextBlob: wrapped, EncryptionContext: map[string]string{contextName: name}})
	if err != nil {
		return nil, k.failed(err)
	}
	return out.Plaintext, nil
}

// failed says what KMS said, without what the client library says around it.
func (k *Key) failed(err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		return fmt.Errorf("AWS KMS refuses the key %s: %s: %s", k.key, api.ErrorCode(), api.ErrorMessage())
	}
	return fmt.Errorf("asking AWS KMS for the key %s: %w", k.key, err)
}
