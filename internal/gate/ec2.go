package gate

import (
	"slices"

	api "github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
)

// ec2 are the rules of Amazon EC2. What only describes has no resource; images
// and snapshots have ARNs without an account.
var ec2 = map[string]rule{
	"CancelExportTask": rules(func(a asked, in *api.CancelExportTaskInput) []need {
		return []need{{action: a.action(), resource: a.ec2("export-image-task", in.ExportTaskId)}}
	}),
	"CopyImage": rules(func(a asked, in *api.CopyImageInput) []need {
		from := a
		if region := text(in.SourceRegion); region != "" {
			from.Region = region
		}
		source := need{action: a.action(), resource: from.ec2("image", in.SourceImageId)}
		return append(a.creating("image", in.TagSpecifications), source)
	}),
	"CreateLaunchTemplate": rules(func(a asked, in *api.CreateLaunchTemplateInput) []need {
		return a.creating("launch-template", in.TagSpecifications)
	}),
	"CreateLaunchTemplateVersion": template(func(in *api.CreateLaunchTemplateVersionInput) *string { return in.LaunchTemplateId }),
	"CreateTags": rules(func(a asked, in *api.CreateTagsInput) []need {
		return a.tagging(in.Resources, tags(in.Tags))
	}),
	"DeleteKeyPair": rules(func(a asked, in *api.DeleteKeyPairInput) []need {
		// Policies know key pairs by their names: one that is given by its ID
		// takes a permission for all.
		return []need{{action: a.action(), resource: a.ec2("key-pair", in.KeyName)}}
	}),
	"DeleteLaunchTemplate":         template(func(in *api.DeleteLaunchTemplateInput) *string { return in.LaunchTemplateId }),
	"DeleteLaunchTemplateVersions": template(func(in *api.DeleteLaunchTemplateVersionsInput) *string { return in.LaunchTemplateId }),
	"DeleteSnapshot": rules(func(a asked, in *api.DeleteSnapshotInput) []need {
		return []need{{action: a.action(), resource: a.ec2("snapshot", in.SnapshotId)}}
	}),
	"DeleteTags": rules(func(a asked, in *api.DeleteTagsInput) []need {
		return a.tagging(in.Resources, tags(in.Tags))
	}),
	"DeregisterImage":                image(func(in *api.DeregisterImageInput) *string { return in.ImageId }),
	"DescribeExportImageTasks":       anything,
	"DescribeImageAttribute":         image(func(in *api.DescribeImageAttributeInput) *string { return in.ImageId }),
	"DescribeFastLaunchImages":       anything,
	"DescribeImages":                 anything,
	"DescribeKeyPairs":               anything,
	"DescribeLaunchTemplateVersions": anything,
	"DescribeLaunchTemplates":        anything,
	"DescribeRegions":                anything,
	"DescribeSnapshots":              anything,
	"DescribeTags":                   anything,
	"DisableFastLaunch":              image(func(in *api.DisableFastLaunchInput) *string { return in.ImageId }),
	"DisableImageDeprecation":        image(func(in *api.DisableImageDeprecationInput) *string { return in.ImageId }),
	"EnableFastLaunch":               image(func(in *api.EnableFastLaunchInput) *string { return in.ImageId }),
	"EnableImageDeprecation":         image(func(in *api.EnableImageDeprecationInput) *string { return in.ImageId }),
	"ImportKeyPair": rules(func(a asked, in *api.ImportKeyPairInput) []need {
		all := a.creating("key-pair", in.TagSpecifications)
		for i := range all {
			all[i].resource = a.ec2("key-pair", in.KeyName)
		}
		return all
	}),
	"ExportImage": rules(func(a asked, in *api.ExportImageInput) []need {
		source := need{action: a.action(), resource: a.ec2("image", in.ImageId)}
		return append(a.creating("export-image-task", in.TagSpecifications), source)
	}),
	"ModifyImageAttribute": image(func(in *api.ModifyImageAttributeInput) *string { return in.ImageId }),
	"ModifyLaunchTemplate": template(func(in *api.ModifyLaunchTemplateInput) *string { return in.LaunchTemplateId }),
	"ResetImageAttribute":  image(func(in *api.ResetImageAttributeInput) *string { return in.ImageId }),
}

// creating is the need of an operation that makes a resource, with the tags that
// it gets; giving it tags takes ec2:CreateTags as well.
func (a asked) creating(kind string, given []api.TagSpecification) []need {
	tags, arn := specified(given, api.ResourceType(kind)), a.ec2(kind, nil)
	all := []need{{action: a.action(), resource: arn, values: requestTags(tags)}}
	if len(tags) > 0 {
		v := requestTags(tags)
		v.Set("ec2:createaction", a.operation)
		all = append(all, need{action: "ec2:CreateTags", resource: arn, values: v})
	}
	return all
}

// image is the rule of operations on one AMI.
func image[I any](member func(in *I) *string) rule {
	return rules(func(a asked, in *I) []need { return []need{{action: a.action(), resource: a.ec2("image", member(in))}} })
}

// template is the rule of operations on a launch template; one that is given by
// its name takes a permission for all.
func template[I any](member func(in *I) *string) rule {
	return rules(func(a asked, in *I) []need {
		return []need{{action: a.action(), resource: a.ec2("launch-template", member(in))}}
	})
}

// ec2 names a resource of EC2, or with a nil id any of its kind.
func (a asked) ec2(kind string, id *string) string {
	account := a.Account
	if kind == "image" || kind == "snapshot" {
		account = ""
	}
	name := text(id)
	if name == "" {
		name = "*"
	}
	return "arn:" + cloud.PartitionFor(a.Region) + ":ec2:" + a.Region + ":" + account + ":" + kind + "/" + name
}

// tagging are the needs of changing the tags of resources, whose kinds their ids
// tell.
func (a asked) tagging(ids []string, values map[string]string) []need {
	var all []need
	for _, id := range ids {
		kind := "image"
		switch {
		case len(id) > 5 && id[:5] == "snap-":
			kind = "snapshot"
		case len(id) > 3 && id[:3] == "lt-":
			kind = "launch-template"
		case len(id) > 4 && id[:4] == "key-":
			kind = "key-pair"
		}
		all = append(all, need{action: a.action(), resource: a.ec2(kind, &id), values: requestTags(values)})
	}
	if len(all) == 0 {
		return anything(a, nil)
	}
	return all
}

// specified are the tags that a request gives to a kind of new resource.
func specified(all []api.TagSpecification, kind api.ResourceType) map[string]string {
	i := slices.IndexFunc(all, func(s api.TagSpecification) bool { return s.ResourceType != nil && *s.ResourceType == kind })
	if i < 0 {
		return nil
	}
	return tags(all[i].Tags)
}

func tags(given []api.Tag) map[string]string {
	all := map[string]string{}
	for _, t := range given {
		all[text(t.Key)] = text(t.Value)
	}
	return all
}
