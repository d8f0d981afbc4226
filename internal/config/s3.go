package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// S3 is the service that buckets are in. Without it a bucket is a folder of the
// data folder.
type S3 struct {
	Endpoint        string          `yaml:"endpoint"` // http(s)://HOST[:PORT]; "" with a region: Amazon's
	Region          string          `yaml:"region"`   // default us-east-1
	AccessKeyID     string          `yaml:"accessKeyId"`
	SecretAccessKey identity.Secret `yaml:"secretAccessKey"` // neither: as every AWS client finds its credentials
}

// Used reports whether buckets are in a service.
func (s S3) Used() bool { return s.Endpoint != "" || s.Region != "" }

// check refuses what cannot be meant, naming the member.
func (s S3) check() error {
	if s.Endpoint != "" {
		u, err := url.Parse(s.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("endpoint: must be http(s)://HOST[:PORT], not %q", s.Endpoint)
		}
	}
	if (s.AccessKeyID == "") != (s.SecretAccessKey == "") {
		return errors.New("accessKeyId, secretAccessKey: give both or neither")
	}
	if s.AccessKeyID != "" && !s.Used() {
		return errors.New("endpoint: is missing (or region, for Amazon S3)")
	}
	return nil
}

// ObjectsBucket is where the configuration puts the blocks of disks: a bucket
// and a prefix in it. ok is false where they are in the data folder.
func (c *Config) ObjectsBucket() (bucket, prefix string, ok bool) {
	return bucketOf(c.Objects)
}

func (c *Config) checkObjects() error {
	if c.Objects == "" {
		return nil
	}
	bucket, _, ok := c.ObjectsBucket()
	switch {
	case !ok || bucket == "":
		return fmt.Errorf("objects: must be s3://BUCKET or s3://BUCKET/PREFIX, not %q", c.Objects)
	case !c.S3.Used():
		return errors.New("objects: a bucket needs s3.endpoint (or s3.region, for Amazon S3)")
	}
	return nil
}
