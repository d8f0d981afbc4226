package sandbox

import "strings"

// Settings of services, for the time that a sandbox without the right to mount
// runs. They are shown to its systemd in /run, so none gets into the image.

// serviceSettings are those files, by their names below /run/systemd/system.
var serviceSettings = map[string]string{
	"service.d/10-goldsmith.conf":                   everyService,
	"systemd-hostnamed.service.d/10-goldsmith.conf": hostNames,
}

// everyService are settings of all services. One with users of its own
// (PrivateUsers=, as Redis has) gets its mounts although the sandbox may not
// mount; but the pipe that nspawn puts over /proc/kmsg is deleted, and no
// kernel mounts over what is deleted. There is no kernel's log to protect.
const everyService = `# Written by Goldsmith for the time the instance runs.
[Service]
ProtectKernelLogs=no
`

// hostNames lets hostnamectl change /etc/hostname. Its service also sets the
// kernel's name, which a sandbox may not, and calls that a failure; in a name
// space of its own it can. The name holds from the next reboot on.
const hostNames = `# Written by Goldsmith for the time the instance runs.
[Service]
RestrictNamespaces=no
CapabilityBoundingSet=CAP_SETFCAP CAP_SETUID CAP_SETGID CAP_DAC_OVERRIDE CAP_SYS_ADMIN
ExecStart=
ExecStart=/bin/sh -c 'for d in /usr/lib/systemd /lib/systemd; do h=$d/systemd-hostnamed; if test -x $h; then n="unshare --user --map-root-user --uts"; if $n true; then exec $n $h; else exec $h; fi; fi; done; exit 1'
`

// settingsFile is the name of one of them in the instance's folder.
func settingsFile(name string) string { return strings.ReplaceAll(name, "/", "-") }
