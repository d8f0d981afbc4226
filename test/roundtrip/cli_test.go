package roundtrip

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

type builder struct{ imagebuilder.Unimplemented }

func (builder) GetImage(_ context.Context, in *imagebuilder.GetImageInput) (*imagebuilder.GetImageOutput, error) {
	if strings.Contains(*in.ImageBuildVersionArn, "missing") {
		return nil, fault.New("ResourceNotFoundException", "The resource with ARN '%s' does not exist.", *in.ImageBuildVersionArn)
	}
	return &imagebuilder.GetImageOutput{Image: &imagebuilder.Image{
		Arn:             in.ImageBuildVersionArn,
		Platform:        new(imagebuilder.PlatformLinux),
		DeprecationTime: shape.At(time.Unix(1767225600, 0)),
		Workflows:       []imagebuilder.WorkflowConfiguration{},
	}}, nil
}

func (builder) TagResource(_ context.Context, in *imagebuilder.TagResourceInput) (*imagebuilder.TagResourceOutput, error) {
	if *in.ResourceArn != image || in.Tags["team"] != "a/b c" {
		return nil, fault.New("InvalidParameterException", "got %s %v", *in.ResourceArn, in.Tags)
	}
	return nil, nil
}

type cloud struct{ ec2.Unimplemented }

func (cloud) DescribeImages(_ context.Context, in *ec2.DescribeImagesInput) (*ec2.DescribeImagesOutput, error) {
	if len(in.ImageIds) == 0 {
		return nil, fault.New("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", "<ami>")
	}
	return &ec2.DescribeImagesOutput{Images: []ec2.Image{{
		ImageId: &in.ImageIds[0],
		Name:    in.Filters[0].Name,
		Tags:    []ec2.Tag{{Key: new("k"), Value: &in.Filters[0].Values[1]}},
		Public:  new(false),
	}}}, nil
}

type tokens struct{ sts.Unimplemented }

func (tokens) GetCallerIdentity(ctx context.Context, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	c := identity.From(ctx)
	return &sts.GetCallerIdentityOutput{Account: &c.Account, Arn: &c.ARN, UserId: &c.UserID}, nil
}

const image = "arn:aws:imagebuilder:us-east-1:123456789012:image/web/1.0.0/1"

func TestTheCLIShowsAnswersAndErrors(t *testing.T) {
	t.Parallel()
	name := filepath.Join(filepath.Dir(python(t)), "aws")
	if _, err := os.Stat(name); err != nil {
		t.Skipf("no AWS CLI beside the Python: %v", err)
	}
	h, err := wire.New(wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}, Logger: slog.New(slog.DiscardHandler)},
		imagebuilder.Serve(builder{}), ec2.Serve(cloud{}), sts.Serve(tokens{}))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)

	for _, c := range []struct {
		name  string
		args  string
		env   string
		fails bool
		want  []string
	}{
		{name: "identity", args: "sts get-caller-identity --query Arn --output text", want: []string{wiretest.Key.ARN}},
		{name: "output", args: "imagebuilder get-image --image-build-version-arn " + image + " --output json",
			want: []string{`"requestId"`, `"platform": "Linux"`, `"workflows": []`, `"deprecationTime": `}},
		{name: "escaped path", args: "imagebuilder tag-resource --resource-arn " + image + " --tags team=a/b\u00a0c"},
		{name: "modelled error", args: "imagebuilder get-image --image-build-version-arn " + strings.Replace(image, "web", "missing", 1),
			fails: true, want: []string{"ResourceNotFoundException", "does not exist"}},
		{name: "constraint", args: "imagebuilder get-image --image-build-version-arn nonsense",
			fails: true, want: []string{"(InvalidParameterValueException)", "The value supplied for parameter 'imageBuildVersionArn' is not valid. 'imageBuildVersionArn' must match pattern ^arn:"}},
		{name: "not implemented", args: "imagebuilder list-workflows", fails: true, want: []string{"(UnsupportedOperationException)", "ListWorkflows"}},
		{name: "form", args: "ec2 describe-images --image-ids ami-1 --filters Name=tag:team,Values=a,<b>&c --output json",
			want: []string{`"ImageId": "ami-1"`, `"Name": "tag:team"`, `"Value": "<b>&c"`, `"Public": false`}},
		{name: "form error", args: "ec2 describe-images", fails: true, want: []string{"(InvalidAMIID.NotFound)", "'[<ami>]'"}},
		{name: "form not implemented", args: "ec2 describe-regions", fails: true, want: []string{"(UnsupportedOperation)"}},
		{name: "operation unknown to the server", args: "ec2 describe-vpcs", fails: true, want: []string{"(InvalidAction)"}},
		{name: "service unknown to the server", args: "lambda list-functions", fails: true, want: []string{"(UnknownServiceException)", "lambda"}},
		{name: "wrong secret", args: "imagebuilder list-images", env: "AWS_SECRET_ACCESS_KEY=wrong", fails: true, want: []string{"(InvalidSignatureException)"}},
		{name: "wrong secret, form", args: "sts get-caller-identity", env: "AWS_SECRET_ACCESS_KEY=wrong", fails: true, want: []string{"(SignatureDoesNotMatch)"}},
		{name: "wrong secret, ec2", args: "ec2 describe-images", env: "AWS_SECRET_ACCESS_KEY=wrong", fails: true, want: []string{"(AuthFailure)"}},
		{name: "unknown key", args: "imagebuilder list-images", env: "AWS_ACCESS_KEY_ID=AKIANOBODY", fails: true, want: []string{"(UnrecognizedClientException)"}},
		{name: "unsigned", args: "imagebuilder list-images --no-sign-request", fails: true, want: []string{"(MissingAuthenticationTokenException)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(strings.ReplaceAll(c.args, "\u00a0", "\x00"))
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "\x00", " ")
			}
			cmd := exec.CommandContext(t.Context(), name, args...)
			cmd.Env = append(environment(t, server.URL), c.env)
			out, _ := cmd.CombinedOutput()
			if failed := cmd.ProcessState.ExitCode() != 0; failed != c.fails {
				t.Errorf("failed: %v, want %v", failed, c.fails)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in the CLI's output", want)
				}
			}
			if t.Failed() {
				t.Logf("aws %s\n%s", strings.Join(args, " "), out)
			}
		})
	}
}
