package blackbox

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
`

// TestWhatABuildInstanceGets has an image built whose infrastructure names a key
// pair and whose recipe has user data: both are there when the components run,
// and the key is not in the image.
func TestWhatABuildInstanceGets(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	dir := t.TempDir()
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
		"--resource-tags", "team=web").Str("infrastructureConfigurationArn")
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
	logs, _, _ := s.Run("", "logs", image)
	for _, want := range []string{"Authorised the key pair deploy for the user root", "The user data has run", "Skipped step RunSanitizeScript"} {
		if !strings.Contains(logs, want) {
			t.Errorf("the log does not say %q:\n%s", want, logs)
		}
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
