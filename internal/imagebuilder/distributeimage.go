package imagebuilder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// subject is what DistributeImage distributes.
type subject struct {
	ami      cloud.AMI
	imageARN string        // of the Image Builder image that it came from
	name     string        // of the new image
	slug     string        // the same, as in ARNs
	version  store.Version // of the new image; its build number is given then
}

// DistributeImage makes an image that only distributes an AMI there is, as a
// distribution configuration says.
func (s *Service) DistributeImage(ctx context.Context, in *api.DistributeImageInput) (*api.DistributeImageOutput, error) {
	r := s.request(ctx, "DistributeImage")
	to, err := r.own("distributionConfigurationArn", in.DistributionConfigurationArn, distribution, nameOnly)
	if err != nil {
		return nil, err
	}
	if l := in.LoggingConfiguration; l != nil {
		if err := checkLogGroup("loggingConfiguration.logGroupName", l.LogGroupName, in.ExecutionRole); err != nil {
			return nil, err
		}
	}
	params := *in
	params.ClientToken = nil
	return once(ctx, s, r, in.ClientToken, params, func(tx *store.Tx) (*api.DistributeImageOutput, error) {
		if s.queue == nil {
			return nil, fault.New(api.CodeServiceUnavailable, "This server does not distribute images.")
		}
		configuration, _, err := load[api.DistributionConfiguration](tx, to)
		if err != nil {
			return nil, err
		}
		from, err := s.distributable(ctx, tx, r, text(in.SourceImage))
		if err != nil {
			return nil, err
		}
		if err := s.checkBuilds(tx, r); err != nil {
			return nil, err
		}
		made, err := s.startDistribution(ctx, tx, r, in, from, configuration)
		if err != nil {
			return nil, err
		}
		return &api.DistributeImageOutput{ClientToken: in.ClientToken, ImageBuildVersionArn: ptr(made.String())}, nil
	})
}

// distributable finds the AMI that a source image stands for: the ID of an AMI
// that the caller may use, an SSM parameter with such an ID, or the ARN of an
// image that is AVAILABLE.
func (s *Service) distributable(ctx context.Context, tx *store.Tx, r request, source string) (subject, error) {
	if amiID.MatchString(source) {
		ami, ok, err := s.world.Visible(ctx, tx, r.Account, r.Region, source)
		if err == nil && (!ok || ami.OwnerAlias != "") {
			err = invalid("sourceImage", "The AMI '%s' does not exist in %s, or it cannot be copied by the account %s.", source, r.Region, r.Account)
		}
		return subject{ami: ami, name: ami.Name, slug: source, version: store.Version{Major: 1}}, err
	}
	if name, ok := strings.CutPrefix(source, "ssm:"); ok {
		parent, _, err := s.planParameterParent(ctx, tx, r, source, name)
		if err != nil {
			return subject{}, noSource(err)
		}
		return s.distributable(ctx, tx, r, parent.AMI)
	}
	a, err := r.refers("sourceImage", &source, image, versionForm, buildForm)
	if err != nil {
		return subject{}, err
	}
	if a.Account != r.Account {
		return subject{}, invalid("sourceImage", "The image '%s' belongs to Amazon; build an image of your own of it.", a)
	}
	parent, _, err := s.planOwnParent(ctx, tx, r, source, a)
	if err != nil {
		return subject{}, noSource(err)
	}
	at, ok := parseARN(parent.ARN)
	if !ok {
		return subject{}, fmt.Errorf("%q is not the ARN of an image", parent.ARN)
	}
	ami, _, err := s.world.AMI(tx, parent.AMI)
	if err != nil {
		return subject{}, err
	}
	shape, _, err := load[api.Image](tx, at)
	if err != nil {
		return subject{}, err
	}
	return subject{ami: ami, imageARN: parent.ARN, name: text(shape.Name), slug: at.Name, version: at.version}, nil
}

// noSource says of a source image what planning says of a parent image: it looks
// for both in the same way.
func noSource(err error) error {
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Code != api.CodeClient {
		return err
	}
	return invalid("sourceImage", "%s", strings.Replace(refused.Message, "The parent image", "The source image", 1))
}

// startDistribution adds the image with its plan, and its job.
func (s *Service) startDistribution(ctx context.Context, tx *store.Tx, r request, in *api.DistributeImageInput, from subject, to *api.DistributionConfiguration) (arn, error) {
	a := newARN(store.Key{Kind: image, Account: r.Account, Region: r.Region, Name: from.slug}, buildForm, from.version)
	var err error
	from.version.Build = 0
	if a.version.Build, err = tx.NextBuild(a.Key, from.version); err != nil {
		return arn{}, err
	}
	plan, err := s.planDistribution(r, a, from, to)
	if err != nil {
		return arn{}, err
	}
	shape := &api.Image{
		Arn: ptr(a.String()), Type: ptr(api.ImageTypeAmi), Name: ptr(from.name), Version: ptr(fmt.Sprintf("%s/%d", versionText(a.version), a.version.Build)),
		Platform: some(api.Platform(from.ami.Platform)), OsVersion: some(from.ami.OSVersion), State: &api.ImageState{Status: ptr(api.ImageStatusPending)}, DistributionConfiguration: to,
		DateCreated: date(r.now), OutputResources: &api.OutputResources{}, Tags: in.Tags, BuildType: ptr(api.BuildTypeUserInitiated), ImageSource: ptr(api.ImageSourceCustom),
		ExecutionRole: in.ExecutionRole, LoggingConfiguration: in.LoggingConfiguration,
	}
	plan.LogGroup = logGroup(a, shape)
	if err := plan.Settle(); err != nil {
		return arn{}, err
	}
	if err := s.add(tx, r, a, store.Resource{Status: string(api.ImageStatusPending)}, shape); err != nil {
		return arn{}, err
	}
	data, err := json.Marshal(plan)
	if err != nil {
		return arn{}, fmt.Errorf("writing the plan: %w", err)
	}
	if err := tx.PutPlan(a.String(), data); err != nil {
		return arn{}, err
	}
	if err := s.tellState(ctx, tx, a, "", string(engine.Pending)); err != nil {
		return arn{}, err
	}
	if err := s.queue.Enqueue(ctx, tx, a.String()); err != nil {
		return arn{}, fmt.Errorf("queueing %s: %w", a, err)
	}
	return a, nil
}

// planDistribution is the plan of an image that is only distributed. The build
// region gets nothing that the configuration does not ask for.
func (s *Service) planDistribution(r request, a arn, from subject, to *api.DistributionConfiguration) (*engine.Plan, error) {
	destinations, err := planDestinations(r, to)
	if err != nil {
		return nil, err
	}
	if err := s.planKeys(r, &engine.Volume{}, nil, destinations); err != nil {
		return nil, err
	}
	if err := s.mayBuildOn(r, from.ami); err != nil {
		return nil, err
	}
	asked := false
	for _, d := range to.Distributions {
		asked = asked || text(d.Region) == r.Region
	}
	if !asked {
		destinations = destinations[1:]
	}
	distribute, _ := engine.ManagedWorkflow(r.Region, workflow.Distribution, workflow.DistributeImage)
	root, _ := from.ami.Root()
	return &engine.Plan{
		Image: engine.Image{ARN: a.String(), Name: from.name, Slug: a.Name, Version: versionText(a.version), Build: a.version.Build, Account: r.Account, Region: r.Region},
		Parent: engine.Parent{
			Requested: from.ami.ID, ARN: from.imageARN, AMI: from.ami.ID, Snapshot: root.Manifest, SizeGiB: root.SizeGiB, OSVersion: from.ami.OSVersion, Platform: from.ami.Platform,
			Architecture: from.ami.Architecture, RootDevice: from.ami.RootDevice, BootMode: from.ami.BootMode,
		},
		Volume:         engine.Volume{SizeGiB: root.SizeGiB, Devices: []engine.BlockDevice{{DeviceName: from.ami.RootDevice, SizeGiB: root.SizeGiB, DeleteOnTermination: true}}},
		Infrastructure: engine.Infrastructure{TerminateOnFailure: true}, Workflows: []engine.Workflow{distribute}, WorkingDir: defaultDirectory, Destinations: destinations,
		Omitted: []engine.Omission{{What: "build stage", Why: "DistributeImage only distributes"}, {What: "test stage", Why: "DistributeImage only distributes"}},
	}, nil
}
