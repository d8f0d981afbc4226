package imagebuilder

import (
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Amazon's components that recipes name and whose documents this server does not
// have. A recipe may use them, as on Amazon's service; a build with one fails
// before it starts, and says so.
const (
	knownBuildComponents = `
		amazon-cloudwatch-agent-linux amazon-cloudwatch-agent-windows amazon-kinesis-agent-windows anaconda-windows apache-tomcat-9-linux
		amazon-corretto-8-apt-generic amazon-corretto-8-jdk amazon-corretto-8-jre amazon-corretto-8-rpm-generic amazon-corretto-8-windows
		amazon-corretto-11 amazon-corretto-11-apt-generic amazon-corretto-11-headless amazon-corretto-11-rpm-generic amazon-corretto-11-windows
		amazon-corretto-17-headless amazon-corretto-17-jdk amazon-corretto-17-jre amazon-corretto-17-windows
		amazon-corretto-21-headless amazon-corretto-21-jdk amazon-corretto-21-jre amazon-corretto-21-windows
		aws-cli-version-2-windows aws-codedeploy-agent-linux aws-codedeploy-agent-windows aws-vss-components-windows chocolatey dcv-server-linux dcv-server-windows
		distributor-package-windows docker-ce-centos docker-ce-linux docker-ce-ubuntu dotnet-desktop-runtime-lts-windows dotnet-hosting-bundle-lts-windows
		dotnet-runtime-lts-linux dotnet-runtime-lts-windows dotnet-sdk-lts-linux dotnet-sdk-lts-windows ec2launch-v2-windows ecs-optimized-ami-windows eks-optimized-ami-windows
		go-stable-linux go-stable-windows hello-world-windows install-package-from-repository mate-de-linux mono-linux php-8_2-linux powershell-lts-linux powershell-lts-windows
		powershell-snap powershell-yum putty python-3-windows reboot-windows scap-compliance-checker-linux scap-compliance-checker-windows
		stig-build-linux stig-build-linux-high stig-build-linux-low stig-build-linux-medium stig-build-windows-high stig-build-windows-low stig-build-windows-medium
		update-linux-kernel-5 update-linux-kernel-ml update-windows windows-server-iis`
	knownTestComponents = `
		chrony-time-configuration-test ebs-volume-usage-test-linux ebs-volume-usage-test-windows ec2-network-route-test-windows eni-attachment-test-linux eni-attachment-test-windows
		inspector-test-linux inspector-test-windows reboot-test-windows simple-boot-test-windows validate-single-ssh-public-key-test-linux validate-ssh-host-key-generation-linux
		validate-ssh-public-key-linux windows-activation-test windows-is-ready-with-password-generation-test`
)

// knownComponents are these by name.
var knownComponents = func() map[string]api.ComponentType {
	all := make(map[string]api.ComponentType)
	for _, name := range strings.Fields(knownBuildComponents) {
		all[name] = api.ComponentTypeBuild
	}
	for _, name := range strings.Fields(knownTestComponents) {
		all[name] = api.ComponentTypeTest
	}
	return all
}()

// ofWindows are those whose names do not say it.
var ofWindows = map[string]bool{"chocolatey": true, "putty": true, "windows-activation-test": true, "windows-is-ready-with-password-generation-test": true}

// describeKnown gives a component without a document as it is in a region.
func describeKnown(name string, kind api.ComponentType, region string) entry[api.Component] {
	a := newARN(store.Key{Kind: component, Account: amazon, Region: region, Name: name}, buildForm, managedVersion)
	platform := api.PlatformLinux
	if strings.Contains(name, "windows") || ofWindows[name] {
		platform = api.PlatformWindows
	}
	return entry[api.Component]{store.Resource{Key: a.Key, Version: a.version, ARN: a.String()}, &api.Component{
		Arn: ptr(a.String()), Name: ptr(name), Version: ptr(versionText(managedVersion)), Type: &kind, Platform: &platform, Owner: ptr("Amazon"), Encrypted: ptr(true), DateCreated: date(managedSince),
		State: &api.ComponentState{Status: ptr(api.ComponentStatusActive), Reason: ptr("This server knows the name of the component and has no document for it. A build that uses it fails before it starts.")},
	}}
}

// hasDocument reports whether a component can be run.
func hasDocument(c *api.Component) bool { return c.Data != nil }

// withoutDocument refuses a build with a component that is only known.
func withoutDocument(at arn) error {
	return fault.New(api.CodeClient, "The component '%s' is Amazon's, and this server has no document for it. Write a component of your own that does the same, and use it in the recipe.", at)
}
