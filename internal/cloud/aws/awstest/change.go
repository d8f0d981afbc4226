package awstest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

func (c *Cloud) image(region, id string) (*Image, *refusal) {
	if i := c.Images[id]; i != nil && i.Region == region {
		return i, nil
	}
	return nil, refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

const yes = "<return>true</return>"

func (c *Cloud) deregister(region string, in url.Values) (string, *refusal) {
	i, bad := c.image(region, in.Get("ImageId"))
	if bad == nil {
		delete(c.Images, i.ID)
	}
	return yes, bad
}

func (c *Cloud) deleteSnapshot(region string, in url.Values) (string, *refusal) {
	id := in.Get("SnapshotId")
	if s := c.Snapshots[id]; s == nil || s.Region != region {
		return "", refuse("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	for _, i := range c.Images {
		if slices.ContainsFunc(i.Devices, func(d Device) bool { return d.Snapshot == id }) {
			return "", refuse("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", id, i.ID)
		}
	}
	delete(c.Snapshots, id)
	return yes, nil
}

func (c *Cloud) createTags(region string, in url.Values) (string, *refusal) {
	i, bad := c.image(region, in.Get("ResourceId.1"))
	if bad == nil {
		maps.Copy(i.Tags, pairs(in, "Tag"))
	}
	return yes, bad
}

func (c *Cloud) deleteTags(region string, in url.Values) (string, *refusal) {
	i, bad := c.image(region, in.Get("ResourceId.1"))
	if bad == nil {
		for key := range pairs(in, "Tag") {
			delete(i.Tags, key)
		}
	}
	return yes, bad
}

// permissionNames are the members of a launch permission.
var permissionNames = []string{"UserId", "Group", "OrganizationArn", "OrganizationalUnitArn"}

func (c *Cloud) describePermissions(region string, in url.Values) (string, *refusal) {
	i, bad := c.image(region, in.Get("ImageId"))
	if bad != nil {
		return "", bad
	}
	var b strings.Builder
	for _, p := range i.Permissions {
		name, who, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, "<item><%s>%s</%s></item>", name, who, name)
	}
	return "<imageId>" + i.ID + "</imageId><launchPermission>" + b.String() + "</launchPermission>", nil
}

func (c *Cloud) modify(region string, in url.Values) (string, *refusal) {
	i, bad := c.image(region, in.Get("ImageId"))
	if bad != nil {
		return "", bad
	}
	if i.State == "disabled" {
		return "", refuse("InvalidAMIID.Unavailable", "%s is disabled", i.ID)
	}
	if in.Has("Description.Value") {
		i.Description = in.Get("Description.Value")
	}
	read := func(what string) (all []string) {
		for n := 1; ; n++ {
			before := len(all)
			for _, name := range permissionNames {
				if v := in.Get(fmt.Sprintf("LaunchPermission.%s.%d.%s", what, n, name)); v != "" {
					all = append(all, strings.ToLower(name[:1])+name[1:]+"="+v)
				}
			}
			if len(all) == before {
				return all
			}
		}
	}
	gone := read("Remove")
	i.Permissions = slices.DeleteFunc(i.Permissions, func(p string) bool { return slices.Contains(gone, p) })
	i.Permissions = append(i.Permissions, read("Add")...)
	return yes, nil
}

func (c *Cloud) state(to string) func(string, url.Values) (string, *refusal) {
	return func(region string, in url.Values) (string, *refusal) {
		i, bad := c.image(region, in.Get("ImageId"))
		if bad == nil {
			i.State = to
			if to == "disabled" {
				i.Permissions = nil
			}
		}
		return yes, bad
	}
}

func (c *Cloud) deprecate(region string, in url.Values) (string, *refusal) {
	i, bad := c.image(region, in.Get("ImageId"))
	if bad == nil {
		i.Deprecation = in.Get("DeprecateAt")
	}
	return yes, bad
}
