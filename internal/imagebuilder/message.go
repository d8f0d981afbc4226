package imagebuilder

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Topics take the messages about images.
type Topics interface {
	// Announce publishes a message in the caller's transaction; those of a lane
	// stay in their order. A topic that is not there is no error.
	Announce(ctx context.Context, tx *store.Tx, topic, lane, message string) error
}

// Events take what happens to images.
type Events interface {
	// Put adds an event to the caller's transaction; those of a lane stay in
	// their order.
	Put(ctx context.Context, tx *store.Tx, lane string, e event.Event) error
}

// tell announces that an image went from a state to another, in the transaction
// in which it did: an event of every transition, and a message to the topic of
// the infrastructure configuration when the image is AVAILABLE or FAILED (User
// Guide, "EventBridge integration" and "Amazon SNS integration").
func (s *Service) tell(ctx context.Context, tx *store.Tx, a arn, shape *api.Image, from, to engine.Status) error {
	if err := s.tellState(ctx, tx, a, string(from), string(to)); err != nil {
		return err
	}
	if s.topics == nil || to != engine.Available && to != engine.Failed || shape.InfrastructureConfiguration == nil || shape.InfrastructureConfiguration.SnsTopicArn == nil {
		return nil
	}
	executions, err := tx.WorkflowExecutions(a.String())
	if err != nil {
		return err
	}
	text, err := json.Marshal(newMessage(a, shape, executions))
	if err != nil {
		return fmt.Errorf("encoding the message about %s: %w", a, err)
	}
	return s.topics.Announce(ctx, tx, *shape.InfrastructureConfiguration.SnsTopicArn, a.String(), string(text))
}

// tellState puts the event that an image came into a state, from another or, with
// "", into the world.
func (s *Service) tellState(ctx context.Context, tx *store.Tx, a arn, from, to string) error {
	if s.events == nil {
		return nil
	}
	type state struct {
		Status string `json:"status"`
	}
	detail := struct {
		Previous *state `json:"previous-state,omitempty"`
		Now      state  `json:"state"`
	}{Now: state{to}}
	if from != "" {
		detail.Previous = &state{from}
	}
	return s.events.Put(ctx, tx, a.String(), event.Event{
		Kind: event.ImageStateChange, Account: a.Account, Region: a.Region, Resources: []string{a.String()}, Detail: detail,
	})
}

// Waiting announces that a step of a workflow waits for SendWorkflowStepAction:
// an event, and a message to the topic that the step names (User Guide,
// "EventBridge integration" and "WaitForAction").
func (s *Service) Waiting(ctx context.Context, tx *store.Tx, step engine.WaitingStep) error {
	a, ok := parseARN(step.ImageARN)
	if !ok {
		return fmt.Errorf("%q is not the ARN of an image", step.ImageARN)
	}
	if s.events != nil {
		err := s.events.Put(ctx, tx, step.ImageARN, event.Event{
			Kind: event.StepWaiting, Account: a.Account, Region: a.Region, Resources: []string{step.ImageARN, step.WorkflowARN},
			Detail: map[string]string{"workflow-execution-id": step.WorkflowExecutionID, "workflow-step-execution-id": step.StepExecutionID, "workflow-step-name": step.Name},
		})
		if err != nil {
			return err
		}
	}
	if s.topics == nil || step.TopicARN == "" {
		return nil
	}
	text, err := step.Message()
	if err != nil {
		return fmt.Errorf("encoding the message about step %s: %w", step.Name, err)
	}
	return s.topics.Announce(ctx, tx, step.TopicARN, step.ImageARN, string(text))
}

// tellDisabled announces that failures in a row disabled a pipeline.
func (s *Service) tellDisabled(ctx context.Context, tx *store.Tx, row store.Resource, failures int32) error {
	if s.events == nil {
		return nil
	}
	return s.events.Put(ctx, tx, row.ARN, event.Event{
		Kind: event.PipelineDisabled, Account: row.Account, Region: row.Region, Resources: []string{row.ARN},
		Detail: map[string]string{"consecutive-failures": fmt.Sprint(failures)},
	})
}

// message is the image record that subscribers of the topic get. It differs from
// GetImage: dates are as people in America write them, versions are numbers too,
// resources name their account and have internal tags (User Guide, "Amazon SNS
// integration").
type message struct {
	VersionlessARN  string                 `json:"versionlessArn"`
	Semver          *big.Int               `json:"semver"`
	ARN             string                 `json:"arn"`
	Name            string                 `json:"name"`
	Version         string                 `json:"version"`
	Type            string                 `json:"type"`
	BuildVersion    int64                  `json:"buildVersion"`
	State           messageState           `json:"state"`
	Platform        *api.Platform          `json:"platform,omitempty"`
	Recipe          *messageRecipe         `json:"imageRecipe,omitempty"`
	Pipeline        *string                `json:"sourcePipelineArn,omitempty"`
	Infrastructure  *messageInfrastructure `json:"infrastructureConfiguration,omitempty"`
	Tests           *messageTests          `json:"imageTestsConfigurationDocument,omitempty"`
	Distribution    *messageDistribution   `json:"distributionConfiguration,omitempty"`
	Created         string                 `json:"dateCreated"`
	Outputs         messageOutputs         `json:"outputResources"`
	BuildID         string                 `json:"buildExecutionId,omitempty"`
	TestID          string                 `json:"testExecutionId,omitempty"`
	DistributionJob string                 `json:"distributionJobId,omitempty"`
	IntegrationJob  string                 `json:"integrationJobId,omitempty"`
	Account         string                 `json:"accountId"`
	OSVersion       *string                `json:"osVersion,omitempty"`
	Metadata        bool                   `json:"enhancedImageMetadataEnabled"`
	BuildType       *api.BuildType         `json:"buildType,omitempty"`
	Tags            messageTags            `json:"tags"`
}

type messageState struct {
	Status string  `json:"status"`
	Reason *string `json:"reason,omitempty"`
}

type messageTags map[string]string

type messageRecipe struct {
	ARN         string                           `json:"arn"`
	Name        string                           `json:"name"`
	Version     string                           `json:"version"`
	Description *string                          `json:"description,omitempty"`
	Components  []messageComponent               `json:"components"`
	Platform    *api.Platform                    `json:"platform,omitempty"`
	Parent      *string                          `json:"parentImage,omitempty"`
	Devices     []api.InstanceBlockDeviceMapping `json:"blockDeviceMappings,omitempty"`
	Created     string                           `json:"dateCreated"`
	Tags        messageTags                      `json:"tags"`
	Directory   string                           `json:"workingDirectory"`
	Account     string                           `json:"accountId"`
}

type messageComponent struct {
	ARN        *string                  `json:"componentArn"`
	Parameters []api.ComponentParameter `json:"parameters,omitempty"`
}

type messageInfrastructure struct {
	ARN            string                       `json:"arn"`
	Name           string                       `json:"name"`
	Description    *string                      `json:"description,omitempty"`
	InstanceTypes  []string                     `json:"instanceTypes,omitempty"`
	Profile        *string                      `json:"instanceProfileName,omitempty"`
	SecurityGroups []string                     `json:"securityGroupIds,omitempty"`
	Subnet         *string                      `json:"subnetId,omitempty"`
	Logging        *api.Logging                 `json:"logging,omitempty"`
	KeyPair        *string                      `json:"keyPair,omitempty"`
	Terminate      bool                         `json:"terminateInstanceOnFailure"`
	Topic          *string                      `json:"snsTopicArn,omitempty"`
	ResourceTags   map[string]string            `json:"resourceTags,omitempty"`
	Metadata       *api.InstanceMetadataOptions `json:"instanceMetadataOptions,omitempty"`
	Created        string                       `json:"dateCreated"`
	Updated        string                       `json:"dateUpdated,omitempty"`
	Tags           messageTags                  `json:"tags"`
	Account        string                       `json:"accountId"`
}

type messageTests struct {
	Enabled bool  `json:"imageTestsEnabled"`
	Timeout int32 `json:"timeoutMinutes"`
}

type messageDistribution struct {
	ARN           string             `json:"arn"`
	Name          string             `json:"name"`
	Description   *string            `json:"description,omitempty"`
	Created       string             `json:"dateCreated"`
	Updated       string             `json:"dateUpdated,omitempty"`
	Distributions []api.Distribution `json:"distributions"`
	Tags          messageTags        `json:"tags"`
	Account       string             `json:"accountId"`
}

type messageOutputs struct {
	AMIs []messageAMI `json:"amis"`
}

type messageAMI struct {
	Region  *string `json:"region"`
	Image   *string `json:"image"`
	Name    *string `json:"name"`
	Account *string `json:"accountId"`
}

func newMessage(a arn, i *api.Image, executions []store.WorkflowExecution) message {
	m := message{
		VersionlessARN: strings.TrimSuffix(a.String(), fmt.Sprintf("/%s/%d", versionText(a.version), a.version.Build)), Semver: semver(a.version), ARN: a.String(), Name: text(i.Name),
		Version: versionText(a.version), Type: string(or(i.Type, api.ImageTypeAmi)), BuildVersion: a.version.Build, State: messageState{string(*i.State.Status), i.State.Reason}, Platform: i.Platform,
		Pipeline: i.SourcePipelineArn, Tests: messageTestsOf(i.ImageTestsConfiguration), Created: messageDate(i.DateCreated), Outputs: messageOutputs{AMIs: []messageAMI{}}, Account: a.Account,
		OSVersion: i.OsVersion, Metadata: or(i.EnhancedImageMetadataEnabled, true), BuildType: i.BuildType, Tags: tagsOf(a.String(), i.Tags),
	}
	if r := i.ImageRecipe; r != nil {
		m.Recipe = &messageRecipe{
			ARN: text(r.Arn), Name: text(r.Name), Version: text(r.Version), Description: r.Description, Components: []messageComponent{}, Platform: r.Platform, Parent: r.ParentImage,
			Devices: r.BlockDeviceMappings, Created: messageDate(r.DateCreated), Tags: tagsOf(text(r.Arn), r.Tags), Directory: or(r.WorkingDirectory, defaultDirectory), Account: a.Account,
		}
		for _, c := range r.Components {
			m.Recipe.Components = append(m.Recipe.Components, messageComponent{c.ComponentArn, c.Parameters})
		}
	}
	if c := i.InfrastructureConfiguration; c != nil {
		m.Infrastructure = &messageInfrastructure{
			ARN: text(c.Arn), Name: text(c.Name), Description: c.Description, InstanceTypes: c.InstanceTypes, Profile: c.InstanceProfileName, SecurityGroups: c.SecurityGroupIds, Subnet: c.SubnetId,
			Logging: c.Logging, KeyPair: c.KeyPair, Terminate: or(c.TerminateInstanceOnFailure, true), Topic: c.SnsTopicArn, ResourceTags: c.ResourceTags, Metadata: c.InstanceMetadataOptions,
			Created: messageDate(c.DateCreated), Updated: messageDate(c.DateUpdated), Tags: tagsOf(text(c.Arn), c.Tags), Account: a.Account,
		}
	}
	if d := i.DistributionConfiguration; d != nil {
		m.Distribution = &messageDistribution{
			ARN: text(d.Arn), Name: text(d.Name), Description: d.Description, Created: messageDate(d.DateCreated), Updated: messageDate(d.DateUpdated), Distributions: d.Distributions,
			Tags: tagsOf(text(d.Arn), d.Tags), Account: a.Account,
		}
	}
	if *i.State.Status == api.ImageStatusAvailable && i.OutputResources != nil {
		for _, ami := range i.OutputResources.Amis {
			m.Outputs.AMIs = append(m.Outputs.AMIs, messageAMI{ami.Region, ami.Image, ami.Name, ami.AccountId})
		}
	}
	for _, e := range executions {
		id := strings.TrimPrefix(e.ID, "wf-")
		switch e.Type {
		case "BUILD":
			m.BuildID = id
		case "TEST":
			m.TestID = id
		case "DISTRIBUTION":
			m.DistributionJob, m.IntegrationJob = id, internalID(id)
		}
	}
	return m
}

// semver is a version as the service counts it: thirty bits each for major,
// minor, patch and build.
func semver(v store.Version) *big.Int {
	n := new(big.Int)
	for _, node := range []int64{v.Major, v.Minor, v.Patch, v.Build} {
		n.Lsh(n, 30)
		n.Add(n, big.NewInt(node))
	}
	return n
}

// messageDate writes a date of the API as "Jul 28, 2022 1:13:45 AM".
func messageDate(p *string) string {
	at, err := time.Parse(time.RFC3339, text(p))
	if err != nil {
		return ""
	}
	return at.UTC().Format("Jan 2, 2006 3:04:05 PM")
}

// tagsOf are a resource's tags with the two that the service adds.
func tagsOf(arn string, tags map[string]string) messageTags {
	all := messageTags{"internalId": internalID(arn), "resourceArn": arn}
	for key, value := range tags {
		all[key] = value
	}
	return all
}

// internalID is an id that is always the same for a name.
func internalID(name string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)).String() }

func messageTestsOf(c *api.ImageTestsConfiguration) *messageTests {
	if c == nil {
		return nil
	}
	return &messageTests{or(c.ImageTestsEnabled, true), or(c.TimeoutMinutes, 720)}
}
