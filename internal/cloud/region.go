package cloud

import (
	"slices"
	"strings"
)

// region is a region of AWS; optIn says that accounts have to enable it there.
type region struct {
	name  string
	optIn bool
}

// regions are those of the commercial partition (service endpoints of the
// General Reference, and botocore's partitions).
var regions = []region{
	{"af-south-1", true}, {"ap-east-1", true}, {"ap-east-2", true}, {"ap-northeast-1", false}, {"ap-northeast-2", false}, {"ap-northeast-3", false},
	{"ap-south-1", false}, {"ap-south-2", true}, {"ap-southeast-1", false}, {"ap-southeast-2", false}, {"ap-southeast-3", true}, {"ap-southeast-4", true},
	{"ap-southeast-5", true}, {"ap-southeast-6", true}, {"ap-southeast-7", true}, {"ca-central-1", false}, {"ca-west-1", true}, {"eu-central-1", false},
	{"eu-central-2", true}, {"eu-north-1", false}, {"eu-south-1", true}, {"eu-south-2", true}, {"eu-west-1", false}, {"eu-west-2", false}, {"eu-west-3", false},
	{"il-central-1", true}, {"me-central-1", true}, {"me-south-1", true}, {"me-west-1", true}, {"mx-central-1", true}, {"sa-east-1", false}, {"sa-west-1", true},
	{"us-east-1", false}, {"us-east-2", false}, {"us-west-1", false}, {"us-west-2", false},
}

// elsewhere are the regions of the other partitions.
var elsewhere = map[string][]string{
	"aws-cn":     {"cn-north-1", "cn-northwest-1"},
	"aws-us-gov": {"us-gov-east-1", "us-gov-west-1"},
	"aws-eusc":   {"eusc-de-east-1"},
}

// PartitionFor gives the partition that a region belongs to by its name, so that
// a region which is newer than this program has ARNs too.
func PartitionFor(name string) string {
	for prefix, partition := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov", "eusc-": "aws-eusc", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b", "eu-isoe-": "aws-iso-e", "us-isof-": "aws-iso-f"} {
		if strings.HasPrefix(name, prefix) {
			return partition
		}
	}
	return "aws"
}

// Partition gives the partition of a region, "aws" for most; ok is false for
// what is no region that this program knows.
func Partition(name string) (partition string, ok bool) {
	if slices.ContainsFunc(regions, func(r region) bool { return r.name == name }) {
		return "aws", true
	}
	for partition, names := range elsewhere {
		if slices.Contains(names, name) {
			return partition, true
		}
	}
	return "", false
}

// regionsOf gives the regions that a caller in a region sees: those of its
// partition.
func regionsOf(name string) []region {
	partition, _ := Partition(name)
	names, other := elsewhere[partition]
	if !other {
		return regions
	}
	var all []region
	for _, n := range names {
		all = append(all, region{name: n})
	}
	return all
}

// endpoint is the host name that EC2 shows for a region.
func (r region) endpoint() string {
	suffix := ".amazonaws.com"
	switch {
	case strings.HasPrefix(r.name, "cn-"):
		suffix = ".amazonaws.com.cn"
	case strings.HasPrefix(r.name, "eusc-"):
		suffix = ".amazonaws.eu"
	}
	return "ec2." + r.name + suffix
}

func (r region) optInStatus() string {
	if r.optIn {
		return "opted-in"
	}
	return "opt-in-not-required"
}
