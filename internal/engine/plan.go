package engine

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Plan is everything one image build will use and do, with every version,
// parameter and destination resolved. The same inputs give the same plan, byte
// for byte; it is stored with the image and never resolved anew after a crash.
type Plan struct {
	Image          Image          `json:"image"`
	Parent         Parent         `json:"parent"`
	Components     []Component    `json:"components"`
	Volume         Volume         `json:"volume"`
	Infrastructure Infrastructure `json:"infrastructure"`
	Workflows      []Workflow     `json:"workflows"` // in the order of the stages
	Tests          bool           `json:"tests"`     // false: the test stage is skipped
	Metadata       bool           `json:"metadata"`  // collect packages and the OS version
	Scan           bool           `json:"scan"`      // a scan for vulnerabilities was asked for
	LogGroup       string         `json:"logGroup"`  // of CloudWatch; workflows can read its name
	AMITags        Tags           `json:"amiTags,omitempty"`
	WorkingDir     string         `json:"workingDirectory"`
	UserData       string         `json:"userData,omitempty"` // base64: run in the build instance before its components
	Destinations   []Destination  `json:"destinations"`       // always holds the build region, first
	Omitted        []Omission     `json:"omitted,omitempty"`

	// Given are the values that the start of the image gave to parameters; the
	// components and workflows have them already.
	Given []GivenParameter `json:"given,omitempty"`

	Cache bool `json:"cache"` // components whose state was kept are not run again
}

// Omission is a part of the image's making that is left out, and why.
type Omission struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Tags are the keys and values of AWS resource tags.
type Tags map[string]string

// Image names the image to be made.
type Image struct {
	ARN      string `json:"arn"`     // build version ARN
	Name     string `json:"name"`    // as the recipe spells it
	Slug     string `json:"slug"`    // normalised, as in the ARN
	Version  string `json:"version"` // "1.0.0"
	Build    int64  `json:"build"`
	Account  string `json:"account"`
	Region   string `json:"region"`
	Pipeline string `json:"pipeline,omitempty"` // ARN
	Recipe   string `json:"recipe"`             // ARN
}

// Parent is the image that the build starts from.
type Parent struct {
	Requested    string `json:"requested"`     // as the recipe says it
	ARN          string `json:"arn,omitempty"` // of an Image Builder image, resolved
	AMI          string `json:"ami,omitempty"` // of an AMI
	Snapshot     string `json:"snapshot"`      // content digest of the root disk
	SizeGiB      int64  `json:"sizeGiB"`
	OSVersion    string `json:"osVersion"` // "Debian 12"
	Platform     string `json:"platform"`  // "Linux"
	Architecture string `json:"architecture"`
	RootDevice   string `json:"rootDevice"` // "/dev/xvda"
	BootMode     string `json:"bootMode"`   // "legacy-bios", "uefi", "uefi-preferred"
}

// Component is one component of the recipe, resolved to a build version.
type Component struct {
	ARN        string      `json:"arn"`
	Name       string      `json:"name"`
	Digest     string      `json:"digest"` // SHA-256 of Data, hex
	Data       string      `json:"data"`   // the document
	Parameters []Parameter `json:"parameters,omitempty"`
	Phases     []string    `json:"phases"` // in document order
	Cache      *CachedStep `json:"cache,omitempty"`
}

// Parameter is a component parameter's value for this build.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// GivenParameter is a value that the start of an image gave.
type GivenParameter struct {
	Kind  string `json:"kind"` // "component" or "workflow"
	Of    string `json:"of"`   // its name, normalised
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Volume describes the image's block devices.
type Volume struct {
	SizeGiB int64         `json:"sizeGiB"` // of the root device, at least the parent's
	Devices []BlockDevice `json:"devices"` // root first; SnapshotID is filled in when the AMI is made
}

// BlockDevice is a block device mapping of the AMI, in the terms of EC2.
type BlockDevice struct {
	DeviceName          string `json:"deviceName"`
	VirtualName         string `json:"virtualName,omitempty"`
	NoDevice            bool   `json:"noDevice,omitempty"`
	SizeGiB             int64  `json:"sizeGiB,omitempty"`
	VolumeType          string `json:"volumeType,omitempty"`
	IOPS                int64  `json:"iops,omitempty"`
	Throughput          int64  `json:"throughput,omitempty"` // MiB/s
	KMSKeyID            string `json:"kmsKeyId,omitempty"`
	Encrypted           bool   `json:"encrypted,omitempty"`
	DeleteOnTermination bool   `json:"deleteOnTermination"`
}

// Infrastructure says where and how instances run.
type Infrastructure struct {
	ARN                string   `json:"arn"`
	InstanceProfile    string   `json:"instanceProfileName,omitempty"`
	InstanceTypes      []string `json:"instanceTypes,omitempty"`
	SecurityGroups     []string `json:"securityGroupIds,omitempty"`
	Subnet             string   `json:"subnetId,omitempty"`
	TerminateOnFailure bool     `json:"terminateInstanceOnFailure"`
	LogBucket          string   `json:"logBucket,omitempty"`
	LogPrefix          string   `json:"logPrefix,omitempty"`
	ResourceTags       Tags     `json:"resourceTags,omitempty"`
	TopicARN           string   `json:"topicArn,omitempty"`
	KeyName            string   `json:"keyPair,omitempty"`
	PublicKey          string   `json:"publicKey,omitempty"` // of the key pair: a line of authorized_keys
	Metadata           Metadata `json:"instanceMetadataOptions,omitzero"`
	Zone               string   `json:"availabilityZone,omitempty"`
}

// Metadata says how instances may ask for their metadata.
type Metadata struct {
	TokenRequired bool `json:"tokenRequired,omitempty"` // httpTokens is "required": version 2 only
	HopLimit      int  `json:"hopLimit,omitempty"`      // httpPutResponseHopLimit; 0: 1
}

// Destination is what one region gets.
type Destination struct {
	Region            string            `json:"region"`
	Name              string            `json:"name"` // a template: {{ imagebuilder:buildDate }}; "" means the default name
	Description       string            `json:"description,omitempty"`
	Tags              Tags              `json:"tags,omitempty"`
	KMSKeyID          string            `json:"kmsKeyId,omitempty"`
	TargetAccounts    []string          `json:"targetAccounts,omitempty"`
	LaunchPermissions LaunchPermissions `json:"launchPermissions"`
	LaunchTemplates   []LaunchTemplate  `json:"launchTemplates,omitempty"`
	Parameters        []SSMParameter    `json:"ssmParameters,omitempty"`
	Exports           []S3Export        `json:"s3Exports,omitempty"`
	FastLaunch        []FastLaunch      `json:"fastLaunch,omitempty"`
	Licenses          []string          `json:"licenses,omitempty"` // ARNs of licence configurations: they are kept with the plan
}

// FastLaunch says that launches of an AMI are to find its disk ready.
type FastLaunch struct {
	Enabled         bool   `json:"enabled"`
	Target          int    `json:"targetResourceCount,omitempty"`
	MaxParallel     int    `json:"maxParallelLaunches,omitempty"`
	TemplateID      string `json:"launchTemplateId,omitempty"`
	TemplateName    string `json:"launchTemplateName,omitempty"`
	TemplateVersion string `json:"launchTemplateVersion,omitempty"`
}

// LaunchTemplate is a launch template that gets a version with the new AMI.
type LaunchTemplate struct {
	ID         string `json:"id"`                // "lt-…"
	Account    string `json:"account,omitempty"` // "": the image's owner
	SetDefault bool   `json:"setDefault,omitempty"`
}

// SSMParameter is a parameter that gets the new AMI's ID for a value.
type SSMParameter struct {
	Name     string `json:"name"`
	Account  string `json:"account,omitempty"`  // whose AMI, and whose parameter; "": the image's owner
	DataType string `json:"dataType,omitempty"` // "text", "aws:ec2:image"; "": text
}

// S3Export is a bucket that gets the disk of the new AMI.
type S3Export struct {
	Format string `json:"diskImageFormat"` // "RAW", "VHD", "VMDK"
	Bucket string `json:"s3Bucket"`
	Prefix string `json:"s3Prefix,omitempty"`
	Role   string `json:"roleName,omitempty"`
}

// LaunchPermissions says who may launch an AMI besides its owner.
type LaunchPermissions struct {
	UserIDs       []string `json:"userIds,omitempty"`
	Groups        []string `json:"groups,omitempty"` // "all" means public
	Organizations []string `json:"organizationArns,omitempty"`
	Units         []string `json:"organizationalUnitArns,omitempty"`
}

// Digest is the SHA-256 of the plan's JSON, hex: equal for equal plans. What is
// cached, and whether it is asked for, does not count: the image is to be the
// same.
func (p *Plan) Digest() string {
	same := *p
	same.Components, same.Workflows = slices.Clone(p.Components), slices.Clone(p.Workflows)
	for i := range same.Workflows {
		same.Workflows[i].Steps = slices.Clone(same.Workflows[i].Steps)
	}
	same.Cache = false
	same.clearCached()
	return digestOf(&same)
}

// encode gives the plan as it is kept.
func (p *Plan) encode() ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("writing the plan: %w", err)
	}
	return data, nil
}
