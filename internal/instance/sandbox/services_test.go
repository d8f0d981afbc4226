package sandbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/instance/instancetest"
)

// TestProtectedServices starts services with the protections that packages give
// theirs. What a sandbox cannot set up must be left out, not keep the service
// from starting: packages start their services when they are installed.
func TestProtectedServices(t *testing.T) {
	t.Parallel()
	h := instancetest.Harness{Kind: usable(t, false)}
	i := h.Launch(t, h.Spec(t))
	for name, properties := range map[string]string{
		"nothing":                      "",
		"a web server's, a database's": "PrivateTmp=yes ProtectSystem=full ProtectHome=yes PrivateDevices=yes NoNewPrivileges=yes",
		"Redis's, in Debian": "CapabilityBoundingSet= LockPersonality=yes MemoryDenyWriteExecute=yes NoNewPrivileges=yes PrivateDevices=yes PrivateTmp=yes " +
			"PrivateUsers=yes ProtectClock=yes ProtectControlGroups=yes ProtectHome=yes ProtectHostname=yes ProtectKernelLogs=yes ProtectKernelModules=yes " +
			"ProtectKernelTunables=yes ProtectProc=invisible ProtectSystem=strict RemoveIPC=yes RestrictNamespaces=yes RestrictRealtime=yes RestrictSUIDSGID=yes " +
			"StateDirectory=probe LogsDirectory=probe ReadWritePaths=-/var/lib ReadWritePaths=-/var/log UMask=007 User=nobody",
		"the network time's":           "PrivateTmp=yes ProtectSystem=strict ProcSubset=pid ProtectProc=invisible SystemCallFilter=@system-service AmbientCapabilities=CAP_NET_BIND_SERVICE RuntimeDirectory=probe",
		"a network of its own":         "PrivateNetwork=yes PrivateIPC=yes PrivateTmp=yes InaccessiblePaths=/root ReadOnlyPaths=/etc NoExecPaths=/mnt",
		"a credential":                 "LoadCredential=probe:/etc/hostname",
		"users of its own, and mounts": "PrivateUsers=yes DynamicUser=yes StateDirectory=dynamic BindPaths=/etc:/mnt TemporaryFileSystem=/srv",
	} {
		command := "systemd-run --quiet --wait --pipe"
		for _, p := range strings.Fields(properties) {
			command += " -p '" + p + "'"
		}
		if out, exit := shell(t, i, command+" /bin/true 2>&1"); exit != 0 {
			t.Errorf("a service with %s: %d, %s", name, exit, out)
		}
	}
	// A name that services can look up is the image's, as on a machine.
	if out, exit := shell(t, i, `test "$(hostname)" = "$(cat /etc/hostname)" && grep -qw "$(hostname)" /etc/hosts`); exit != 0 {
		t.Errorf("the guest's name is not its image's: %s", out)
	}
	if out, exit := shell(t, i, `hostnamectl set-hostname changed 2>&1 && cat /etc/hostname && hostnamectl --static`); exit != 0 || out != "changed\nchanged" {
		t.Errorf("hostnamectl: %d, %s", exit, out)
	}
	// What would run in other surroundings than it asks for does not start, and
	// the documentation says what to do.
	for _, p := range []string{"DynamicUser=yes", "BindPaths=/etc:/mnt"} {
		if _, exit := shell(t, i, fmt.Sprintf("systemd-run --quiet --wait -p %s /bin/true", p)); exit == 0 {
			t.Errorf("a service with %s starts; docs/security.md says that it does not", p)
		}
	}
	if out, _ := shell(t, i, "ls -d /etc/systemd/system/service.d /etc/systemd/system/systemd-hostnamed.service.d /usr/lib/systemd/system/service.d 2>/dev/null"); out != "" {
		t.Errorf("the image has settings of services now: %s", out)
	}
}
