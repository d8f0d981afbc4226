package cloud_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Tags of AMIs and snapshots are known to their owner's requests only.
func TestResource(t *testing.T) {
	t.Parallel()
	f := open(t)
	a := f.register(image("web"))
	ami, snapshot := "arn:aws:ec2:us-east-1::image/"+a.ID, "arn:aws:ec2:us-east-1::snapshot/"+a.Devices[0].SnapshotID
	for name, c := range map[string]struct {
		account, arn string
		ok           bool
		tags         map[string]string
	}{
		"AMI":             {alice, ami, true, map[string]string{"env": "test"}},
		"snapshot":        {alice, snapshot, true, nil},
		"another's":       {bob, ami, false, nil},
		"another region":  {alice, "arn:aws:ec2:ap-northeast-1::image/" + a.ID, false, nil},
		"nothing":         {alice, "arn:aws:ec2:us-east-1::image/ami-none", false, nil},
		"another kind":    {alice, "arn:aws:ec2:us-east-1:111111111111:instance/" + a.ID, false, nil},
		"not even an ARN": {alice, a.ID, false, nil},
	} {
		got, ok, err := f.world.Resource(as(t, c.account, home), c.arn)
		if err != nil || ok != c.ok {
			t.Errorf("%s: %v, %v; want %v", name, ok, err, c.ok)
		}
		if ok && c.tags != nil {
			if diff := cmp.Diff(c.tags, got.Tags); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}
