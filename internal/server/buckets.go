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
	where, err := readMark(mark)
	if err != nil {
		return nil, err
	}
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
	return store, writeMark(mark, cfg.Objects)
}

// openRegion opens the store of blocks of a region that has its own; it is marked
// as the others' is.
func openRegion(ctx context.Context, cfg *config.Config, dir datadir.Dir, region string) (store objects.Store, err error) {
	r := cfg.Regions[region]
	mark := filepath.Join(string(dir), "objects.location."+region)
	where, err := readMark(mark)
	if err != nil {
		return nil, err
	}
	if where != "" && where != r.Objects {
		return nil, fmt.Errorf("the disks of the region are in %s, and the configuration says %s (to move them, copy them and remove %s)", where, r.Objects, mark)
	}
	name, prefix, remote := r.Bucket()
	if remote {
		var client *s3.Client
		if client, err = s3Client(ctx, cfg.S3Of(region)); err == nil {
			store, err = objects.OpenS3(ctx, client, name, prefix)
		}
	} else {
		store, err = objects.OpenDir(r.Objects)
	}
	if err != nil {
		return nil, err
	}
	return store, writeMark(mark, r.Objects)
}

// checkMarks refuses a configuration that has lost a region's own store.
func checkMarks(cfg *config.Config, dir datadir.Dir) error {
	const prefix = "objects.location."
	marks, err := filepath.Glob(filepath.Join(string(dir), prefix+"*"))
	if err != nil {
		return fmt.Errorf("looking for the stores of regions: %w", err)
	}
	for _, mark := range marks {
		region := strings.TrimPrefix(filepath.Base(mark), prefix)
		if _, ok := cfg.Regions[region]; ok {
			continue
		}
		where, err := readMark(mark)
		if err != nil {
			return err
		}
		return fmt.Errorf("the disks of the region %s are in %s: give the configuration that says so (regions.%s.objects) with --config (to give the store up, remove %s)", region, where, region, mark)
	}
	return nil
}

func readMark(mark string) (string, error) {
	known, err := os.ReadFile(mark)
	if err != nil && !os.IsNotExist(err) {
		return "", fmt.Errorf("reading where the blocks of disks are: %w", err)
	}
	return strings.TrimSpace(string(known)), nil
}

func writeMark(mark, where string) error {
	if err := os.WriteFile(mark, []byte(where+"\n"), 0o600); err != nil {
		return fmt.Errorf("keeping where the blocks of disks are: %w", err)
	}
	return nil
}
