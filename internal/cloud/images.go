package cloud

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// imageQuery is a DescribeImages request, understood.
type imageQuery struct {
	ids, owners map[string]bool
	executable  []string
	filters     []filter[AMI]
	account     string

	deprecated, disabled bool // asked for
	now                  time.Time
}

// DescribeImages lists the AMIs of the caller's region that it owns or may
// launch.
func (f face) DescribeImages(ctx context.Context, in *ec2.DescribeImagesInput) (*ec2.DescribeImagesOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	q := imageQuery{account: caller.Account, deprecated: is(in.IncludeDeprecated), disabled: is(in.IncludeDisabled), now: f.world.now()}
	var err error
	if q.ids, err = wanted(in.ImageIds, imageID, "InvalidAMIID.Malformed"); err != nil {
		return nil, err
	}
	if q.owners, err = owners(in.Owners, caller.Account); err != nil {
		return nil, err
	}
	if q.executable, err = executableBy(in.ExecutableUsers); err != nil {
		return nil, err
	}
	if q.filters, err = imageAttributes.compile(in.Filters, func(a AMI) map[string]string { return a.Tags }); err != nil {
		return nil, err
	}
	limit, at, err := limits(in.MaxResults, in.NextToken, q.ids != nil, "images", caller.Account, caller.Region, in.Owners, in.ExecutableUsers, in.Filters, q.deprecated, q.disabled)
	if err != nil {
		return nil, err
	}
	managed, err := f.world.published(ctx, caller.Region)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeImagesOutput{}
	var images []AMI
	err = f.world.store.Read(ctx, func(tx *store.Tx) error {
		if q.ids != nil {
			var gone []string
			images, gone, err = named(q.ids, func(id string) (AMI, bool, error) { return f.world.own(tx, caller.Account, caller.Region, id) }, managed, q.wants)
			if err == nil && len(gone) > 0 {
				err = notFound(gone...)
			}
			return err
		}
		var more string
		images, more, err = search(f.world.fetchAMIs(tx, caller), managed, q.wants, at.After, limit)
		if more != "" {
			out.NextToken = at.token(more)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Images = make([]ec2.Image, 0, len(images))
	for _, a := range images {
		out.Images = append(out.Images, describeImage(a))
	}
	return out, nil
}

// fetchAMIs reads a page of the rows that the caller can see.
func (w *World) fetchAMIs(tx *store.Tx, caller identity.Caller) func(after string, limit int) ([]AMI, error) {
	return func(after string, limit int) ([]AMI, error) {
		rows, err := tx.VisibleAMIs(caller.Account, w.memberships(caller.Account), caller.Region, after, limit)
		if err != nil {
			return nil, err
		}
		all := make([]AMI, 0, len(rows))
		for _, row := range rows {
			a, err := fromRow(row)
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
		return all, nil
	}
}

func (q imageQuery) wants(a AMI) bool {
	if q.ids == nil && !q.listed(a) || q.owners != nil && !q.owners[a.Account] {
		return false
	}
	if len(q.executable) > 0 && !slices.ContainsFunc(q.executable, func(who string) bool { return executable(a, who, q.account) }) {
		return false
	}
	return pass(q.filters, a)
}

func is(flag *bool) bool { return flag != nil && *flag }

func executableBy(names []string) ([]string, error) {
	for _, name := range names {
		if name != "self" && name != "all" && !accountID.MatchString(name) {
			return nil, fault.New("InvalidUserID.Malformed", "Invalid user id: \"%.100s\"", name)
		}
	}
	return names, nil
}

// executable reports whether who was given explicit permission to launch a:
// "all" by its being public, "self" and accounts by name. Permissions of other
// accounts show only to the owner.
func executable(a AMI, who, caller string) bool {
	switch who {
	case "all":
		return a.Public()
	case "self":
		return slices.Contains(a.Permissions.UserIDs, caller)
	}
	return (a.Account == caller || who == caller) && slices.Contains(a.Permissions.UserIDs, who)
}

func value(get func(AMI) string) func(AMI) []string {
	return func(a AMI) []string { return []string{get(a)} }
}

func devices(get func(BlockDevice) string) func(AMI) []string {
	return func(a AMI) []string {
		var all []string
		for _, d := range a.Devices {
			if v := get(d); v != "" {
				all = append(all, v)
			}
		}
		return all
	}
}

func positive(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// imageAttributes are the filters of DescribeImages (EC2 API Reference).
var imageAttributes = attributes[AMI]{
	"architecture": value(func(a AMI) string { return a.Architecture }),
	"block-device-mapping.delete-on-termination": devices(func(d BlockDevice) string { return boolean(d.DeleteOnTermination) }),
	"block-device-mapping.device-name":           devices(func(d BlockDevice) string { return d.DeviceName }),
	"block-device-mapping.snapshot-id":           devices(func(d BlockDevice) string { return d.SnapshotID }),
	"block-device-mapping.volume-size":           devices(func(d BlockDevice) string { return positive(d.SizeGiB) }),
	"block-device-mapping.volume-type":           devices(func(d BlockDevice) string { return d.VolumeType }),
	"block-device-mapping.encrypted":             devices(func(d BlockDevice) string { return boolean(d.Encrypted) }),
	"creation-date":                              value(func(a AMI) string { return date(a.Created) }),
	"description":                                value(func(a AMI) string { return a.Description }),
	"ena-support":                                value(func(AMI) string { return "true" }),
	"hypervisor":                                 value(func(AMI) string { return "xen" }),
	"image-allowed":                              value(func(AMI) string { return "true" }),
	"image-id":                                   value(func(a AMI) string { return a.ID }),
	"image-type":                                 value(func(AMI) string { return "machine" }),
	"is-public":                                  value(func(a AMI) string { return boolean(a.Public()) }),
	"kernel-id":                                  value(func(AMI) string { return "" }),
	"manifest-location":                          value(location),
	"name":                                       value(func(a AMI) string { return a.Name }),
	"owner-alias":                                value(func(a AMI) string { return a.OwnerAlias }),
	"owner-id":                                   value(func(a AMI) string { return a.Account }),
	"platform":                                   value(func(a AMI) string { return strings.ToLower(strings.TrimPrefix(a.Platform, "Linux")) }),
	"platform-details":                           value(platformDetails),
	"product-code":                               value(func(AMI) string { return "" }),
	"product-code.type":                          value(func(AMI) string { return "" }),
	"ramdisk-id":                                 value(func(AMI) string { return "" }),
	"root-device-name":                           value(func(a AMI) string { return a.RootDevice }),
	"root-device-type":                           value(func(AMI) string { return "ebs" }),
	"source-image-id":                            value(func(a AMI) string { return a.Source.ID }),
	"source-image-region":                        value(func(a AMI) string { return a.Source.Region }),
	"source-instance-id":                         value(func(AMI) string { return "" }),
	"state":                                      value(func(a AMI) string { return a.State }),
	"state-reason-code":                          value(func(AMI) string { return "" }),
	"state-reason-message":                       value(func(a AMI) string { return a.Reason }),
	"sriov-net-support":                          value(func(AMI) string { return "simple" }),
	"usage-operation":                            value(func(AMI) string { return "RunInstances" }),
	"virtualization-type":                        value(func(AMI) string { return "hvm" }),
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func location(a AMI) string {
	owner := a.Account
	if a.OwnerAlias != "" {
		owner = a.OwnerAlias
	}
	return owner + "/" + a.Name
}

func platformDetails(a AMI) string {
	if a.Platform == "Windows" {
		return "Windows"
	}
	return "Linux/UNIX"
}
