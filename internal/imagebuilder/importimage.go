package imagebuilder

import (
	"context"
	"regexp"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// importTask is the ID of a task of EC2's ImportImage.
var importTask = regexp.MustCompile(`^import-ami-[0-9a-f]{8,17}$`)

// ImportVmImage makes an image of the AMI of an import task of EC2. There are no
// such tasks here, since EC2's ImportImage is not offered: a request that is
// right in itself is told so, and how to bring a disk instead.
func (s *Service) ImportVmImage(ctx context.Context, in *api.ImportVmImageInput) (*api.ImportVmImageOutput, error) {
	r := s.request(ctx, "ImportVmImage")
	v, err := parseVersion(text(in.SemanticVersion))
	if err == nil {
		err = exact(v)
	}
	if err != nil {
		return nil, err
	}
	if task := text(in.VmImportTaskId); !importTask.MatchString(task) {
		return nil, invalid("vmImportTaskId", "'%s' is not the ID of an import task: import-ami- and hexadecimal digits.", fault.Clip(task))
	}
	return nil, fault.New(api.CodeClient, "The import task '%s' does not exist in %s: this server has no VM import tasks. Bring the disk with 'goldsmith base import FILE --name %s' on the server, and use it as the parent image "+
		"arn:aws:imagebuilder:%s:aws:image/%s/x.x.x.", *in.VmImportTaskId, r.Region, normalise(text(in.Name)), r.Region, normalise(text(in.Name)))
}

// ImportDiskImage makes an image of a Windows installation disk. Such disks are
// not installed here: a request that is right in itself is told so.
func (s *Service) ImportDiskImage(ctx context.Context, in *api.ImportDiskImageInput) (*api.ImportDiskImageOutput, error) {
	r := s.request(ctx, "ImportDiskImage")
	v, err := parseVersion(text(in.SemanticVersion))
	if err == nil {
		err = exact(v)
	}
	if err != nil {
		return nil, err
	}
	if err := r.checkDiskImage(in); err != nil {
		return nil, err
	}
	var parts pipelineParts
	err = s.read(ctx, func(tx *store.Tx) error {
		_, _, err := part[api.InfrastructureConfiguration](s, tx, r, &parts, "infrastructureConfigurationArn", in.InfrastructureConfigurationArn, infrastructure, nameOnly)
		return err
	})
	if err != nil {
		return nil, err
	}
	return nil, fault.New(api.CodeClient, "Images are not made of Windows installation disks in this version. Bring a disk that is installed with 'goldsmith base import FILE --name %s' on the server.", normalise(text(in.Name)))
}

// checkDiskImage holds a request to the rules of the User Guide ("Import a
// verified Windows ISO disk image").
func (r request) checkDiskImage(in *api.ImportDiskImageInput) error {
	if text(in.Platform) != string(api.PlatformWindows) {
		return invalid("platform", "The only platform of disk images is Windows.")
	}
	if text(in.OsVersion) != "Microsoft Windows 11" {
		return invalid("osVersion", "The only OS version of disk images is 'Microsoft Windows 11'.")
	}
	uri := text(in.Uri)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(uri, "s3://"), "/")
	if !strings.HasPrefix(uri, "s3://") || bucket == "" || !ok || !strings.HasSuffix(strings.ToLower(key), ".iso") {
		return invalid("uri", "Invalid S3 URI. It must be that of an ISO file.")
	}
	if in.WindowsConfiguration == nil || in.WindowsConfiguration.ImageIndex == nil {
		return invalid("windowsConfiguration.imageIndex", "It is required.")
	}
	if o := in.RegisterImageOptions; o != nil && o.UefiData != nil && !or(o.SecureBootEnabled, true) {
		return combination("You can specify registerImageOptions.uefiData only when secureBootEnabled is true.")
	}
	if err := r.passesRole(in.ExecutionRole); err != nil {
		return err
	}
	if l := in.LoggingConfiguration; l != nil {
		return checkLogGroup("loggingConfiguration.logGroupName", l.LogGroupName, in.ExecutionRole)
	}
	return nil
}
