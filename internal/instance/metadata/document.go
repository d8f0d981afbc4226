package metadata

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Document is what an instance is told of itself. Empty members have no path.
type Document struct {
	Account        string
	Region         string
	Zone           string // "us-east-1a"
	InstanceID     string
	ImageID        string // the AMI it was launched from
	InstanceType   string
	Architecture   string // "x86_64"
	Hostname       string
	Address        string // IPv4, in its own network
	SecurityGroups []string
	KeyName        string
	PublicKey      string // a line of authorized_keys
	UserData       []byte
	Profile        string // name of the instance profile
	Role           string // whose credentials it gets
	Launched       time.Time
}

// tree has the answers by path, "meta-data/ami-id".
type tree map[string]string

// tree lays the document out as EC2 does (User Guide, "Instance metadata
// categories").
func (d Document) tree(credentials bool) tree {
	t := tree{}
	set := func(path, value string) {
		if value != "" {
			t[path] = value
		}
	}
	for name, value := range map[string]string{
		"ami-id": d.ImageID, "ami-launch-index": "0", "instance-id": d.InstanceID, "instance-type": d.InstanceType, "instance-life-cycle": "on-demand",
		"instance-action": "none", "hostname": d.Hostname, "local-hostname": d.Hostname, "local-ipv4": d.Address, "reservation-id": "r-" + strings.TrimPrefix(d.InstanceID, "i-"),
		"security-groups": strings.Join(d.SecurityGroups, "\n"), "profile": "default-hvm", "services/domain": domain(d.Region), "services/partition": partition(d.Region),
		"placement/availability-zone": d.Zone, "placement/region": d.Region, "system": "kvm",
	} {
		set("meta-data/"+name, value)
	}
	if d.PublicKey != "" {
		t["meta-data/public-keys/0/openssh-key"] = d.PublicKey + " " + d.KeyName
	}
	if credentials {
		t["meta-data/iam/security-credentials/"+d.Role] = "" // made when it is asked for
		t["meta-data/iam/info"] = indented(map[string]string{
			"Code": "Success", "LastUpdated": stamp(d.Launched), "InstanceProfileArn": fmt.Sprintf("arn:%s:iam::%s:instance-profile/%s", partition(d.Region), d.Account, d.Profile),
			"InstanceProfileId": "AIPA" + strings.ToUpper(strings.TrimPrefix(d.InstanceID, "i-")),
		})
	}
	t["dynamic/instance-identity/document"] = indented(map[string]any{
		"accountId": d.Account, "architecture": d.Architecture, "availabilityZone": d.Zone, "billingProducts": nil, "devpayProductCodes": nil, "marketplaceProductCodes": nil,
		"imageId": d.ImageID, "instanceId": d.InstanceID, "instanceType": d.InstanceType, "kernelId": nil, "pendingTime": stamp(d.Launched), "privateIp": d.Address, "ramdiskId": nil,
		"region": d.Region, "version": "2017-09-30",
	})
	set("user-data", string(d.UserData))
	return t
}

func indented(v any) string {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("metadata: plain data always marshals: " + err.Error())
	}
	return string(data)
}

// partition and domain are the region's.
func partition(region string) string {
	for prefix, name := range map[string]string{"cn-": "aws-cn", "us-gov-": "aws-us-gov"} {
		if strings.HasPrefix(region, prefix) {
			return name
		}
	}
	return "aws"
}

func domain(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// at gives a value, or the names below a path: folders end with a slash.
func (t tree) at(path string) (string, bool) {
	if value, ok := t[path]; ok {
		return value, true
	}
	below := path + "/"
	if path == "" {
		below = ""
	}
	var names []string
	for p := range t {
		rest, ok := strings.CutPrefix(p, below)
		if !ok {
			continue
		}
		name, _, folder := strings.Cut(rest, "/")
		switch {
		case path == "meta-data/public-keys":
			key := t["meta-data/public-keys/0/openssh-key"]
			name += "=" + key[strings.LastIndexByte(key, ' ')+1:]
		case folder:
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\n"), len(names) > 0
}
