package clients

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/test/harness"
)

// west is the region of the guide's examples; the server gives it no special
// treatment.
const west = "us-west-2"

// guide has, under the names of the User Guide's examples ("Manage distribution
// settings", "Set up cross-account AMI distribution", "Configure AMI distribution
// settings to use an Amazon EC2 launch template"), inputs with the members of
// those examples.
var guide = map[string]object{
	"accounts": {"name": "ToTwoAccounts", "description": "one account in each region", "distributions": list{
		object{"region": west, "amiDistributionConfiguration": object{"name": "Golden {{imagebuilder:buildDate}}", "description": "with references to parameters", "amiTags": object{"Owner": "platform team"},
			"launchPermission": object{"userIds": list{"222233334444"}}}},
		object{"region": "eu-west-1", "amiDistributionConfiguration": object{"name": "Build {{imagebuilder:buildVersion}} of {{imagebuilder:buildDate}}", "amiTags": object{"Owner": "platform team"},
			"launchPermission": object{"userIds": list{"555566667777"}}}},
	}},
	"organizations and OUs": {"name": "ToTheOrganization", "description": "shared by an organization", "distributions": list{
		object{"region": west, "amiDistributionConfiguration": object{"name": "Golden {{ imagebuilder:buildDate }}", "launchPermission": object{
			"organizationArns":       list{"arn:aws:organizations::123456789012:organization/o-goldsmithtest01"},
			"organizationalUnitArns": list{"arn:aws:organizations::123456789012:ou/o-goldsmithtest01/ou-gold-platformteams1"}}}},
	}},
	"target accounts": {"name": "cross-account-copies", "description": "a copy for each", "distributions": list{
		object{"amiDistributionConfiguration": object{"targetAccountIds": list{"222233334444", "555566667777"}, "name": "Copy {{ imagebuilder:buildDate }}", "description": "a copy"}, "region": west},
	}},
	"fast launch": {"name": "FastWindows", "description": "faster launching", "distributions": list{
		object{"region": west, "amiDistributionConfiguration": object{"name": "Fast {{imagebuilder:buildDate}}", "description": "across accounts", "amiTags": object{"Owner": "platform team"}},
			"fastLaunchConfigurations": list{object{"enabled": true, "snapshotConfiguration": object{"targetResourceCount": 5}, "maxParallelLaunches": 6,
				"launchTemplate": object{"launchTemplateId": "lt-0fedcba9876543210", "launchTemplateVersion": "1"}, "accountId": "123456789012"}}},
	}},
	"launch templates": {"name": "TemplatedDistribution", "description": "new versions of templates", "clientToken": "templates-1", "distributions": list{
		object{"region": west, "amiDistributionConfiguration": object{"name": "templated-{{imagebuilder:buildDate}}-{{imagebuilder:buildVersion}}", "description": "d"},
			"launchTemplateConfigurations": list{object{"launchTemplateId": "lt-0fedcba9876543210", "accountId": "222233334444", "setDefaultVersion": true}, object{"launchTemplateId": "lt-0fedcba9876543211"},
				object{"launchTemplateId": "lt-0fedcba9876543212", "accountId": "123456789012"}}},
	}},
	"VM export": {"name": "exported-disks", "description": "raw disks in a bucket", "clientToken": "export-1", "distributions": list{
		object{"region": west, "amiDistributionConfiguration": object{"description": "exported too"},
			"s3ExportConfiguration": object{"roleName": "vmimport", "diskImageFormat": "RAW", "s3Bucket": "golden-disks"}},
	}},
}

// TestTheGuidesDistributionExamples sends them the way the guide does: as files
// for the CLI.
func TestTheGuidesDistributionExamples(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	send := func(t *testing.T, command string, input object) (harness.Object, string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "input.json")
		if err := os.WriteFile(file, []byte(encoded(input)), 0o600); err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := s.TryAWS("imagebuilder", command, "--region", west, "--output", "json", "--cli-input-json", "file://"+file)
		if code != 0 {
			return nil, stderr
		}
		out := harness.Object{}
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatal(err)
		}
		return out, ""
	}
	stored := func(t *testing.T, arn string) harness.Object {
		t.Helper()
		return s.AWS("imagebuilder", "get-distribution-configuration", "--region", west, "--distribution-configuration-arn", arn)
	}
	t.Run("examples", func(t *testing.T) {
		for name, input := range guide {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				made, failure := send(t, "create-distribution-configuration", input)
				if failure != "" {
					t.Fatal(failure)
				}
				got := stored(t, made.Str("distributionConfigurationArn"))
				for _, member := range []string{"name", "description", "distributions"} {
					if diff := cmp.Diff(generic(input[member]), got.At("distributionConfiguration", member)); diff != "" {
						t.Errorf("%s (-sent +stored):\n%s", member, diff)
					}
				}
			})
		}
	})
	t.Run("the update, as the model has it and as the guide has it", func(t *testing.T) {
		made, failure := send(t, "create-distribution-configuration", object{"name": "to-be-updated", "description": "before", "distributions": guide["VM export"]["distributions"]})
		if failure != "" {
			t.Fatal(failure)
		}
		arn := made.Str("distributionConfigurationArn")
		update := object{"distributionConfigurationArn": arn, "description": "after", "distributions": guide["accounts"]["distributions"]}
		if _, failure := send(t, "update-distribution-configuration", update); failure != "" {
			t.Fatal(failure)
		}
		if diff := cmp.Diff(generic(update["distributions"]), stored(t, arn).At("distributionConfiguration", "distributions")); diff != "" {
			t.Errorf("after the update (-sent +stored):\n%s", diff)
		}

		// The guide writes launchPermissions and tags, which the model does not
		// have: clients with a model refuse them, and the service ignores them.
		update["distributions"] = list{object{"region": "eu-west-2", "amiDistributionConfiguration": object{
			"name": "Golden {{imagebuilder:buildDate}}", "tags": object{"Owner": "platform team"}, "launchPermissions": object{"userIds": list{"222233334444"}}}}}
		if _, failure := send(t, "update-distribution-configuration", update); !strings.Contains(failure, "Unknown parameter in distributions[0].amiDistributionConfiguration") {
			t.Errorf("the CLI sent what its model does not have: %s", failure)
		}
		update["clientToken"] = "raw-update"
		if status, body := raw(t, s, http.MethodPut, "/UpdateDistributionConfiguration", update); status != http.StatusOK {
			t.Fatalf("a raw update gives %d: %s", status, body)
		}
		want := list{object{"region": "eu-west-2", "amiDistributionConfiguration": object{"name": "Golden {{imagebuilder:buildDate}}"}}}
		if diff := cmp.Diff(generic(want), stored(t, arn).At("distributionConfiguration", "distributions")); diff != "" {
			t.Errorf("after a raw update (-wanted +stored):\n%s", diff)
		}
	})
	t.Run("fast launch as the guide nests it", func(t *testing.T) {
		t.Parallel()
		input := object{"name": "nested", "clientToken": "nested", "distributions": list{object{"region": west, "amiDistributionConfiguration": object{"name": "Fast {{imagebuilder:buildDate}}",
			"fastLaunchConfigurations": list{object{"enabled": true, "launchTemplate": object{"launchTemplateID": "lt-0fedcba9876543210"}}}}}}}
		status, body := raw(t, s, http.MethodPut, "/CreateDistributionConfiguration", input)
		if status != http.StatusOK {
			t.Fatalf("%d: %s", status, body)
		}
		got := stored(t, "arn:aws:imagebuilder:us-west-2:123456789012:distribution-configuration/nested")
		want := list{object{"region": west, "amiDistributionConfiguration": object{"name": "Fast {{imagebuilder:buildDate}}"}}}
		if diff := cmp.Diff(generic(want), got.At("distributionConfiguration", "distributions")); diff != "" {
			t.Errorf("(-wanted +stored):\n%s", diff)
		}
	})
}

// raw sends a signed request that no client has looked at.
func raw(t *testing.T, s *harness.Server, method, path string, input object) (int, string) {
	t.Helper()
	key, err := datadir.Dir(s.Dir).Key()
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(encoded(input))
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, request, hex.EncodeToString(sum[:]), "imagebuilder", west, time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}
