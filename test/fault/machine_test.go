package fault

import (
	"syscall"
	"testing"
	"time"
)

// TestMachines does the same to images of Debian whose tests boot in QEMU: the
// machine is killed, its server is killed and stopped, and the image is cancelled,
// while it boots and while its tests run.
func TestMachines(t *testing.T) {
	t.Parallel()
	if !*full {
		t.Skip("a part of make fault")
	}
	s := newSite(t, setting{debian: true})
	testing := "in TEST ApplyTestComponents at work"
	kill := func(place string) func(string, int) {
		return func(string, int) {
			s.points.release()
			time.Sleep(time.Second)
			for _, c := range s.server.descendants() {
				if c.role() == "qemu-system-x86_64" {
					_ = syscall.Kill(c.pid, syscall.SIGKILL)
					s.exact = place
				}
			}
			if s.exact == "" {
				t.Errorf("%s: there is no QEMU", place)
			}
		}
	}
	s.inject("VM: QEMU killed", "good", "vm started", either, kill("while it boots"))
	s.inject("VM: QEMU killed", "good", testing, either, kill("while its tests run"))
	s.inject("VM: cancelled", "good", "vm started", cancelled, s.cancels("VM: while it boots", 5*time.Second))
	s.inject("VM: cancelled", "deaftest", testing, cancelled, s.cancels("VM: a component that ignores signals", 2*time.Second))
	s.inject("VM: server killed", "good", "vm started", available, func(string, int) {
		s.points.release()
		time.Sleep(5 * time.Second)
		s.server.kill()
		s.server.start()
	})
	s.inject("VM: SIGTERM", "good", "vm started", available, func(string, int) {
		s.server.stop(s.points.release)
		s.server.start()
	})
	s.finish()
}
