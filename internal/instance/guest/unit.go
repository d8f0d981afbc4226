package guest

// Where a guest finds what the host brings. The folder is the instance's
// scratch folder; it is never part of the volume.
const (
	Folder   = "/run/goldsmith"
	Toe      = Folder + "/toe"
	UnitName = "goldsmith-agent.service"
)

// Unit is the systemd unit that runs the agent on the given channel.
//
// Commands run as children of the agent. So one that is killed for its use of
// memory must not take the agent with it (OOMPolicy, and the agent gives
// commands back the score that it is spared), their number is not the unit's to
// limit, and "systemctl isolate" in a component must not cut the channel.
func Unit(channel string) string {
	return `# Written by Goldsmith for the time the instance runs.
[Unit]
Description=Goldsmith guest agent
RequiresMountsFor=` + Folder + `
IgnoreOnIsolate=yes
RefuseManualStop=yes
StartLimitIntervalSec=0

[Service]
ExecStart=` + Toe + ` agent --channel ` + channel + `
Restart=always
RestartSec=100ms
OOMPolicy=continue
OOMScoreAdjust=-900
TasksMax=infinity
TimeoutStopSec=5s
StandardInput=null
StandardOutput=null
StandardError=journal+console
`
}
