package blackbox

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// instanceComponent looks at the build instance from inside.
const instanceComponent = `name: look
schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Look
        action: ExecuteBash
        inputs:
          commands:
            - set -e
            - grep -q "KEY" /root/.ssh/authorized_keys
            - test "$(stat -c '%a %U' /root/.ssh/authorized_keys)" = "600 root"
            - test "$(cat /opt/first-boot)" = "user data by root"
      - name: Metadata
        action: ExecuteBash
        inputs:
          commands:
            - |
              set -e
              imds() { # METHOD PATH HEADER
                exec 3<>/dev/tcp/169.254.169.254/80
                printf '%s %s HTTP/1.0\r\n%s\r\n\r\n' "$1" "$2" "$3" >&3
                cat <&3 | sed '1,/^.$/d'
              }
              test "$(imds GET /latest/meta-data/instance-id 'Accept: */*')" = Unauthorized
              token=$(imds PUT /latest/api/token 'X-aws-ec2-metadata-token-ttl-seconds: 60')
              get() { imds GET "/latest/$1" "X-aws-ec2-metadata-token: $token"; }
              test "$(get meta-data/placement/region)" = us-east-1
              get meta-data/instance-id | grep -qE '^i-[0-9a-f]{17}$'
              get meta-data/ami-id | grep -qE '^ami-[0-9a-f]{17}$'
              get dynamic/instance-identity/document | grep -q '"accountId": "123456789012"'
              test "$(get meta-data/iam/security-credentials/)" = builder
              get user-data | grep -q first-boot
              get meta-data/iam/security-credentials/builder >/opt/credentials.json
              test -z "$AWS_EC2_METADATA_DISABLED"
`

// instanceConfig has a role that instances of the profile "builder" get.
const instanceConfig = `accounts:
  - id: "123456789012"
    roles:
      - name: builder
        trustPolicy: {document: {Version: 2012-10-17, Statement: {Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}}}
`

// TestWhatABuildInstanceGets has an image built whose infrastructure names a key
// pair and whose recipe has user data: both are there when the components run,
// and the key is not in the image.
func TestWhatABuildInstanceGets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "goldsmith.yaml")
	if err := os.WriteFile(config, []byte(instanceConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	s := harness.StartWithParent(t, "--config", config)
	file := func(name string, v any) string {
		data, ok := v.(string)
		if !ok {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			data = string(b)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + path
	}
	key := opensshKey(t, dir)
	component := s.AWS("imagebuilder", "create-component", "--name", "look", "--semantic-version", "1.0.0", "--platform", "Linux",
		"--data", file("look.yaml", strings.ReplaceAll(instanceComponent, "KEY", key))).Str("componentBuildVersionArn")
	userData := "#!/bin/sh\necho user data by $(id -un) >/opt/first-boot\necho said by the user data\n"
	recipe := s.AWS("imagebuilder", "create-image-recipe", "--cli-input-json", file("recipe.json", map[string]any{
		"name": "look", "semanticVersion": "1.0.0", "parentImage": harness.Parent, "components": []any{map[string]any{"componentArn": component}},
		"additionalInstanceConfiguration": map[string]any{"userDataOverride": base64.StdEncoding.EncodeToString([]byte(userData))}, "clientToken": "recipe",
	})).Str("imageRecipeArn")
	infrastructure := s.AWS("imagebuilder", "create-infrastructure-configuration", "--name", "look", "--instance-profile-name", "builder", "--key-pair", "deploy",
		"--resource-tags", "team=web", "--instance-metadata-options", "httpTokens=required,httpPutResponseHopLimit=1").Str("infrastructureConfigurationArn")
	create := func() string {
		return s.AWS("imagebuilder", "create-image", "--image-recipe-arn", recipe, "--infrastructure-configuration-arn", infrastructure,
			"--image-tests-configuration", "imageTestsEnabled=false").Str("imageBuildVersionArn")
	}
	failed, _ := s.Wait(create(), long, "FAILED")
	if reason := failed.Str("image", "state", "reason"); !strings.Contains(reason, "The key pair 'deploy' does not exist") {
		t.Errorf("without its key pair the image failed with %q", reason)
	}
	s.AWS("ec2", "import-key-pair", "--key-name", "deploy", "--public-key-material", "fileb://"+filepath.Join(dir, "key.pub"))
	image := create()
	got, _ := s.Wait(image, long, "AVAILABLE")

	disk := filepath.Join(dir, "disk.raw")
	if out, _, code := s.Run("", "image", "get", got.Str("image", "outputResources", "amis", 0, "image"), "--format", "raw", "-o", disk); code != 0 {
		t.Fatalf("image get: %s", out)
	}
	if found, err := exec.Command("grep", "-c", "-a", "-F", strings.Fields(key)[1], disk).CombinedOutput(); err == nil {
		t.Errorf("the image still holds the key, %s times", found)
	}
	checkCredentials(t, s, debugfs(t, disk, "cat /opt/credentials.json"))
	logs, _, _ := s.Run("", "logs", image)
	for _, want := range []string{"Authorised the key pair deploy for the user root", "The user data has run", "Skipped step RunSanitizeScript"} {
		if !strings.Contains(logs, want) {
			t.Errorf("the log does not say %q:\n%s", want, logs)
		}
	}
}

// checkCredentials uses what the instance was given.
func checkCredentials(t *testing.T, s *harness.Server, text string) {
	t.Helper()
	var c struct{ AccessKeyId, SecretAccessKey, Token string }
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("the instance's credentials: %v: %s", err, text)
	}
	client := sts.New(sts.Options{BaseEndpoint: aws.String(s.URL), Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyId, c.SecretAccessKey, c.Token)})
	who, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatalf("the instance's credentials: %v", err)
	}
	if !strings.HasPrefix(aws.ToString(who.Arn), "arn:aws:sts::123456789012:assumed-role/builder/i-") {
		t.Errorf("the instance is %s", aws.ToString(who.Arn))
	}
}

// opensshKey makes a key pair in a folder, as people do, and gives its public
// line without the comment.
func opensshKey(t *testing.T, dir string) string {
	t.Helper()
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", filepath.Join(dir, "key")).CombinedOutput(); err != nil {
		t.Skipf("no key pair could be made: %v: %s", err, out)
	}
	line, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(line))[:2], " ")
}
