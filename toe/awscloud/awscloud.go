package awscloud

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/goldsmith-build/goldsmith/toe"
)

// ComponentEndpoint is the environment variable that gives the endpoint to
// fetch components from; the original reads it too.
const ComponentEndpoint = "AWSTOE_IMAGEBUILDER_ENDPOINT"

// Cloud is AWS.
type Cloud struct {
	load func(context.Context) (aws.Config, error)

	once   sync.Mutex
	config *aws.Config
}

var _ toe.Cloud = (*Cloud)(nil)

// New makes a Cloud with the SDK's default configuration: environment, shared
// files, instance role.
func New() *Cloud {
	return NewFrom(func(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) })
}

// NewFrom makes a Cloud with a configuration of one's own. load is called when
// AWS is first needed, and again if it has failed.
func NewFrom(load func(context.Context) (aws.Config, error)) *Cloud { return &Cloud{load: load} }

func (c *Cloud) configuration(ctx context.Context) (aws.Config, error) {
	c.once.Lock()
	defer c.once.Unlock()
	if c.config == nil {
		loaded, err := c.load(ctx)
		if err != nil {
			return aws.Config{}, fmt.Errorf("configuring access to AWS: %w", err)
		}
		if loaded.Region == "" {
			loaded.Region = "us-east-1" // S3 and local endpoints do without, the SDK does not
		}
		c.config = &loaded
	}
	return *c.config, nil
}

func (c *Cloud) s3(ctx context.Context) (*s3.Client, error) {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return nil, err
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		// Servers other than Amazon's seldom have a name for every bucket.
		o.UsePathStyle = cfg.BaseEndpoint != nil || os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
	}), nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// ListObjects implements toe.Cloud.
func (c *Cloud) ListObjects(ctx context.Context, bucket, prefix, owner string, most int) ([]string, error) {
	client, err := c.s3(ctx)
	if err != nil {
		return nil, err
	}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, ExpectedBucketOwner: optional(owner)})
	var keys []string
	for pages.HasMorePages() && len(keys) < most {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing s3://%s/%s: %w", bucket, prefix, err)
		}
		for _, object := range page.Contents {
			keys = append(keys, aws.ToString(object.Key))
		}
	}
	return keys[:min(len(keys), most)], nil
}

// Parameter implements toe.Cloud.
func (c *Cloud) Parameter(ctx context.Context, name string) (value string, secret bool, err error) {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return "", false, err
	}
	body, err := json.Marshal(map[string]any{"Name": name, "WithDecryption": true})
	if err != nil {
		return "", false, err
	}
	var out struct {
		Parameter struct {
			Type  string
			Value *string
		}
	}
	get := call{service: "ssm", method: http.MethodPost, path: "/", target: "AmazonSSM.GetParameter", body: body}
	if err := get.do(ctx, cfg, &out); err != nil {
		return "", false, fmt.Errorf("getting the parameter %s: %w", name, err)
	}
	if out.Parameter.Value == nil {
		return "", false, fmt.Errorf("getting the parameter %s: it has no value", name)
	}
	return *out.Parameter.Value, out.Parameter.Type == "SecureString", nil
}

// maxMetadata is far more than any value of the metadata service has.
const maxMetadata = 64 << 10

// Metadata implements toe.Cloud.
func (c *Cloud) Metadata(ctx context.Context, path string) (string, error) {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return "", err
	}
	out, err := imds.NewFromConfig(cfg).GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
	if err != nil {
		return "", fmt.Errorf("asking the metadata service for %s: %w", path, err)
	}
	defer out.Content.Close()
	b, err := io.ReadAll(io.LimitReader(out.Content, maxMetadata))
	if err != nil {
		return "", fmt.Errorf("asking the metadata service for %s: %w", path, err)
	}
	return string(b), nil
}

// Component implements toe.Cloud.
func (c *Cloud) Component(ctx context.Context, arn string) ([]byte, error) {
	cfg, err := c.configuration(ctx)
	if err != nil {
		return nil, err
	}
	get := call{
		service: "imagebuilder", method: http.MethodGet, path: "/GetComponent",
		query: url.Values{"componentBuildVersionArn": {arn}}, endpoint: os.Getenv(ComponentEndpoint),
	}
	if parts := strings.Split(arn, ":"); len(parts) > 3 {
		get.region = parts[3]
	}
	var out struct {
		Component struct {
			Data *string `json:"data"`
		} `json:"component"`
	}
	if err := get.do(ctx, cfg, &out); err != nil {
		return nil, fmt.Errorf("getting the component %s: %w", arn, err)
	}
	if out.Component.Data == nil {
		return nil, fmt.Errorf("getting the component %s: it has no document", arn)
	}
	return []byte(*out.Component.Data), nil
}
