package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

// Parent is the parent image that tests build on.
const Parent = "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"

// Pipeline is the definition of a pipeline, made by Define.
type Pipeline struct {
	Name       string
	Components []string // documents
	VolumeGiB  int
	Keep       bool     // terminateInstanceOnFailure=false
	Regions    []string // nil: no distribution configuration
	NoTests    bool     // imageTestsEnabled=false
}

// Define creates everything that a pipeline needs and gives its ARN.
func (s *Server) Define(p Pipeline) string {
	s.tb.Helper()
	var components []map[string]string
	for i, doc := range p.Components {
		out := s.AWS("imagebuilder", "create-component", "--name", fmt.Sprintf("%s-%d", p.Name, i), "--semantic-version", "1.0.0",
			"--platform", "Linux", "--data", "file://"+s.file(fmt.Sprintf("%s-%d.yaml", p.Name, i), doc))
		components = append(components, map[string]string{"componentArn": out.Str("componentBuildVersionArn")})
	}
	recipe := []string{"imagebuilder", "create-image-recipe", "--name", p.Name, "--semantic-version", "1.0.0", "--parent-image", Parent, "--components", text(components)}
	if p.VolumeGiB > 0 {
		recipe = append(recipe, "--block-device-mappings", fmt.Sprintf(`[{"deviceName":"/dev/xvda","ebs":{"volumeSize":%d,"volumeType":"gp3"}}]`, p.VolumeGiB))
	}
	infrastructure := []string{"imagebuilder", "create-infrastructure-configuration", "--name", p.Name, "--instance-profile-name", "golden", "--terminate-instance-on-failure"}
	if p.Keep {
		infrastructure[len(infrastructure)-1] = "--no-terminate-instance-on-failure"
	}
	pipeline := []string{"imagebuilder", "create-image-pipeline", "--name", p.Name,
		"--image-recipe-arn", s.AWS(recipe...).Str("imageRecipeArn"),
		"--infrastructure-configuration-arn", s.AWS(infrastructure...).Str("infrastructureConfigurationArn")}
	if p.Regions != nil {
		var list []map[string]any
		for _, region := range p.Regions {
			list = append(list, map[string]any{"region": region, "amiDistributionConfiguration": map[string]any{
				"name": p.Name + " {{ imagebuilder:buildDate }}", "amiTags": map[string]string{"Role": p.Name},
				"launchPermission": map[string]any{"userIds": []string{"111122223333"}},
			}})
		}
		out := s.AWS("imagebuilder", "create-distribution-configuration", "--name", p.Name, "--distributions", text(list))
		pipeline = append(pipeline, "--distribution-configuration-arn", out.Str("distributionConfigurationArn"))
	}
	if p.NoTests {
		pipeline = append(pipeline, "--image-tests-configuration", "imageTestsEnabled=false")
	}
	return s.AWS(pipeline...).Str("imagePipelineArn")
}

// Run starts a pipeline and gives the ARN of the image.
func (s *Server) StartPipeline(arn string) string {
	s.tb.Helper()
	return s.AWS("imagebuilder", "start-image-pipeline-execution", "--image-pipeline-arn", arn).Str("imageBuildVersionArn")
}

// Wait looks on until the image is in one of the states and gives the image and
// the states it was seen in.
func (s *Server) Wait(image string, limit time.Duration, states ...string) (Object, []string) {
	s.tb.Helper()
	var seen []string
	client := s.SDK()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		answer, err := client.GetImage(context.Background(), &imagebuilder.GetImageInput{ImageBuildVersionArn: &image})
		if err != nil {
			s.tb.Fatal(err)
		}
		status := string(answer.Image.State.Status)
		if len(seen) == 0 || seen[len(seen)-1] != status {
			seen = append(seen, status)
		}
		for _, want := range states {
			if status == want {
				return s.AWS("imagebuilder", "get-image", "--image-build-version-arn", image), seen
			}
		}
		if status == "FAILED" || status == "CANCELLED" || status == "AVAILABLE" {
			s.tb.Fatalf("%s is %s after %v: %s", image, status, seen, aws.ToString(answer.Image.State.Reason))
		}
	}
	s.tb.Fatalf("%s is not one of %v after %v; seen %v", image, states, limit, seen)
	return nil, nil
}

// SDK is a client of the AWS SDK for Go: cheap enough to poll with beside an
// emulated machine.
func (s *Server) SDK() *imagebuilder.Client {
	s.tb.Helper()
	key, err := datadir.Dir(s.Dir).Key()
	if err != nil {
		s.tb.Fatal(err)
	}
	return imagebuilder.New(imagebuilder.Options{
		BaseEndpoint: aws.String(s.URL), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	})
}

// WaitStep waits until a step of the image's workflows is running.
func (s *Server) WaitStep(image, step string, limit time.Duration) {
	s.tb.Helper()
	client, ctx := s.SDK(), context.Background()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		flows, err := client.ListWorkflowExecutions(ctx, &imagebuilder.ListWorkflowExecutionsInput{ImageBuildVersionArn: &image})
		if err != nil {
			s.tb.Fatal(err)
		}
		for _, flow := range flows.WorkflowExecutions {
			steps, err := client.ListWorkflowStepExecutions(ctx, &imagebuilder.ListWorkflowStepExecutionsInput{WorkflowExecutionId: flow.WorkflowExecutionId})
			if err != nil {
				s.tb.Fatal(err)
			}
			for _, row := range steps.Steps {
				if aws.ToString(row.Name) == step && row.Status == types.WorkflowStepExecutionStatusRunning {
					return
				}
			}
		}
	}
	s.tb.Fatalf("the step %s of %s never ran", step, image)
}

// AMIs lists the AMIs that the account owns in a region.
func (s *Server) AMIs(region string) Object {
	s.tb.Helper()
	return s.AWS("ec2", "describe-images", "--owners", "self", "--region", region)
}

// file writes a file beside the data folder.
func (s *Server) file(name, content string) string {
	s.tb.Helper()
	path := filepath.Join(filepath.Dir(s.Dir), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		s.tb.Fatal(err)
	}
	return path
}

// Document is a component document whose phases each have one bash step.
func Document(name string, phases ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nschemaVersion: 1.0\nphases:\n", name)
	for i := 0; i+1 < len(phases); i += 2 {
		fmt.Fprintf(&b, "  - name: %s\n    steps:\n      - name: %sStep\n        action: ExecuteBash\n        inputs:\n          commands:\n            - |\n", phases[i], phases[i])
		for _, line := range strings.Split(phases[i+1], "\n") {
			fmt.Fprintf(&b, "              %s\n", line)
		}
	}
	return b.String()
}

// text is v as JSON.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
