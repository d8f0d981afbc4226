package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

const benchBuild = `name: web
schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Install
        action: ExecuteBash
        inputs:
          commands:
            - set -e
            - export DEBIAN_FRONTEND=noninteractive
            - apt-get -q update
            - apt-get -q -y install --no-install-recommends nginx-light curl
  - name: validate
    steps:
      - name: Active
        action: ExecuteBash
        inputs:
          commands:
            - systemctl is-active nginx
  - name: test
    steps:
      - name: Served
        action: ExecuteBash
        inputs:
          commands:
            - curl -fsS http://localhost/
`

// pipeline compares a warm pipeline, from its start to AVAILABLE in two
// regions, with the bare floor.
func (b *bench) pipeline() error {
	dir := filepath.Join(b.tmp, "pipeline-data")
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	goldsmith := filepath.Join(b.bin, "goldsmith")
	if out, err := exec.Command(goldsmith, "base", "build", "debian-12-x86", "--data-dir", dir, "--cache", filepath.Join(cache, "goldsmith-test")).CombinedOutput(); err != nil {
		return fmt.Errorf("the parent: %w: %s", err, out)
	}
	parent := filepath.Join(b.tmp, "parent.raw")
	if out, err := exec.Command(goldsmith, "image", "get", "debian-12-x86", "--format", "raw", "-o", parent, "--data-dir", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("the parent's disk: %w: %s", err, out)
	}
	url, _, stop, err := b.serve(dir, "")
	if err != nil {
		return err
	}
	defer stop()
	client, err := sdk(dir, url)
	if err != nil {
		return err
	}
	arn, err := define(client)
	if err != nil {
		return err
	}
	var ours, floors, installs, boots []float64
	parts := map[string][]float64{}
	for round := range b.runs + 1 {
		took, image, err := runPipeline(client, arn)
		if err != nil {
			return err
		}
		install, boot, err := floor(parent, b.tmp)
		if err != nil {
			return err
		}
		if round == 0 {
			continue // warm-up: the package mirror's and the page cache
		}
		ours, floors = append(ours, took), append(floors, install+boot)
		installs, boots = append(installs, install), append(boots, boot)
		for name, seconds := range stepTimes(dir, image) {
			parts[name] = append(parts[name], seconds)
		}
	}
	pairs := ratios(ours, floors)
	slices.Sort(pairs)
	fmt.Printf("\n## Warm pipeline: nginx-light and curl on debian-12-x86, boot test, two regions (%d runs each, in turn)\n\n", b.runs)
	fmt.Printf("| | seconds: median (min to max) |\n| --- | --- |\n| pipeline, start to AVAILABLE | %s |\n| floor | %s |\n| – chroot apt-get | %s |\n| – one boot to login | %s |\n| ratio | %s |\n",
		spread(ours, "%.2f"), spread(floors, "%.2f"), spread(installs, "%.2f"), spread(boots, "%.2f"), spread(pairs, "%.2f"))
	fmt.Printf("\nWhere the pipeline's time goes:\n\n| part | median seconds |\n| --- | --- |\n")
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return int(1000 * (median(parts[y]) - median(parts[x]))) })
	for _, name := range names {
		fmt.Printf("| %s | %.3f |\n", name, median(parts[name]))
	}
	return secondRegion(dir, b.runs)
}

// sdk is a client of the server of a data folder.
func sdk(dir, url string) (*imagebuilder.Client, error) {
	key, err := datadir.Dir(dir).Key()
	if err != nil {
		return nil, err
	}
	return imagebuilder.New(imagebuilder.Options{
		BaseEndpoint: aws.String(url), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	}), nil
}

// define makes the pipeline.
func define(c *imagebuilder.Client) (string, error) {
	ctx := context.Background()
	component, err := c.CreateComponent(ctx, &imagebuilder.CreateComponentInput{Name: aws.String("web"), SemanticVersion: aws.String("1.0.0"), Platform: types.PlatformLinux, Data: aws.String(benchBuild)})
	if err != nil {
		return "", err
	}
	recipe, err := c.CreateImageRecipe(ctx, &imagebuilder.CreateImageRecipeInput{
		Name: aws.String("web"), SemanticVersion: aws.String("1.0.0"), ParentImage: aws.String("arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"),
		Components: []types.ComponentConfiguration{{ComponentArn: component.ComponentBuildVersionArn}},
	})
	if err != nil {
		return "", err
	}
	infra, err := c.CreateInfrastructureConfiguration(ctx, &imagebuilder.CreateInfrastructureConfigurationInput{Name: aws.String("web"), InstanceProfileName: aws.String("web")})
	if err != nil {
		return "", err
	}
	var list []types.Distribution
	for _, region := range []string{"us-east-1", "ap-northeast-1"} {
		list = append(list, types.Distribution{Region: aws.String(region), AmiDistributionConfiguration: &types.AmiDistributionConfiguration{Name: aws.String("web {{ imagebuilder:buildDate }}")}})
	}
	distribution, err := c.CreateDistributionConfiguration(ctx, &imagebuilder.CreateDistributionConfigurationInput{Name: aws.String("web"), Distributions: list})
	if err != nil {
		return "", err
	}
	pipeline, err := c.CreateImagePipeline(ctx, &imagebuilder.CreateImagePipelineInput{
		Name: aws.String("web"), ImageRecipeArn: recipe.ImageRecipeArn, InfrastructureConfigurationArn: infra.InfrastructureConfigurationArn, DistributionConfigurationArn: distribution.DistributionConfigurationArn,
	})
	if err != nil {
		return "", err
	}
	return *pipeline.ImagePipelineArn, nil
}

// runPipeline runs it once and gives the seconds to AVAILABLE.
func runPipeline(c *imagebuilder.Client, pipeline string) (float64, string, error) {
	ctx := context.Background()
	start := time.Now()
	run, err := c.StartImagePipelineExecution(ctx, &imagebuilder.StartImagePipelineExecutionInput{ImagePipelineArn: &pipeline})
	if err != nil {
		return 0, "", err
	}
	for {
		got, err := c.GetImage(ctx, &imagebuilder.GetImageInput{ImageBuildVersionArn: run.ImageBuildVersionArn})
		if err != nil {
			return 0, "", err
		}
		switch state := got.Image.State; state.Status {
		case types.ImageStatusAvailable:
			if n := len(got.Image.OutputResources.Amis); n != 2 {
				return 0, "", fmt.Errorf("the image has %d AMIs, not 2", n)
			}
			return time.Since(start).Seconds(), *run.ImageBuildVersionArn, nil
		case types.ImageStatusFailed, types.ImageStatusCancelled:
			return 0, "", fmt.Errorf("the image is %s: %s", state.Status, aws.ToString(state.Reason))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// floor runs floor.sh.
func floor(parent, dir string) (install, boot float64, err error) {
	cmd := exec.Command("test/bench/floor.sh", parent, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("floor.sh: %w", err)
	}
	_, err = fmt.Sscan(string(out), &install, &boot)
	return install, boot, err
}

var (
	finished = regexp.MustCompile(`Finished step (\w+) in ([0-9.]+) s`)
	copied   = regexp.MustCompile(`AMIs distributed: \d+\. (\d+) blocks moved.*\(([0-9.]+) s\)`)
)

// imageLog reads the log of an image.
func imageLog(dir, image string) string {
	_, name, _ := strings.Cut(image, ":image/")
	data, _ := os.ReadFile(filepath.Join(dir, "logs", name, "image.log"))
	return string(data)
}

// stepTimes reads how long each step took.
func stepTimes(dir, image string) map[string]float64 {
	times := map[string]float64{}
	for _, m := range finished.FindAllStringSubmatch(imageLog(dir, image), -1) {
		var seconds float64
		fmt.Sscan(m[2], &seconds)
		times[m[1]] = seconds
	}
	return times
}

// secondRegion prints what the copies took, from the logs of all runs.
func secondRegion(dir string, runs int) error {
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "web", "1.0.0", "*", "image.log"))
	if err != nil {
		return err
	}
	var seconds []float64
	blocks := 0
	for _, name := range logs {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if m := copied.FindStringSubmatch(string(data)); m != nil {
			var s float64
			var n int
			fmt.Sscan(m[1], &n)
			fmt.Sscan(m[2], &s)
			seconds, blocks = append(seconds, s), blocks+n
		}
	}
	if len(seconds) < runs {
		return fmt.Errorf("the logs tell of %d distributions, not %d", len(seconds), runs)
	}
	fmt.Printf("\n## Second region, sharing the store\n\n%s seconds; %d new blocks, %d bytes moved.\n", spread(seconds, "%.4f"), blocks, blocks*512<<10)
	return nil
}
