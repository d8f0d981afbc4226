package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// openBuckets gives the buckets that definitions name.
func openBuckets(ctx context.Context, cfg *config.Config, dir datadir.Dir) (bucket.Service, error) {
	if !cfg.S3.Used() {
		return bucket.Folder(dir.Buckets()), nil
	}
	client, err := s3Client(ctx, cfg.S3)
	if err != nil {
		return nil, err
	}
	return bucket.NewS3(client), nil
}

// answering is how long the S3 service may take to begin an answer; the client
// tries three times.
const answering = 20 * time.Second

// s3Client makes the client of the configured service.
func s3Client(ctx context.Context, c config.S3) (*s3.Client, error) {
	region := c.Region
	if region == "" {
		region = "us-east-1"
	}
	// A service that takes a request and never answers must not hold up the
	// request or the build that waits for it.
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = answering })
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(region), awsconfig.WithHTTPClient(client)}
	if c.AccessKeyID != "" {
		options = append(options, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKeyID, string(c.SecretAccessKey), "")))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("configuring access to S3: %w", err)
	}
	return s3.NewFromConfig(loaded, func(o *s3.Options) {
		if c.Endpoint != "" {
			// Servers other than Amazon's seldom have a name for every bucket.
			o.BaseEndpoint, o.UsePathStyle = aws.String(c.Endpoint), true
		}
	}), nil
}

// openObjects opens the store of blocks that the configuration names. A data
// folder whose blocks are elsewhere says so in a file: a command that was not
// given the configuration must not begin a second store.
func openObjects(ctx context.Context, cfg *config.Config, dir datadir.Dir) (objects.Store, error) {
	mark := filepath.Join(string(dir), "objects.location")
	known, err := os.ReadFile(mark)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("reading where the blocks of disks are: %w", err)
	}
	where := strings.TrimSpace(string(known))
	if where != "" && where != cfg.Objects {
		return nil, fmt.Errorf("the disks of the data folder %s are in %s: give the configuration that says so with --config (to move them, copy them and remove %s)", dir, where, mark)
	}
	name, prefix, remote := cfg.ObjectsBucket()
	if !remote {
		return objects.OpenDir(dir.Objects())
	}
	if entries, err := os.ReadDir(filepath.Join(dir.Objects(), "snapshots")); err == nil && len(entries) > 0 && where == "" {
		return nil, fmt.Errorf("the data folder %s has disks of its own in %s; copy them to %s first, and remove them there", dir, dir.Objects(), cfg.Objects)
	}
	client, err := s3Client(ctx, cfg.S3)
	if err != nil {
		return nil, err
	}
	store, err := objects.OpenS3(ctx, client, name, prefix)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(mark, []byte(cfg.Objects+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("keeping where the blocks of disks are: %w", err)
	}
	return store, nil
}
