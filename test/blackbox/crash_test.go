package blackbox

import (
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/test/harness"
)

// TestKill kills the server in the middle of a build, of a boot test and of
// both again: each time the next server goes on, and nothing is left behind.
func TestKill(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	slow := harness.Document("slow", "build", "echo building\nsleep 3\necho one >> /opt/builds", "test", "test \"$(cat /opt/builds)\" = one")
	image := s.StartPipeline(s.Define(harness.Pipeline{Name: "killed", Components: []string{slow}, Regions: []string{"us-east-1", "eu-west-1"}}))

	for _, step := range []string{"ApplyBuildComponents", "LaunchTestInstance"} {
		s.WaitStep(image, step, long)
		s.Kill()
		if left := strayProcesses(t, s.Dir); left != "" {
			t.Errorf("killed in %s: after the server's death there is still %s", step, left)
		}
		s.Restart()
	}
	got, _ := s.Wait(image, long, "AVAILABLE")
	if n := got.Len("image", "outputResources", "amis"); n != 2 {
		t.Errorf("%d AMIs in the outputs, want 2", n)
	}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		if n := s.AMIs(region).Len("Images"); n != 1 {
			t.Errorf("%d AMIs in %s, want exactly one", n, region)
		}
	}
	if left := leftovers(t, s.Dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// strayProcesses waits a moment for a dead server's children to go, and names
// those that stay.
func strayProcesses(t *testing.T, dir string) string {
	t.Helper()
	for range 50 {
		stray := processes(t, dir)
		if len(stray) == 0 {
			return ""
		}
		time.Sleep(100 * time.Millisecond)
	}
	return strings.Join(processes(t, dir), ", ")
}

// TestStop stops the server with SIGTERM during a build: it ends well, and the
// next one brings the image to its end.
func TestStop(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	slow := harness.Document("slow", "build", "sleep 3\necho one >> /opt/builds", "validate", "test \"$(cat /opt/builds)\" = one")
	image := s.StartPipeline(s.Define(harness.Pipeline{Name: "stopped", Components: []string{slow}, NoTests: true}))
	s.WaitStep(image, "ApplyBuildComponents", long)
	s.Stop()
	if left := strayProcesses(t, s.Dir); left != "" {
		t.Errorf("after SIGTERM there is still %s", left)
	}
	s.Restart()
	s.Wait(image, long, "AVAILABLE")
}

// TestCancel cancels a build in the middle.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	slow := harness.Document("slow", "build", "sleep 600")
	image := s.StartPipeline(s.Define(harness.Pipeline{Name: "cancelled", Components: []string{slow}}))
	s.WaitStep(image, "ApplyBuildComponents", long)
	s.AWS("imagebuilder", "cancel-image-creation", "--image-build-version-arn", image)
	s.Wait(image, time.Minute, "CANCELLED")
	if left := leftovers(t, s.Dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// TestKeep keeps the instance of a failed build and enters it, from the same
// server and after a restart.
func TestKeep(t *testing.T) {
	t.Parallel()
	s := harness.StartWithParent(t)
	bad := harness.Document("bad", "build", "echo here I am > /opt/trace\nexit 1")
	image := s.StartPipeline(s.Define(harness.Pipeline{Name: "kept", Components: []string{bad}, Keep: true}))
	got, _ := s.Wait(image, long, "FAILED")
	if reason := got.Str("image", "state", "reason"); !strings.Contains(reason, "goldsmith shell "+image) {
		t.Errorf("the reason does not say how to enter the instance: %q", reason)
	}
	for _, when := range []string{"while the server runs", "after a restart"} {
		stdout, stderr, code := s.Run("cat /opt/trace; exit 7\n", "shell", image)
		if code != 7 || !strings.Contains(stdout, "here I am") {
			t.Errorf("%s: goldsmith shell: exit status %d, stdout %q, stderr %q", when, code, stdout, stderr)
		}
		s.Stop()
		s.Restart()
	}
	s.AWS("imagebuilder", "delete-image", "--image-build-version-arn", image)
	s.Stop()
	s.Restart()
	if left := leftovers(t, s.Dir); left != "" {
		t.Errorf("after the image was deleted: left behind: %s", left)
	}
}

// TestOneServerPerFolder refuses a second server on a data folder.
func TestOneServerPerFolder(t *testing.T) {
	t.Parallel()
	s := harness.Start(t)
	_, stderr, code := s.Run("", "serve", "--listen", "127.0.0.1:0")
	if code != 1 || !strings.Contains(stderr, "another server is using this data folder") {
		t.Errorf("exit status %d, stderr %q", code, stderr)
	}
	s.AWS("imagebuilder", "list-components")
}
