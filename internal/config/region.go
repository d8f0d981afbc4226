package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Region is what a region has of its own, so that it does not share it with the
// others.
type Region struct {
	Objects string `yaml:"objects"` // s3://BUCKET/PREFIX or /FOLDER for the blocks of its disks
	S3      S3     `yaml:"s3"`      // the service of that bucket; left out: that of all buckets
}

// checkRegions refuses what cannot be meant, naming the member.
func (c *Config) checkRegions() error {
	places := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Regions)) {
		r := c.Regions[name]
		if !regionName.MatchString(name) {
			return fmt.Errorf("regions: %q is not the name of a region", name)
		}
		if err := r.S3.check(); err != nil {
			return fmt.Errorf("regions.%s.s3.%w", name, err)
		}
		bucket, _, remote := bucketOf(r.Objects)
		switch {
		case remote && bucket == "", !remote && !filepath.IsAbs(r.Objects):
			return fmt.Errorf("regions.%s.objects: must be s3://BUCKET, s3://BUCKET/PREFIX or the absolute name of a folder, not %q", name, r.Objects)
		case remote && !r.S3.Used() && !c.S3.Used():
			return fmt.Errorf("regions.%s.objects: a bucket needs s3.endpoint (or s3.region, for Amazon S3), of the region or of all", name)
		case !remote && r.S3.Used():
			return fmt.Errorf("regions.%s.s3: is of no use for a folder", name)
		}
		place := r.Objects + " " + r.S3.Endpoint
		if other := places[place]; other != "" {
			return fmt.Errorf("regions.%s.objects: the region %s has the same: two regions share their blocks when both have none of their own", name, other)
		}
		if remote && r.Objects == c.Objects && (!r.S3.Used() || r.S3 == c.S3) {
			return fmt.Errorf("regions.%s.objects: is that of all regions: leave it out", name)
		}
		places[place] = name
	}
	return nil
}

// S3Of is the service of a region's own bucket.
func (c *Config) S3Of(region string) S3 {
	if own := c.Regions[region].S3; own.Used() {
		return own
	}
	return c.S3
}

// Bucket is where the region puts the blocks of its disks: a bucket and a prefix
// in it, or with ok false the folder Objects.
func (r Region) Bucket() (bucket, prefix string, ok bool) { return bucketOf(r.Objects) }

func bucketOf(objects string) (bucket, prefix string, ok bool) {
	rest, ok := strings.CutPrefix(objects, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	return bucket, prefix, ok
}

// MasterKey is a key that disks are encrypted under. It lies in the data folder
// unless aws or vault says where.
type MasterKey struct {
	Account  string   `yaml:"account"`  // 12 digits
	Region   string   `yaml:"region"`   // disks of this region use it
	ID       string   `yaml:"id"`       // a UUID: arn:aws:kms:REGION:ACCOUNT:key/ID
	Aliases  []string `yaml:"aliases"`  // alias/NAME; alias/aws/ebs makes it the account's default key
	Users    []string `yaml:"users"`    // accounts that may use it besides its own, "*" for all
	Disabled bool     `yaml:"disabled"` // what it encrypted cannot be read
	AWS      *AWSKey  `yaml:"aws"`      // it is a key of AWS KMS
	Vault    *Vault   `yaml:"vault"`    // it is a key of Vault's or OpenBao's transit engine
}

// AWSKey is where a key of AWS KMS is.
type AWSKey struct {
	Key             string          `yaml:"key"`         // ARN, id or alias
	Region          string          `yaml:"region"`      // default: the key's
	Endpoint        string          `yaml:"endpoint"`    // default: Amazon's
	AccessKeyID     string          `yaml:"accessKeyId"` // neither: as every AWS client finds its credentials
	SecretAccessKey identity.Secret `yaml:"secretAccessKey"`
}

// Vault is where a key of a transit engine is.
type Vault struct {
	Address   string          `yaml:"address"`   // https://HOST:PORT
	Mount     string          `yaml:"mount"`     // of the engine, default transit
	Key       string          `yaml:"key"`       // its name there
	Namespace string          `yaml:"namespace"` // default: none
	Token     identity.Secret `yaml:"token"`     // or
	TokenFile string          `yaml:"tokenFile"` // which is read again for every use
}

func (k *MasterKey) check() error {
	switch {
	case !accountID.MatchString(k.Account):
		return fmt.Errorf("account: must be 12 digits in quotes, not %q", k.Account)
	case !regionName.MatchString(k.Region):
		return fmt.Errorf("region: must be the name of a region, not %q", k.Region)
	case k.AWS != nil && k.Vault != nil:
		return errors.New("aws, vault: a key is in one place")
	}
	for _, u := range k.Users {
		if u != "*" && !accountID.MatchString(u) {
			return fmt.Errorf("users: must be accounts, or \"*\", not %q", u)
		}
	}
	if k.AWS != nil {
		return k.AWS.check()
	}
	if k.Vault != nil {
		return k.Vault.check()
	}
	return nil
}

func (a *AWSKey) check() error {
	service := S3{Endpoint: a.Endpoint, Region: "us-east-1", AccessKeyID: a.AccessKeyID, SecretAccessKey: a.SecretAccessKey}
	if err := service.check(); err != nil {
		return fmt.Errorf("aws.%w", err)
	}
	if a.Key == "" {
		return errors.New("aws.key: is missing")
	}
	return nil
}

func (v *Vault) check() error {
	if (S3{Endpoint: v.Address}).check() != nil || v.Address == "" {
		return fmt.Errorf("vault.address: must be http(s)://HOST[:PORT], not %q", v.Address)
	}
	if v.Key == "" || strings.ContainsAny(v.Key, "/?#%") {
		return fmt.Errorf("vault.key: must be the name of a key, not %q", v.Key)
	}
	if (v.Token == "") == (v.TokenFile == "") {
		return errors.New("vault.token, vault.tokenFile: give one of them")
	}
	return nil
}

// hasKeySecrets reports whether what keys and regions need is in the file.
func (c *Config) hasKeySecrets() bool {
	for _, r := range c.Regions {
		if r.S3.SecretAccessKey != "" {
			return true
		}
	}
	return slices.ContainsFunc(c.Keys, func(k MasterKey) bool {
		return k.AWS != nil && k.AWS.SecretAccessKey != "" || k.Vault != nil && k.Vault.Token != ""
	})
}
