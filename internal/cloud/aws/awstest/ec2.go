package awstest

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Image is an AMI as EC2 has it.
type Image struct {
	ID, Region, Name, Description, State, Why string
	Architecture, BootMode, Root              string
	Devices                                   []Device
	Tags                                      map[string]string
	Permissions                               []string // "userId=…", "group=all", …
	Deprecation                               string
	request                                   url.Values
	slow                                      int
}

// Device is an entry of an AMI's block device mapping.
type Device struct {
	Name, Snapshot, Type, Key string
	SizeGiB                   int64
	Encrypted                 bool
}

func (c *Cloud) serveQuery(w http.ResponseWriter, r *http.Request, region string) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	action := r.Form.Get("Action")
	known := map[string]func(string, url.Values) (string, *refusal){
		"GetCallerIdentity": func(string, url.Values) (string, *refusal) {
			return "<GetCallerIdentityResult><Account>" + Account + "</Account><Arn>arn:aws:iam::" + Account + ":user/test</Arn><UserId>test</UserId></GetCallerIdentityResult>", nil
		},
		"RegisterImage": c.register, "CopyImage": c.copy, "DescribeImages": c.describeImages, "DescribeSnapshots": c.describeSnapshots, "DeregisterImage": c.deregister,
		"DeleteSnapshot": c.deleteSnapshot, "CreateTags": c.createTags, "DeleteTags": c.deleteTags, "DescribeImageAttribute": c.describePermissions,
		"ModifyImageAttribute": c.modify, "EnableImage": c.state("available"), "DisableImage": c.state("disabled"),
		"EnableImageDeprecation":  c.deprecate,
		"DisableImageDeprecation": c.deprecate,
	}
	do, ok := known[action]
	bad := c.fault(action, region)
	out := ""
	switch {
	case bad != nil:
	case !ok:
		bad = refuse("InvalidAction", "The action %s is not valid for this web service.", action)
	default:
		out, bad = do(region, r.Form)
	}
	w.Header().Set("Content-Type", "text/xml")
	if bad != nil {
		w.WriteHeader(bad.status)
		if action == "GetCallerIdentity" { // the query protocol's shape
			fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>", bad.code, escape(bad.message))
			return
		}
		fmt.Fprintf(w, "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>r</RequestID></Response>", bad.code, escape(bad.message))
		return
	}
	fmt.Fprintf(w, "<%sResponse><requestId>r</requestId>%s</%sResponse>", action, out, action)
}

func escape(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text))
	return b.String()
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9 ()\[\]./\-'@_]{3,128}$`)

// newImage checks what RegisterImage and CopyImage have in common.
func (c *Cloud) newImage(region string, in url.Values) (*Image, *refusal) {
	name := in.Get("Name")
	if !goodName.MatchString(name) {
		return nil, refuse("InvalidAMIName.Malformed", "%q", name)
	}
	for _, i := range c.Images {
		if i.Region == region && i.Name == name {
			return nil, refuse("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, i.ID)
		}
	}
	i := &Image{ID: c.id("ami"), Region: region, Name: name, Description: in.Get("Description"), State: "available", Tags: map[string]string{}, request: in}
	for n := 1; in.Get(fmt.Sprintf("TagSpecification.%d.ResourceType", n)) != ""; n++ {
		if in.Get(fmt.Sprintf("TagSpecification.%d.ResourceType", n)) == "image" {
			maps.Copy(i.Tags, pairs(in, fmt.Sprintf("TagSpecification.%d.Tag", n)))
		}
	}
	return i, nil
}

// pairs reads a list of tags.
func pairs(in url.Values, prefix string) map[string]string {
	tags := map[string]string{}
	for n := 1; in.Has(fmt.Sprintf("%s.%d.Key", prefix, n)); n++ {
		tags[in.Get(fmt.Sprintf("%s.%d.Key", prefix, n))] = in.Get(fmt.Sprintf("%s.%d.Value", prefix, n))
	}
	return tags
}

func (c *Cloud) register(region string, in url.Values) (string, *refusal) {
	i, bad := c.newImage(region, in)
	if bad != nil {
		return "", bad
	}
	i.Architecture, i.BootMode, i.Root = in.Get("Architecture"), in.Get("BootMode"), in.Get("RootDeviceName")
	switch {
	case !slices.Contains([]string{"x86_64", "arm64", "i386"}, i.Architecture):
		return "", refuse("InvalidParameterValue", "architecture %q", i.Architecture)
	case !slices.Contains([]string{"", "legacy-bios", "uefi", "uefi-preferred"}, i.BootMode):
		return "", refuse("InvalidParameterValue", "boot mode %q", i.BootMode)
	case in.Get("VirtualizationType") != "hvm" || in.Get("EnaSupport") != "true":
		return "", refuse("InvalidParameterCombination", "virtualization %q, ENA %q", in.Get("VirtualizationType"), in.Get("EnaSupport"))
	}
	for n := 1; in.Has(fmt.Sprintf("BlockDeviceMapping.%d.DeviceName", n)); n++ {
		at := fmt.Sprintf("BlockDeviceMapping.%d.", n)
		d := Device{Name: in.Get(at + "DeviceName"), Snapshot: in.Get(at + "Ebs.SnapshotId"), Type: in.Get(at + "Ebs.VolumeType")}
		d.SizeGiB, _ = strconv.ParseInt(in.Get(at+"Ebs.VolumeSize"), 10, 64)
		if d.Snapshot != "" {
			s := c.Snapshots[d.Snapshot]
			switch {
			case s == nil || s.Region != region:
				return "", refuse("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", d.Snapshot)
			case s.State != "completed":
				return "", refuse("InvalidSnapshotID.Malformed", "the snapshot %s is %s", s.ID, s.State)
			case d.SizeGiB < s.SizeGiB:
				return "", refuse("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size>= %dGB", d.SizeGiB, s.ID, s.SizeGiB)
			case in.Has(at + "Ebs.Encrypted"):
				return "", refuse("InvalidParameterDependency", "the parameter encrypted is not for a device with a snapshot")
			}
			d.Encrypted, d.Key = s.Encrypted, s.Key
		}
		i.Devices = append(i.Devices, d)
	}
	if !slices.ContainsFunc(i.Devices, func(d Device) bool { return d.Name == i.Root && d.Snapshot != "" }) {
		return "", refuse("InvalidBlockDeviceMapping", "no root snapshot")
	}
	c.Images[i.ID] = i
	return "<imageId>" + i.ID + "</imageId>", nil
}

func (c *Cloud) copy(region string, in url.Values) (string, *refusal) {
	token := in.Get("ClientToken")
	for _, old := range c.Images {
		if old.Region == region && token != "" && old.request.Get("ClientToken") == token {
			return "<imageId>" + old.ID + "</imageId>", nil
		}
	}
	if len(token) > 64 {
		return "", refuse("InvalidParameterValue", "the token is too long")
	}
	from := c.Images[in.Get("SourceImageId")]
	if from == nil || from.Region != in.Get("SourceRegion") || from.State != "available" {
		return "", refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", in.Get("SourceImageId"))
	}
	i, bad := c.newImage(region, in)
	if bad != nil {
		return "", bad
	}
	i.Architecture, i.BootMode, i.Root, i.slow = from.Architecture, from.BootMode, from.Root, c.Slow
	if c.Slow > 0 {
		i.State = "pending"
	}
	for _, d := range from.Devices {
		if s := c.Snapshots[d.Snapshot]; s != nil {
			made := &Snapshot{ID: c.id("snap"), Region: region, State: "completed", SizeGiB: s.SizeGiB, Encrypted: s.Encrypted || in.Get("Encrypted") == "true", Key: in.Get("KmsKeyId"), Blocks: s.Disk(), Tags: map[string]string{}}
			c.Snapshots[made.ID] = made
			d.Snapshot, d.Encrypted, d.Key = made.ID, made.Encrypted, made.Key
		}
		i.Devices = append(i.Devices, d)
	}
	c.Images[i.ID] = i
	return "<imageId>" + i.ID + "</imageId>", nil
}

func (c *Cloud) describeImages(region string, in url.Values) (string, *refusal) {
	var b strings.Builder
	asked := in.Get("ImageId.1")
	name := ""
	if in.Get("Filter.1.Name") == "name" {
		name = in.Get("Filter.1.Value.1")
	}
	found := false
	for _, id := range slices.Sorted(maps.Keys(c.Images)) {
		i := c.Images[id]
		if i.Region != region || asked != "" && asked != id || name != "" && name != i.Name {
			continue
		}
		found = true
		if i.State == "pending" {
			if i.slow--; i.slow < 0 {
				i.State = "available"
				if i.Why != "" {
					i.State = "failed"
				}
			}
		}
		fmt.Fprintf(&b, "<item><imageId>%s</imageId><name>%s</name><description>%s</description><imageState>%s</imageState><rootDeviceName>%s</rootDeviceName><creationDate>2026-11-22T01:02:03.000Z</creationDate>", i.ID, escape(i.Name), escape(i.Description), i.State, i.Root)
		if i.Deprecation != "" {
			fmt.Fprintf(&b, "<deprecationTime>%s</deprecationTime>", i.Deprecation)
		}
		if i.State == "failed" {
			fmt.Fprintf(&b, "<stateReason><code>Client.Failed</code><message>%s</message></stateReason>", escape(i.Why))
		}
		b.WriteString("<blockDeviceMapping>")
		for _, d := range i.Devices {
			fmt.Fprintf(&b, "<item><deviceName>%s</deviceName><ebs><snapshotId>%s</snapshotId><volumeSize>%d</volumeSize><encrypted>%v</encrypted><kmsKeyId>%s</kmsKeyId></ebs></item>", d.Name, d.Snapshot, d.SizeGiB, d.Encrypted, d.Key)
		}
		b.WriteString("</blockDeviceMapping><tagSet>")
		for k, v := range i.Tags {
			fmt.Fprintf(&b, "<item><key>%s</key><value>%s</value></item>", escape(k), escape(v))
		}
		b.WriteString("</tagSet></item>")
	}
	if asked != "" && !found {
		return "", refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", asked)
	}
	return "<imagesSet>" + b.String() + "</imagesSet>", nil
}

func (c *Cloud) describeSnapshots(region string, in url.Values) (string, *refusal) {
	s := c.Snapshots[in.Get("SnapshotId.1")]
	if s == nil || s.Region != region {
		return "", refuse("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", in.Get("SnapshotId.1"))
	}
	return fmt.Sprintf("<snapshotSet><item><snapshotId>%s</snapshotId><status>%s</status></item></snapshotSet>", s.ID, s.State), nil
}
