package fault

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/objects"
	"github.com/goldsmith-build/goldsmith/test/harness"
)

// regions are where the suite's images go.
var regions = []string{"us-east-1", "eu-west-1"}

// site is a server with all that a build needs, and what the suite knows of it.
type site struct {
	t      testing.TB
	dir    string // the data folder
	config string
	temp   string // its TMPDIR
	server *process
	points points
	hears  *listener

	topic     string
	pipelines map[string]string // by name
	images    []string
	database  string               // of PostgreSQL
	objects   func() objects.Store // where blocks lie, if it is not the data folder
	parent    string               // ARN
	exact     string               // the place of the fault at hand, where a harm knows it better
}

// setting adjusts a site before it starts.
type setting struct {
	dir      string   // the data folder; "": a new one
	config   []string // lines of the configuration file
	database string   // of PostgreSQL, with a shared folder
	debian   bool     // the parent is Debian, and tests boot
	objects  func() objects.Store
}

// parent puts the parent where the setting's server looks for it.
func (set setting) parent(t testing.TB, dir, base string) {
	t.Helper()
	if set.debian {
		run(t, "", harness.Program(t, "goldsmith"), "base", "build", "debian-12-x86", "--data-dir", dir, "--cache", harness.Cache(t))
		return
	}
	disk := makeParent(t)
	if set.database == "" {
		importParent(t, dir, disk, set.objects != nil, filepath.Join(base, "config.yaml"))
		return
	}
	seed, shared := filepath.Join(base, "seed"), filepath.Join(base, "shared")
	importParent(t, seed, disk, false, "")
	must(t, os.Mkdir(shared, 0o755))
	for _, name := range []string{"objects", "parents"} {
		must(t, os.Rename(filepath.Join(seed, name), filepath.Join(shared, name)))
	}
}

// newSite starts a server on the tiny parent.
func newSite(t testing.TB, set setting) *site {
	t.Helper()
	harness.Root(t)
	base := t.TempDir()
	s := &site{t: t, dir: set.dir, config: filepath.Join(base, "config.yaml"), temp: filepath.Join(base, "tmp"), points: points(filepath.Join(base, "points")), hears: newListener(t), pipelines: map[string]string{}}
	if s.dir == "" {
		s.dir = filepath.Join(base, "data")
	}
	must(t, os.Mkdir(s.temp, 0o755))
	must(t, os.Mkdir(string(s.points), 0o755))
	lines := append([]string{"builds: 2", "events: [{url: '" + s.hears.URL + "/event', secret: not-a-secret-of-anybody}]"}, set.config...)
	if !set.debian {
		lines = append(lines, "testInstances: sandbox")
	}
	if set.database != "" {
		lines = append(lines, "database: "+set.database, "shared: "+filepath.Join(base, "shared"))
	}
	must(t, os.WriteFile(s.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	s.database, s.objects, s.parent = set.database, set.objects, parentARN
	if set.debian {
		s.parent = harness.Parent
	}
	set.parent(t, s.dir, base)
	s.server = s.process(s.dir, "serve", "--listen", "127.0.0.1:0")
	s.server.start()
	t.Cleanup(func() {
		s.points.release()
		s.server.stop(nil)
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.server.log.tail())
		}
	})
	s.define()
	return s
}

// process is a program of this site that has not been started.
func (s *site) process(dir string, args ...string) *process {
	args = append([]string{harness.Program(s.t, "goldsmith")}, append(args, "--config", s.config, "--data-dir", dir)...)
	return &process{t: s.t, log: &buffer{}, args: args, env: append(os.Environ(), "TMPDIR="+s.temp, faultpoint.Variable+"="+string(s.points))}
}

// client asks the server as it runs now.
func (s *site) client() *client {
	s.t.Helper()
	return newClient(s.t, strings.TrimPrefix(s.server.line, "ready "), s.dir)
}

// The suite's pipelines: their component's build and test phases.
var documents = map[string][2]string{
	"good":     {"sleep 0.3; echo one >> /opt/builds", `sleep 0.3; test "$(cat /opt/builds)" = one`},
	"bad":      {"echo this went wrong >&2; exit 3", "true"},
	"untested": {"echo one >> /opt/builds", "echo this went wrong >&2; exit 4"},
	"deaf":     {"trap '' 1 2 15; sleep 600 & wait; sleep 600", "true"},
	"deaftest": {"true", "trap '' 1 2 15; sleep 600 & wait; sleep 600"},
}

// define makes the pipelines and the topic.
func (s *site) define() {
	s.t.Helper()
	c, ctx := s.client(), context.Background()
	var topic struct {
		ARN string `xml:"CreateTopicResult>TopicArn"`
	}
	must(s.t, c.query("sns", "us-east-1", "CreateTopic", url.Values{"Name": {"images"}}, &topic))
	s.topic = topic.ARN
	must(s.t, c.query("sns", "us-east-1", "Subscribe", url.Values{"TopicArn": {s.topic}, "Protocol": {"http"}, "Endpoint": {s.hears.URL + "/topic"}}, nil))
	infrastructure, err := c.CreateInfrastructureConfiguration(ctx, &imagebuilder.CreateInfrastructureConfigurationInput{
		Name: aws.String("faults"), InstanceProfileName: aws.String("golden"), SnsTopicArn: &s.topic,
	})
	must(s.t, err)
	var destinations []types.Distribution
	for _, region := range regions {
		destinations = append(destinations, types.Distribution{Region: aws.String(region), AmiDistributionConfiguration: &types.AmiDistributionConfiguration{
			Name: aws.String("faults {{ imagebuilder:buildDate }}"), LaunchPermission: &types.LaunchPermissionConfiguration{UserIds: []string{"111122223333"}},
		}})
	}
	distribution, err := c.CreateDistributionConfiguration(ctx, &imagebuilder.CreateDistributionConfigurationInput{Name: aws.String("faults"), Distributions: destinations})
	must(s.t, err)
	for name, phases := range documents {
		component, err := c.CreateComponent(ctx, &imagebuilder.CreateComponentInput{
			Name: &name, SemanticVersion: aws.String("1.0.0"), Platform: types.PlatformLinux, Data: aws.String(harness.Document(name, "build", phases[0], "test", phases[1])),
		})
		must(s.t, err)
		recipe, err := c.CreateImageRecipe(ctx, &imagebuilder.CreateImageRecipeInput{
			Name: &name, SemanticVersion: aws.String("1.0.0"), ParentImage: aws.String(s.parent),
			Components: []types.ComponentConfiguration{{ComponentArn: component.ComponentBuildVersionArn}},
		})
		must(s.t, err)
		pipeline, err := c.CreateImagePipeline(ctx, &imagebuilder.CreateImagePipelineInput{
			Name: &name, ImageRecipeArn: recipe.ImageRecipeArn, InfrastructureConfigurationArn: infrastructure.InfrastructureConfigurationArn,
			DistributionConfigurationArn: distribution.DistributionConfigurationArn,
		})
		must(s.t, err)
		s.pipelines[name] = *pipeline.ImagePipelineArn
	}
}

// build starts a pipeline and gives its image.
func (s *site) build(pipeline string) string {
	s.t.Helper()
	out, err := s.client().StartImagePipelineExecution(context.Background(), &imagebuilder.StartImagePipelineExecutionInput{ImagePipelineArn: aws.String(s.pipelines[pipeline])})
	must(s.t, err)
	s.images = append(s.images, *out.ImageBuildVersionArn)
	return *out.ImageBuildVersionArn
}

// ending is how an image ended.
type ending struct {
	state  types.ImageStatus
	reason string
	at     time.Time // when the suite saw it
}

// state gives an image's state now; ok says that it is an end.
func (s *site) state(image string) (e ending, ok bool) {
	answer, err := s.client().GetImage(context.Background(), &imagebuilder.GetImageInput{ImageBuildVersionArn: &image})
	if err != nil {
		return ending{reason: err.Error()}, false
	}
	e = ending{answer.Image.State.Status, aws.ToString(answer.Image.State.Reason), time.Now()}
	switch e.state {
	case types.ImageStatusAvailable, types.ImageStatusFailed, types.ImageStatusCancelled:
		return e, true
	}
	return e, false
}

// wait waits for an image's end.
func (s *site) wait(image string) ending {
	s.t.Helper()
	var e ending
	for deadline := time.Now().Add(long); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var ok bool
		if e, ok = s.state(image); ok {
			return e
		}
	}
	s.t.Fatalf("%s has not ended: %s %s\n%s", image, e.state, e.reason, s.server.log.tail())
	return e
}

// ended reports whether an image has ended, for points.held.
func (s *site) ended(image string) func() bool {
	return func() bool {
		_, ok := s.state(image)
		return ok
	}
}

// cancel asks for an image to be cancelled.
func (s *site) cancel(image string) error {
	_, err := s.client().CancelImageCreation(context.Background(), &imagebuilder.CancelImageCreationInput{ImageBuildVersionArn: &image})
	return err
}

// describe is an ending for messages.
func (e ending) String() string { return fmt.Sprintf("%s %q", e.state, e.reason) }
