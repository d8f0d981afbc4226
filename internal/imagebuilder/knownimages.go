package imagebuilder

import (
	"cmp"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
)

// knownImage is an image of the account "aws" that recipes name.
type knownImage struct {
	name, title, osVersion, architecture string
	platform                             api.Platform
	kind                                 api.ImageType
}

// known are Amazon's images, whether their disk is here or not, so that recipes
// which name them are accepted as Amazon's service accepts them. A build on one
// whose disk is missing fails before it starts, and says what to do.
var known = knownImages()

func knownImages() []knownImage {
	const x86, arm = "x86_64", "arm64"
	all := []knownImage{
		{name: "debian-12-x86", title: "Debian 12 x86", osVersion: "Debian 12", architecture: x86},
		{name: "amazon-linux-x86-2", title: "Amazon Linux x86 2", osVersion: "Amazon Linux 2", architecture: x86, kind: api.ImageTypeDocker},
		{name: "amazon-linux-x86-latest", title: "Amazon Linux x86 Latest", osVersion: "Amazon Linux 2", architecture: x86, kind: api.ImageTypeDocker},
		{name: "amazon-linux-2023-x86-2023", title: "Amazon Linux 2023 x86 2023", osVersion: "Amazon Linux 2023", architecture: x86, kind: api.ImageTypeDocker},
		{name: "ubuntu-22-x86-22-04", title: "Ubuntu 22 x86 22.04", osVersion: "Ubuntu 22.04", architecture: x86, kind: api.ImageTypeDocker},
		{name: "ubuntu-24-x86-24-04", title: "Ubuntu 24 x86 24.04", osVersion: "Ubuntu 24.04", architecture: x86, kind: api.ImageTypeDocker},
	}
	for _, os := range []struct {
		name, title, version string
		platform             api.Platform
	}{
		{"amazon-linux-2", "Amazon Linux 2", "Amazon Linux 2", api.PlatformLinux},
		{"amazon-linux-2023", "Amazon Linux 2023", "Amazon Linux 2023", api.PlatformLinux},
		{"red-hat-enterprise-linux-10", "Red Hat Enterprise Linux 10", "Red Hat Enterprise Linux 10", api.PlatformLinux},
		{"suse-linux-enterprise-server-15", "SUSE Linux Enterprise Server 15", "SUSE Linux Enterprise Server 15", api.PlatformLinux},
		{"ubuntu-server-22-lts", "Ubuntu Server 22 LTS", "Ubuntu 22.04", api.PlatformLinux},
		{"ubuntu-server-24-lts", "Ubuntu Server 24 LTS", "Ubuntu 24.04", api.PlatformLinux},
		{"macos-sonoma", "macOS Sonoma", "macOS 14", api.PlatformMacOS},
		{"macos-sequoia", "macOS Sequoia", "macOS 15", api.PlatformMacOS},
	} {
		all = append(all,
			knownImage{os.name + "-x86", os.title + " x86", os.version, x86, os.platform, api.ImageTypeAmi},
			knownImage{os.name + "-arm64", os.title + " arm64", os.version, arm, os.platform, api.ImageTypeAmi})
	}
	for _, year := range []string{"2016", "2019", "2022", "2025"} {
		all = append(all,
			knownImage{"windows-server-" + year + "-english-core-base-x86", "Windows Server " + year + " English Core Base x86", "Microsoft Windows Server " + year, x86, api.PlatformWindows, api.ImageTypeAmi},
			knownImage{"windows-server-" + year + "-english-full-base-x86", "Windows Server " + year + " English Full Base x86", "Microsoft Windows Server " + year, x86, api.PlatformWindows, api.ImageTypeAmi})
	}
	for _, year := range []string{"2016", "2019"} {
		all = append(all, knownImage{
			"windows-server-" + year + "-x86-core-ltsc" + year + "-amd64", "Windows Server " + year + " x86 Core LTSC " + year, "Microsoft Windows Server " + year, x86, api.PlatformWindows, api.ImageTypeDocker,
		})
	}
	for i := range all {
		all[i].platform = cmp.Or(all[i].platform, api.PlatformLinux)
		all[i].kind = cmp.Or(all[i].kind, api.ImageTypeAmi)
	}
	return all
}
