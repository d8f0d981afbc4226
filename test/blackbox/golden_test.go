package blackbox

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// long is a limit for things that take as long as an emulated boot does.
const long = 8 * time.Minute

func example(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(harness.Repo(t), "examples", "golden-web", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestGoldenImage is the whole way: definitions by the stock AWS CLI, build,
// boot test, and AMIs in two regions that are what was asked for.
func TestGoldenImage(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	pipeline := s.Define(harness.Pipeline{
		Name: "golden-web", Components: []string{example(t, "web.yaml"), example(t, "web-test.yaml")},
		VolumeGiB: 3, Regions: []string{"us-east-1", "ap-northeast-1"},
	})
	image := s.StartPipeline(pipeline)
	got, seen := s.Wait(image, long, "AVAILABLE")

	order := "PENDING CREATING BUILDING TESTING DISTRIBUTING INTEGRATING AVAILABLE"
	at := 0
	for _, state := range seen {
		i := strings.Index(order[at:], state)
		if i < 0 {
			t.Fatalf("states %v are not in the order %s", seen, order)
		}
		at += i
	}
	for _, must := range []string{"BUILDING", "TESTING"} {
		if !strings.Contains(strings.Join(seen, " "), must) {
			t.Errorf("the state %s was never seen: %v", must, seen)
		}
	}
	if n := got.Len("image", "outputResources", "amis"); n != 2 {
		t.Fatalf("outputResources has %d AMIs, want 2", n)
	}
	for i := range 2 {
		region, id := got.Str("image", "outputResources", "amis", i, "region"), got.Str("image", "outputResources", "amis", i, "image")
		checkAMI(t, s, region, id)
	}
	checkSanitised(t, s, got.Str("image", "outputResources", "amis", 1, "image"))

	steps := s.AWS("imagebuilder", "list-workflow-executions", "--image-build-version-arn", image)
	if n := steps.Len("workflowExecutions"); n < 2 {
		t.Errorf("%d workflow executions, want those of build and test at least", n)
	}
	packages := s.AWS("imagebuilder", "list-image-packages", "--image-build-version-arn", image)
	if packages.Len("imagePackageList") == 0 {
		t.Errorf("no packages were recorded")
	}
	logs, _, code := s.Run("", "logs", "--boot", image)
	if code != 0 || !strings.Contains(logs, "login:") {
		t.Errorf("the boot log has no login prompt (exit status %d); its end: %.2000s", code, logs[max(0, len(logs)-2000):])
	}
}

// checkAMI looks at an AMI as DescribeImages shows it.
func checkAMI(t *testing.T, s *harness.Server, region, id string) {
	t.Helper()
	ami := s.AWS("ec2", "describe-images", "--region", region, "--image-ids", id)
	for _, tc := range []struct {
		path []any
		want string
	}{
		{[]any{"Images", 0, "ImageId"}, id},
		{[]any{"Images", 0, "OwnerId"}, "123456789012"},
		{[]any{"Images", 0, "Architecture"}, "x86_64"},
		{[]any{"Images", 0, "State"}, "available"},
		{[]any{"Images", 0, "Public"}, "false"},
		{[]any{"Images", 0, "RootDeviceType"}, "ebs"},
		{[]any{"Images", 0, "RootDeviceName"}, "/dev/xvda"},
		{[]any{"Images", 0, "BlockDeviceMappings", 0, "DeviceName"}, "/dev/xvda"},
		{[]any{"Images", 0, "BlockDeviceMappings", 0, "Ebs", "VolumeSize"}, "3"},
		{[]any{"Images", 0, "BlockDeviceMappings", 0, "Ebs", "VolumeType"}, "gp3"},
	} {
		if got := ami.Str(tc.path...); got != tc.want {
			t.Errorf("%s in %s: %v is %q, want %q", id, region, tc.path, got, tc.want)
		}
	}
	if name := ami.Str("Images", 0, "Name"); !strings.HasPrefix(name, "golden-web 20") {
		t.Errorf("%s in %s: the name %q does not hold the build date", id, region, name)
	}
	tags := map[string]string{}
	for i := range ami.Len("Images", 0, "Tags") {
		tags[ami.Str("Images", 0, "Tags", i, "Key")] = ami.Str("Images", 0, "Tags", i, "Value")
	}
	if tags["Role"] != "golden-web" || tags["CreatedBy"] != "EC2 Image Builder" || !strings.Contains(tags["Ec2ImageBuilderArn"], ":image/golden-web/1.0.0/1") {
		t.Errorf("%s in %s has tags %v", id, region, tags)
	}
	snapshot := s.AWS("ec2", "describe-snapshots", "--region", region, "--snapshot-ids", ami.Str("Images", 0, "BlockDeviceMappings", 0, "Ebs", "SnapshotId"))
	if got := snapshot.Str("Snapshots", 0, "State"); got != "completed" {
		t.Errorf("the snapshot of %s is %q", id, got)
	}
}

// checkSanitised takes the published disk apart without running it.
func checkSanitised(t *testing.T, s *harness.Server, ami string) {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "disk.raw")
	if _, stderr, code := s.Run("", "image", "get", ami, "--format", "raw", "-o", disk); code != 0 {
		t.Fatalf("goldsmith image get: %s", stderr)
	}
	table, err := exec.Command("sfdisk", "-J", disk).Output()
	if err != nil || !bytes.Contains(table, []byte(`"label": "gpt"`)) {
		t.Fatalf("the published disk has no partition table: %v %s", err, table)
	}
	list := func(dir string) string { return debugfs(t, disk, "ls -p "+dir) }
	if ssh := list("/etc/ssh"); strings.Contains(ssh, "ssh_host_") || !strings.Contains(ssh, "sshd_config") {
		t.Errorf("/etc/ssh of the image: %s", ssh)
	}
	if id := debugfs(t, disk, "cat /etc/machine-id"); strings.TrimSpace(id) != "" {
		t.Errorf("the image has the machine id %q", id)
	}
	if page := debugfs(t, disk, "cat /var/www/html/index.html"); !strings.Contains(page, "golden image") {
		t.Errorf("the page in the image: %q", page)
	}
	if debs := list("/var/cache/apt/archives"); strings.Contains(debs, ".deb") {
		t.Errorf("the image holds downloaded packages: %s", debs)
	}
	for _, dir := range []string{"/", "/root", "/tmp", "/var/tmp", "/var/lib", "/etc/systemd/system", "/run"} {
		if text := list(dir); strings.Contains(text, "goldsmith") || strings.Contains(text, "TOE_") {
			t.Errorf("something of the build was left in %s of the image: %s", dir, text)
		}
	}
}

// debugfs reads the largest partition of a disk.
func debugfs(t *testing.T, disk, request string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `sfdisk -l -o Start,Sectors "$1" | awk '/^ *[0-9]/ && $2 > max { max = $2; start = $1 } END { print start }'`, "sh", disk).Output()
	if err != nil {
		t.Fatal(err)
	}
	start := strings.TrimSpace(string(out))
	img := disk + ".root"
	if _, err := os.Stat(img); err != nil {
		if out, err := exec.Command("dd", "if="+disk, "of="+img, "bs=1M", "conv=sparse", "iflag=skip_bytes", "skip="+start+"b", "status=none").CombinedOutput(); err != nil {
			t.Fatalf("dd: %v %s", err, out)
		}
	}
	text, err := exec.Command("debugfs", "-R", request, img).Output()
	if err != nil {
		t.Fatalf("debugfs %s: %v", request, err)
	}
	return string(text)
}

// TestFailures are images that must not come to be.
func TestFailures(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	good := harness.Document("good", "build", "echo built > /opt/built")
	for name, tc := range map[string]struct {
		components []string
		status     string
		step       string
		want       failure
		reason     string
	}{
		"build": {
			components: []string{harness.Document("bad", "build", "echo out\necho this went wrong >&2\nexit 3", "test", "true")},
			status:     "BUILDING", step: "ApplyBuildComponents", want: failure{"build", "buildStep", "exit status 3"}, reason: "this went wrong",
		},
		"validate": {
			components: []string{harness.Document("bad", "build", "true", "validate", "echo not valid >&2\nfalse")},
			status:     "BUILDING", step: "ApplyBuildComponents", want: failure{"validate", "validateStep", "exit status 1"}, reason: "not valid",
		},
		"test": {
			components: []string{good, harness.Document("bad", "test", "test -e /opt/built || exit 9\necho the boot test failed >&2\nexit 4")},
			status:     "TESTING", step: "ApplyTestComponents", want: failure{"test", "testStep", "exit status 4"}, reason: "the boot test failed",
		},
		"full": {
			components: []string{harness.Document("bad", "build", "cat /dev/zero > /var/fill 2>/dev/null\nexit 1")},
			status:     "BUILDING", step: "ApplyBuildComponents", want: failure{"build", "buildStep", "exit status 1"}, reason: "no space left",
		},
	} {
		t.Run(name, func(t *testing.T) {
			image := s.StartPipeline(s.Define(harness.Pipeline{Name: "fails-" + name, Components: tc.components, Regions: []string{"us-east-1", "eu-west-1"}}))
			s.Wait(image, long, "FAILED")
			got := s.Boto("imagebuilder", "get_image", map[string]any{"imageBuildVersionArn": image})
			context := harness.Object(got.At("image", "state").(map[string]any))
			if reason := context.Str("reason"); !strings.Contains(strings.ToLower(reason), tc.reason) || !strings.Contains(reason, "component/fails-"+name) {
				t.Errorf("the reason is %q; it must name the component and say %q", reason, tc.reason)
			}
			component := failure{context.Str("failureContext", "componentFailure", "phaseName"), context.Str("failureContext", "componentFailure", "stepName"), context.Str("failureContext", "componentFailure", "errorMessage")}
			message := component.Message
			if component.Message, _, _ = strings.Cut(message, ". Stderr: "); tc.reason != "no space left" && !strings.Contains(message, tc.reason) {
				t.Errorf("errorMessage is %q, which does not say %q", message, tc.reason)
			}
			component.Message, _, _ = strings.Cut(component.Message, " (no space left")
			if diff := cmp.Diff(tc.want, component); diff != "" {
				t.Errorf("componentFailure (-want +got):\n%s", diff)
			}
			if got := context.Str("failureContext", "imageStatus"); got != tc.status {
				t.Errorf("imageStatus is %q, want %q", got, tc.status)
			}
			if got := context.Str("failureContext", "failedStep"); got != tc.step {
				t.Errorf("failedStep is %q, want %q", got, tc.step)
			}
			if n := got.Len("image", "outputResources", "amis"); n != 0 {
				t.Errorf("a failed image has %d AMIs", n)
			}
			for _, region := range []string{"us-east-1", "eu-west-1"} {
				if n := s.AMIs(region).Len("Images"); n != 0 {
					t.Errorf("%d AMIs are in %s", n, region)
				}
				// The AMI of an image that failed its tests is disabled and kept for RetryImage.
				disabled := s.AWS("ec2", "describe-images", "--owners", "self", "--include-disabled", "--region", region).Len("Images")
				if n := s.AWS("ec2", "describe-snapshots", "--owner-ids", "self", "--region", region).Len("Snapshots"); n != disabled || n > 1 {
					t.Errorf("%d snapshots and %d disabled AMIs are in %s", n, disabled, region)
				}
			}
			if left := leftovers(t, s.Dir); left != "" {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

// failure is what componentFailure says.
type failure struct{ Phase, Step, Message string }

// leftovers names mounts, loop devices, processes and instance folders that
// belong to a data folder and should be gone.
func leftovers(t *testing.T, dir string) string {
	t.Helper()
	var left []string
	deadline := time.Now().Add(20 * time.Second)
	for {
		left = left[:0]
		if mounts, err := os.ReadFile("/proc/mounts"); err == nil && bytes.Contains(mounts, []byte(dir)) {
			left = append(left, "a mount")
		}
		files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
		for _, f := range files {
			if data, _ := os.ReadFile(f); bytes.Contains(data, []byte(dir)) {
				left = append(left, "the loop device of "+f)
			}
		}
		for _, p := range processes(t, dir) {
			left = append(left, "the process "+p)
		}
		if entries, _ := os.ReadDir(filepath.Join(dir, "instances")); len(entries) > 0 {
			left = append(left, "an instance's folder")
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, ", ")
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// processes gives the command lines that name an instance of a data folder.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("the processes of this machine cannot be seen: %v", err)
	}
	var found []string
	for _, f := range files {
		data, _ := os.ReadFile(f) // it may have ended meanwhile
		if bytes.Contains(data, []byte(dir+"/instances")) {
			found = append(found, string(bytes.ReplaceAll(data, []byte{0}, []byte{' '})))
		}
	}
	return found
}
