package aws

import (
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestTheVolumeOfADevice holds that a device is found by its name, and an only one without.
func TestTheVolumeOfADevice(t *testing.T) {
	t.Parallel()
	volume := func(device string) types.BlockDeviceMapping {
		return types.BlockDeviceMapping{DeviceName: &device, Ebs: &types.EbsBlockDevice{SnapshotId: sdk.String("snap-" + device)}}
	}
	one, two := []types.BlockDeviceMapping{volume("a"), {DeviceName: sdk.String("b")}}, []types.BlockDeviceMapping{volume("a"), volume("c")}
	for name, test := range map[string]struct {
		all    []types.BlockDeviceMapping
		device string
		only   bool
		want   string
	}{
		"by its name":               {two, "c", false, "snap-c"},
		"the only one":              {one, "x", true, "snap-a"},
		"an only one of two":        {two, "x", true, ""},
		"one of several that went":  {one, "x", false, ""},
		"a device without a volume": {one, "b", false, ""},
	} {
		got := ""
		if e := volumeOf(test.all, test.device, test.only); e != nil {
			got = *e.SnapshotId
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
