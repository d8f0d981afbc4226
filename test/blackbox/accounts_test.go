package blackbox

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// TestManyAccounts tells the story of an image that other accounts use: a
// handler that is subscribed to the topic gets the message, assumes a role in
// every account of the launch permission and puts the AMI into a parameter
// there. Image Builder itself puts a parameter and a version of a launch
// template of the owner.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	const owner, blue, green = "123456789012", "222222222222", "333333333333"
	python := harness.Client(t, "python")
	if err := exec.Command(python, "-c", "import boto3, cryptography").Run(); err != nil {
		t.Skip("the handler needs boto3 and cryptography")
	}
	account := func(id, key string) string {
		return fmt.Sprintf(`
  - id: "%s"
    keys: [{accessKeyId: %s, secretAccessKey: not-a-secret-for-tests-only}]
    roles:
      - name: LambdaExecutionRoleForSSMParam
        trustPolicy: {document: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::%s:root"}, Action: "sts:AssumeRole"}]}}
        policies: [{name: put, document: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ssm:PutParameter", Resource: "*"}]}}]`, id, key, owner)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := "accounts:\n  - id: \"" + owner + "\"" + account(blue, "AKIABLUE000000000000") + account(green, "AKIAGREEN00000000000") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := harness.StartWithParent(t, "--config", config)
	topic := s.AWS("sns", "create-topic", "--name", "images").Str("TopicArn")

	handler := exec.Command(python, filepath.Join(harness.Repo(t), "test", "blackbox", "handler.py"))
	handler.Env = append(s.Env(), "AWS_ENDPOINT_URL="+s.URL)
	handler.Stderr = os.Stderr
	out, err := handler.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := handler.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		handler.Process.Kill()
		handler.Wait()
	})
	lines := bufio.NewScanner(out)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
			t.Fatalf("the handler says %q (%v), want %s", lines.Text(), lines.Err(), want)
		}
	}
	next("http://")
	s.AWS("sns", "subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", lines.Text())
	next("SubscriptionConfirmation")

	// A topic is another account's to publish to when its policy says so.
	publish := func() error {
		cmd := exec.Command(harness.Client(t, "aws"), "--endpoint-url", s.URL, "--region", "us-east-1", "sns", "publish", "--topic-arn", topic, "--message", `{"state":{"status":"FAILED"}}`)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIABLUE000000000000", "AWS_SECRET_ACCESS_KEY=not-a-secret-for-tests-only", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := publish(); err == nil || !strings.Contains(err.Error(), "AuthorizationError") {
		t.Errorf("a stranger publishes: %v", err)
	}
	s.AWS("sns", "add-permission", "--topic-arn", topic, "--label", "blue", "--aws-account-id", blue, "--action-name", "Publish")
	if err := publish(); err != nil {
		t.Errorf("whom the policy lets publish: %v", err)
	} else {
		next("Notification")
	}

	template := s.AWS("ec2", "create-launch-template", "--launch-template-name", "web", "--launch-template-data", `{"InstanceType":"t3.micro"}`,
		"--tag-specifications", "ResourceType=launch-template,Tags=[{Key=CreatedBy,Value=EC2 Image Builder}]").Str("LaunchTemplate", "LaunchTemplateId")
	distribution := s.AWS("imagebuilder", "create-distribution-configuration", "--name", "accounts", "--distributions", fmt.Sprintf(`[{"region": "us-east-1",
		"amiDistributionConfiguration": {"launchPermission": {"userIds": ["%s", "%s"]}},
		"launchTemplateConfigurations": [{"launchTemplateId": "%s", "setDefaultVersion": true}],
		"ssmParameterConfigurations": [{"parameterName": "/golden/latest", "dataType": "aws:ec2:image"}]}]`, blue, green, template)).Str("distributionConfigurationArn")
	infrastructure := s.AWS("imagebuilder", "create-infrastructure-configuration", "--name", "accounts", "--instance-profile-name", "golden", "--sns-topic-arn", topic).Str("infrastructureConfigurationArn")
	pipeline := s.Define(harness.Pipeline{Name: "story", Components: []string{harness.Document("touch", "build", "echo made > /etc/story")}, NoTests: true})
	recipe := s.AWS("imagebuilder", "get-image-pipeline", "--image-pipeline-arn", pipeline).Str("imagePipeline", "imageRecipeArn")
	image := s.AWS("imagebuilder", "create-image", "--image-recipe-arn", recipe, "--infrastructure-configuration-arn", infrastructure, "--distribution-configuration-arn", distribution,
		"--image-tests-configuration", "imageTestsEnabled=false").Str("imageBuildVersionArn")
	got, _ := s.Wait(image, long, "AVAILABLE")
	ami := got.Str("image", "outputResources", "amis", 0, "image")
	next("Notification")

	for name, key := range map[string]string{blue: "AKIABLUE000000000000", green: "AKIAGREEN00000000000"} {
		get := exec.Command(harness.Client(t, "aws"), "--endpoint-url", s.URL, "--region", "us-east-1", "ssm", "get-parameter", "--name", "/ec2-imagebuilder/latest/story", "--query", "Parameter.Value", "--output", "text")
		get.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY=not-a-secret-for-tests-only", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
		value, err := get.CombinedOutput()
		if err != nil || strings.TrimSpace(string(value)) != ami {
			t.Errorf("account %s: the parameter is %s (%v), want %s", name, value, err, ami)
		}
	}
	if value := s.AWS("ssm", "get-parameter", "--name", "/golden/latest").Str("Parameter", "Value"); value != ami {
		t.Errorf("the owner's parameter is %s, want %s", value, ami)
	}
	version := s.AWS("ec2", "describe-launch-template-versions", "--launch-template-id", template, "--versions", "$Default")
	if data := version.Str("LaunchTemplateVersions", 0, "LaunchTemplateData", "ImageId"); data != ami {
		t.Errorf("the launch template's default version has %s, want %s", data, ami)
	}
}
