package aws

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud/aws/awstest"
	"github.com/goldsmith-build/goldsmith/test/harness"
)

func TestMain(m *testing.M) {
	awstest.Credentials()
	os.Exit(m.Run())
}

const (
	long     = 8 * time.Minute
	role     = "arn:aws:iam::123456789012:role/distribution"
	theirKey = "AKIATHEIRS0000000000"
)

// serve starts a server with an account of AWS, and gives an AMI with a real disk.
func serve(t *testing.T, at *awstest.Cloud) (s *harness.Server, ami string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf(`
accounts:
  - id: "123456789012"
  - id: "%s"
    provider: aws
    aws: {endpoint: %q}
    keys: [{accessKeyId: %s, secretAccessKey: not-a-secret-for-tests-only}]
`, awstest.Account, at.URL, theirKey)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s = harness.StartWithParent(t, "--config", config)
	parent := s.AWS("ec2", "describe-images", "--owners", "amazon").Str("Images", 0, "ImageId")
	return s, s.AWS("ec2", "copy-image", "--source-image-id", parent, "--source-region", "us-east-1", "--name", "parent").Str("ImageId")
}

// distribute starts the distribution of an AMI to both accounts in two regions.
func distribute(s *harness.Server, name, ami string) (image string) {
	one := fmt.Sprintf(`"amiDistributionConfiguration": {"name": "%s {{ imagebuilder:buildDate }}", "targetAccountIds": ["%s"], "amiTags": {"Role": "%s"}, "launchPermission": {"userIds": ["444455556666"]}}`, name, awstest.Account, name)
	distribution := s.AWS("imagebuilder", "create-distribution-configuration", "--name", name, "--distributions", `[{"region": "us-east-1", `+one+`}, {"region": "eu-west-1", `+one+`}]`).Str("distributionConfigurationArn")
	return s.AWS("imagebuilder", "distribute-image", "--source-image", ami, "--distribution-configuration-arn", distribution, "--execution-role", role).Str("imageBuildVersionArn")
}

// theirs calls EC2 as the account of AWS.
func theirs(t *testing.T, s *harness.Server, args ...string) {
	t.Helper()
	cmd := exec.Command(harness.Client(t, "aws"), append([]string{"--endpoint-url", s.URL, "--region", "us-east-1", "ec2"}, args...)...)
	cmd.Env = append(s.Env(), "AWS_ACCESS_KEY_ID="+theirKey, "AWS_SECRET_ACCESS_KEY=not-a-secret-for-tests-only", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// TestAKilledDistributionGoesOn kills the server while it uploads a disk: the
// next one goes on, and AWS ends with one snapshot that is the disk.
func TestAKilledDistributionGoesOn(t *testing.T) {
	t.Parallel()
	at := awstest.Start(t)
	var once sync.Once
	uploading := make(chan struct{})
	puts := 0
	at.Fault = func(operation, _ string) string {
		if operation == "PutSnapshotBlock" {
			if puts++; puts == 300 {
				once.Do(func() { close(uploading) })
			}
		}
		return ""
	}
	s, ami := serve(t, at)
	image := distribute(s, "killed", ami)
	select {
	case <-uploading:
	case <-time.After(long):
		t.Fatal("nothing is uploaded")
	}
	s.Kill()
	s.Restart()
	got, _ := s.Wait(image, long, "AVAILABLE")
	if n := got.Len("image", "outputResources", "amis"); n != 4 {
		t.Fatalf("%d AMIs in the outputs, want 4", n)
	}
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if _, stderr, code := s.Run("", "image", "get", ami, "--format", "raw", "-o", disk); code != 0 {
		t.Fatalf("image get: %s", stderr)
	}
	for i := range 4 {
		if got.Str("image", "outputResources", "amis", i, "accountId") != awstest.Account {
			continue
		}
		id, region := got.Str("image", "outputResources", "amis", i, "image"), got.Str("image", "outputResources", "amis", i, "region")
		made := at.Images[id]
		if made == nil || made.Region != region || made.Tags["Role"] != "killed" || len(made.Permissions) != 1 {
			t.Fatalf("AWS's %s in %s is %+v", id, region, made)
		}
		compare(t, disk, at.Snapshots[made.Devices[0].Snapshot])
	}
	if len(at.Snapshots) != 2 || len(at.Images) != 2 {
		t.Errorf("AWS has %d snapshots and %d AMIs, want one of each in two regions", len(at.Snapshots), len(at.Images))
	}
}

// compare compares a disk with a snapshot at AWS.
func compare(t *testing.T, disk string, s *awstest.Snapshot) {
	t.Helper()
	file, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	have, zero := s.Disk(), make([]byte, awstest.BlockSize)
	for i := 0; ; i++ {
		block := make([]byte, awstest.BlockSize)
		n, err := io.ReadFull(file, block)
		if n == 0 {
			break
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			t.Fatal(err)
		}
		want := zero
		if b, ok := have[i]; ok {
			want = b
		}
		if !bytes.Equal(block, want) {
			t.Fatalf("block %d of %s is not that of the disk", i, s.ID)
		}
		delete(have, i)
	}
	if len(have) != 0 {
		t.Errorf("%s has %d blocks behind the disk's end", s.ID, len(have))
	}
}

// TestARefusedRegionIsNamedAndRetried has AWS refuse one region.
func TestARefusedRegionIsNamedAndRetried(t *testing.T) {
	t.Parallel()
	at := awstest.Start(t)
	var refuse sync.Map
	refuse.Store("CopyImage", true)
	at.Fault = func(operation, _ string) string {
		if _, ok := refuse.Load(operation); ok {
			return "UnauthorizedOperation"
		}
		return ""
	}
	s, ami := serve(t, at)
	image := distribute(s, "refused", ami)
	got, _ := s.Wait(image, long, "FAILED")
	reason := got.Str("image", "state", "reason")
	if !strings.Contains(reason, "UnauthorizedOperation") || !strings.Contains(reason, "copying") {
		t.Errorf("the reason is %q", reason)
	}
	if n := got.Len("image", "outputResources", "amis"); n != 3 {
		t.Errorf("%d AMIs in the outputs of the failed image, want 3", n)
	}
	python := exec.Command(harness.Client(t, "python"), "-c", "import boto3,json,sys; print(json.dumps(boto3.client('imagebuilder', endpoint_url=sys.argv[1]).get_image(imageBuildVersionArn=sys.argv[2])['image']['state']['failureContext']['distributionFailure']['regionFailures']))", s.URL, image)
	python.Env = s.Env()
	out, err := python.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"imageConfigurationStep": "COPY_AMI"`) || !strings.Contains(string(out), awstest.Account) {
		t.Errorf("the failures of regions: %s, %v", out, err)
	}
	refuse.Delete("CopyImage")
	s.AWS("imagebuilder", "retry-image", "--image-build-version-arn", image)
	got, _ = s.Wait(image, long, "AVAILABLE")
	if len(at.Images) != 2 {
		t.Errorf("AWS has %d AMIs after the retry, want 2", len(at.Images))
	}
	// Its end here is its end there.
	for i := range got.Len("image", "outputResources", "amis") {
		id := got.Str("image", "outputResources", "amis", i, "image")
		if made := at.Images[id]; made != nil && made.Region == "us-east-1" {
			theirs(t, s, "deregister-image", "--image-id", id, "--delete-associated-snapshots")
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
				left := 0
				at.Locked(func() {
					for _, i := range at.Images {
						if i.Region == "us-east-1" {
							left++
						}
					}
					for _, s := range at.Snapshots {
						if s.Region == "us-east-1" {
							left++
						}
					}
				})
				if left == 0 {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("AWS still has %d of the AMI and its snapshot", left)
				}
			}
		}
	}
	t.Error("no AMI of us-east-1 is among the outputs")
}
