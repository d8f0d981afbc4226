package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ProviderAWS marks an account whose AMIs are made at AWS.
const ProviderAWS = "aws"

// Access says how to get into an account of AWS.
type Access struct {
	Profile    string   `yaml:"profile"`    // of the AWS files; "": as every AWS client finds its credentials
	RoleARN    string   `yaml:"roleArn"`    // assumed with them
	ExternalID string   `yaml:"externalId"` // that the role's trust policy asks for
	Endpoint   string   `yaml:"endpoint"`   // http(s)://HOST[:PORT] of all services; "": Amazon's
	Regions    []string `yaml:"regions"`    // whose AMIs are made there; none: all
}

var (
	roleARN    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}$`)
	externalID = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
)

// check refuses what cannot be meant, naming the member.
func (a Access) check() error {
	switch {
	case a.RoleARN != "" && !roleARN.MatchString(a.RoleARN):
		return fmt.Errorf("roleArn: %q is not the ARN of a role", a.RoleARN)
	case a.ExternalID != "" && a.RoleARN == "":
		return errors.New("externalId: is for a role; set roleArn, too")
	case a.ExternalID != "" && (!externalID.MatchString(a.ExternalID) || len(a.ExternalID) > 1224):
		return errors.New("externalId: must be 2 to 1224 letters, digits and _+=,.@:/-")
	case a.Endpoint != "" && !isHTTP(a.Endpoint):
		return fmt.Errorf("endpoint: must be an http or https URL, not %q", a.Endpoint)
	}
	for i, r := range a.Regions {
		if !regionName.MatchString(r) {
			return fmt.Errorf("regions[%d]: %q is not the name of a region", i, r)
		}
	}
	return nil
}

// checkProvider refuses an account's provider that cannot be meant.
func (a *Account) checkProvider() error {
	switch {
	case a.Provider == "" && a.AWS == nil:
		return nil
	case a.Provider != ProviderAWS:
		return fmt.Errorf("provider: must be %s, or be left out for an account of this server, not %q", ProviderAWS, a.Provider)
	case a.AWS == nil:
		a.AWS = &Access{}
	}
	if err := a.AWS.check(); err != nil {
		return fmt.Errorf("aws.%w", err)
	}
	if role := strings.Split(a.AWS.RoleARN, ":"); len(role) > 4 && role[4] != a.ID {
		return fmt.Errorf("aws.roleArn: is a role of the account %s, not of %s", role[4], a.ID)
	}
	return nil
}
