package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/goldsmith-build/goldsmith/internal/access"
)

// DefaultAccount is the account of a server without a configuration file.
const DefaultAccount = "123456789012"

// TestInSandbox is Config.TestInstances for tests without a boot.
const TestInSandbox = "sandbox"

// Config is the configuration file's content.
type Config struct {
	DataDir  string    `yaml:"dataDir"`  // default ./goldsmith-data
	Listen   string    `yaml:"listen"`   // HOST:PORT, default 127.0.0.1:7420
	Region   string    `yaml:"region"`   // of the AWS config file that the server writes, default us-east-1
	Accounts []Account `yaml:"accounts"` // the first is the one of the server's own credentials file
	Builds   int       `yaml:"builds"`   // images worked on at once, default 2

	// BuildsPerAccount is how many images of an account all the workers of a
	// database build at once; 0: no limit but the workers'.
	BuildsPerAccount int `yaml:"buildsPerAccount"`

	Database string `yaml:"database"` // postgres://USER@HOST/NAME; "": a SQLite file in the data folder
	Objects  string `yaml:"objects"`  // s3://BUCKET/PREFIX for the blocks of disks; "": a folder in the data folder
	S3       S3     `yaml:"s3"`       // the service of all buckets
	Shared   string `yaml:"shared"`   // with a database: the folder of objects, parents, logs and buckets, mounted on every machine
	Quotas   Quotas `yaml:"quotas"`

	// StepCache is how much may be kept of the states of volumes after
	// components, GiB; 0 keeps none. Default 20.
	StepCache int `yaml:"stepCache"`

	Keys    []MasterKey       `yaml:"keys"`    // that disks are encrypted under, beside the default ones
	Regions map[string]Region `yaml:"regions"` // what a region has of its own

	Organizations []Organization `yaml:"organizations"`
	Instances     Instances      `yaml:"instances"`

	Events        []Receiver    `yaml:"events"`        // what is told of events of images
	Notifications Notifications `yaml:"notifications"` // where messages may go
	TestInstances string        `yaml:"testInstances"` // what tests run in: "vm" (default), which boots the image, or TestInSandbox
	Functions     []Function    `yaml:"functions"`     // what workflows call in the place of Lambda functions and state machines
	PublicURL     string        `yaml:"publicUrl"`     // where others reach the server, in links of messages; "": what it listens on

	// Warnings are what is not wrong and still not well, for whoever starts the
	// server.
	Warnings []string `yaml:"-"`
}

// Quotas are the limits of an account in a region. What is left out, or zero,
// is Amazon's default; a negative number means no limit.
type Quotas struct {
	Components                   int `yaml:"components"`                   // 1,000
	ImageRecipes                 int `yaml:"imageRecipes"`                 // 1,000
	ContainerRecipes             int `yaml:"containerRecipes"`             // 1,000
	DistributionConfigurations   int `yaml:"distributionConfigurations"`   // 1,000
	InfrastructureConfigurations int `yaml:"infrastructureConfigurations"` // 1,000
	ImageWorkflows               int `yaml:"imageWorkflows"`               // 1,000
	ImagePipelines               int `yaml:"imagePipelines"`               // 75
	LifecyclePolicies            int `yaml:"lifecyclePolicies"`            // 50
	ConcurrentBuilds             int `yaml:"concurrentBuilds"`             // 100
	ParametersPerComponent       int `yaml:"parametersPerComponent"`       // 25
	ComponentsPerRecipe          int `yaml:"componentsPerRecipe"`          // 20
	WorkflowsPerImage            int `yaml:"workflowsPerImage"`            // 10
	TargetAccounts               int `yaml:"targetAccounts"`               // of a distribution configuration; 50
	LaunchTemplatesPerRegion     int `yaml:"launchTemplatesPerRegion"`     // of a distribution configuration; 5
	SSMParametersPerRegion       int `yaml:"ssmParametersPerRegion"`       // of a distribution configuration; 10
}

// Default is the configuration without a file.
func Default() *Config {
	return &Config{
		DataDir: "./goldsmith-data", Listen: "127.0.0.1:7420", Region: "us-east-1", Builds: 2, StepCache: 20,
		Accounts: []Account{{ID: DefaultAccount, Name: "default"}},
	}
}

// Read reads a file over the defaults and refuses what it does not know.
func Read(path string) (*Config, error) {
	cfg := Default()
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(cfg); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	if err := cfg.check(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", path, err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 && cfg.hasSecrets() {
		cfg.Warnings = append(cfg.Warnings, fmt.Sprintf("the configuration %s holds secret keys and has the mode %04o: others than its owner may read it (chmod 600)", path, info.Mode().Perm()))
	}
	return cfg, nil
}

// check refuses what cannot be meant, naming the member. Policies that are
// files are read from dir.
func (c *Config) check(dir string) error {
	if len(c.Accounts) == 0 {
		return errors.New("accounts: there must be at least one")
	}
	if c.Builds < 1 || c.Builds > 100 {
		return fmt.Errorf("builds: must be 1 to 100, not %d", c.Builds)
	}
	if t := c.TestInstances; t != "" && t != "vm" && t != TestInSandbox {
		return fmt.Errorf("testInstances: must be vm or sandbox, not %q", t)
	}
	if c.BuildsPerAccount < 0 {
		return fmt.Errorf("buildsPerAccount: must be at least 1, or 0 for no limit, not %d", c.BuildsPerAccount)
	}
	if c.StepCache < 0 || c.StepCache > 1<<20 {
		return fmt.Errorf("stepCache: must be 0 to %d GiB, not %d", 1<<20, c.StepCache)
	}
	if err := c.checkMessages(); err != nil {
		return err
	}
	if err := c.checkFunctions(); err != nil {
		return err
	}
	if err := c.Instances.check(); err != nil {
		return fmt.Errorf("instances.%w", err)
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return errors.New("database: must be postgres://USER@HOST:PORT/NAME, or be left out for a SQLite file in the data folder")
	}
	if err := c.S3.check(); err != nil {
		return fmt.Errorf("s3.%w", err)
	}
	if err := c.checkObjects(); err != nil {
		return err
	}
	if err := c.checkRegions(); err != nil {
		return err
	}
	for i, k := range c.Keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("keys[%d].%w", i, err)
		}
	}
	if c.Shared != "" && c.Database == "" {
		return errors.New("shared: is for several machines with one database; set database, too")
	}
	ids := map[string]bool{}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		if err := a.check(dir); err != nil {
			return fmt.Errorf("accounts[%d].%w", i, err)
		}
		if ids[a.ID] {
			return fmt.Errorf("accounts[%d].id: %s is there twice", i, a.ID)
		}
		ids[a.ID] = true
	}
	for i, o := range c.Organizations {
		if err := o.check(); err != nil {
			return fmt.Errorf("organizations[%d].%w", i, err)
		}
	}
	_, err := c.Directory(access.AccessKey{})
	return err
}
