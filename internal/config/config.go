package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DefaultAccount is the account of a server without a configuration file.
const DefaultAccount = "123456789012"

// Config is the configuration file's content.
type Config struct {
	DataDir  string    `yaml:"dataDir"`  // default ./goldsmith-data
	Listen   string    `yaml:"listen"`   // HOST:PORT, default 127.0.0.1:7420
	Region   string    `yaml:"region"`   // of the AWS config file that the server writes, default us-east-1
	Accounts []Account `yaml:"accounts"` // the first is the one of the server's own credentials file
	Builds   int       `yaml:"builds"`   // images worked on at once, default 2
	Database string    `yaml:"database"` // postgres://USER@HOST/NAME; "": a SQLite file in the data folder
	Quotas   Quotas    `yaml:"quotas"`
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
	ComponentsPerRecipe          int `yaml:"componentsPerRecipe"`          // 20
	WorkflowsPerImage            int `yaml:"workflowsPerImage"`            // 10
	TargetAccounts               int `yaml:"targetAccounts"`               // of a distribution configuration; 50
	LaunchTemplatesPerRegion     int `yaml:"launchTemplatesPerRegion"`     // of a distribution configuration; 5
	SSMParametersPerRegion       int `yaml:"ssmParametersPerRegion"`       // of a distribution configuration; 10
}

// Account is an AWS account that the server knows.
type Account struct {
	ID   string `yaml:"id"` // 12 digits
	Name string `yaml:"name"`
	Keys []Key  `yaml:"keys"`
}

// Key is an access key of an account's administrator.
type Key struct {
	AccessKeyID     string `yaml:"accessKeyId"`
	SecretAccessKey string `yaml:"secretAccessKey"`
	User            string `yaml:"user"` // of the caller's ARN, default "admin"
}

// Default is the configuration without a file.
func Default() *Config {
	return &Config{
		DataDir: "./goldsmith-data", Listen: "127.0.0.1:7420", Region: "us-east-1", Builds: 2,
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
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("the configuration %s: %w", path, err)
	}
	return cfg, nil
}

var (
	accountID   = regexp.MustCompile(`^[0-9]{12}$`)
	accessKeyID = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
)

// check refuses what cannot be meant, naming the member.
func (c *Config) check() error {
	if len(c.Accounts) == 0 {
		return errors.New("accounts: there must be at least one")
	}
	if c.Builds < 1 || c.Builds > 100 {
		return fmt.Errorf("builds: must be 1 to 100, not %d", c.Builds)
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return errors.New("database: must be postgres://USER@HOST:PORT/NAME, or be left out for a SQLite file in the data folder")
	}
	ids, keys := map[string]bool{}, map[string]bool{}
	for i, a := range c.Accounts {
		if !accountID.MatchString(a.ID) {
			return fmt.Errorf("accounts[%d].id: must be 12 digits in quotes, not %q", i, a.ID)
		}
		if ids[a.ID] {
			return fmt.Errorf("accounts[%d].id: %s is there twice", i, a.ID)
		}
		ids[a.ID] = true
		for j, k := range a.Keys {
			switch {
			case !accessKeyID.MatchString(k.AccessKeyID):
				return fmt.Errorf("accounts[%d].keys[%d].accessKeyId: must be 16 to 128 capital letters and digits", i, j)
			case len(k.SecretAccessKey) < 16:
				return fmt.Errorf("accounts[%d].keys[%d].secretAccessKey: must have at least 16 characters", i, j)
			case keys[k.AccessKeyID]:
				return fmt.Errorf("accounts[%d].keys[%d].accessKeyId: %s is there twice", i, j, k.AccessKeyID)
			}
			keys[k.AccessKeyID] = true
		}
	}
	return nil
}
