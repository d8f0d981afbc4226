package engine

import (
	"encoding/json"
	"fmt"
	"slices"
)

// givenDestinations are the destinations that a DistributeImage step names
// itself.
func givenDestinations(given any) ([]Destination, error) {
	var list []struct {
		Region      string   `json:"region"`
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Accounts    []string `json:"targetAccountIds"`
		Tags        Tags     `json:"amiTags"`
		KMSKeyID    string   `json:"kmsKeyId"`
	}
	if err := convert(given, &list); err != nil {
		return nil, fmt.Errorf("distributions: %w", err)
	}
	var all []Destination
	for i, d := range list {
		if slices.ContainsFunc(all, func(e Destination) bool { return e.Region == d.Region }) {
			return nil, fmt.Errorf("distributions[%d]: the region %s is named twice", i, d.Region)
		}
		all = append(all, Destination{Region: d.Region, Name: d.Name, Description: d.Description, Tags: d.Tags, KMSKeyID: d.KMSKeyID, TargetAccounts: d.Accounts})
	}
	return all, nil
}

// givenPermissions are the launch permissions that a ModifyImageAttributes step
// names itself.
func givenPermissions(given any) (map[string]LaunchPermissions, error) {
	var list []struct {
		Region     string `json:"region"`
		Permission struct {
			UserIDs       []string `json:"userIds"`
			Groups        []string `json:"userGroups"`
			Organizations []string `json:"organizationArns"`
			Units         []string `json:"organizationalUnitArns"`
		} `json:"launchPermission"`
	}
	if err := convert(given, &list); err != nil {
		return nil, fmt.Errorf("attributes: %w", err)
	}
	all := map[string]LaunchPermissions{}
	for _, a := range list {
		all[a.Region] = LaunchPermissions(a.Permission)
	}
	return all, nil
}

// givenFast is a fast launch configuration of a step.
type givenFast struct {
	Enabled  bool `json:"enabled"`
	Snapshot struct {
		Target int `json:"targetResourceCount"`
	} `json:"snapshotConfiguration"`
	MaxParallel int `json:"maxParallelLaunches"`
	Template    struct {
		ID      string `json:"launchTemplateId"`
		Name    string `json:"launchTemplateName"`
		Version string `json:"launchTemplateVersion"`
	} `json:"launchTemplate"`
}

// givenConfigurations are the destinations, as far as they say what the AMIs are
// put into, that an ApplyImageConfigurations step names itself.
func givenConfigurations(given any) ([]Destination, error) {
	var list []struct {
		Region    string      `json:"region"`
		Licenses  []string    `json:"licenseConfigurationArns"`
		Fast      []givenFast `json:"fastLaunchConfigurations"`
		Exports   []S3Export  `json:"s3ExportConfiguration"`
		Templates []struct {
			ID         string `json:"launchTemplateId"`
			Account    string `json:"accountId"`
			SetDefault bool   `json:"setDefaultVersion"`
		} `json:"launchTemplateConfigurations"`
		Parameters []struct {
			Account  string `json:"amiAccountId"`
			Name     string `json:"parameterName"`
			DataType string `json:"dataType"`
		} `json:"ssmParameterConfigurations"`
	}
	if err := convert(given, &list); err != nil {
		return nil, fmt.Errorf("configurations: %w", err)
	}
	var all []Destination
	for i, g := range list {
		if slices.ContainsFunc(all, func(e Destination) bool { return e.Region == g.Region }) {
			return nil, fmt.Errorf("configurations[%d]: the region %s is named twice", i, g.Region)
		}
		d := Destination{Region: g.Region, Licenses: g.Licenses, Exports: g.Exports}
		for _, f := range g.Fast {
			d.FastLaunch = append(d.FastLaunch, FastLaunch{
				Enabled: f.Enabled, Target: f.Snapshot.Target, MaxParallel: f.MaxParallel, TemplateID: f.Template.ID, TemplateName: f.Template.Name, TemplateVersion: f.Template.Version,
			})
		}
		for _, t := range g.Templates {
			d.LaunchTemplates = append(d.LaunchTemplates, LaunchTemplate(t))
		}
		for _, p := range g.Parameters {
			d.Parameters = append(d.Parameters, SSMParameter{Name: p.Name, Account: p.Account, DataType: p.DataType})
		}
		all = append(all, d)
	}
	return all, nil
}

// convert brings plain JSON values into a Go type.
func convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, to)
}
