package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
)

// cachedSteps are the build phases of the five components: two installations,
// a configuration, a user, and the one that changes.
var cachedSteps = []string{
	"apt-get -q update && apt-get -q -y install --no-install-recommends nginx-light curl",
	"apt-get -q -y install --no-install-recommends python3 git",
	"echo 'server_tokens off;' > /etc/nginx/conf.d/tokens.conf && nginx -t",
	"useradd --create-home deploy && systemctl enable nginx",
	"echo VERSION > /etc/release-of-this",
}

// cached compares a build of five components with the rebuild after a one-line
// change of the last, both from their start to AVAILABLE without the boot test,
// which is the same in both; and beside it what other programs take.
func (b *bench) cached() error {
	dir := filepath.Join(b.tmp, "cached-data")
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if out, err := exec.Command(filepath.Join(b.bin, "goldsmith"), "base", "build", "debian-12-x86", "--data-dir", dir, "--cache", filepath.Join(cache, "goldsmith-test")).CombinedOutput(); err != nil {
		return fmt.Errorf("the parent: %w: %s", err, out)
	}
	url, pid, stop, err := b.serve(dir, "")
	if err != nil {
		return err
	}
	defer stop()
	c, err := sdk(dir, url)
	if err != nil {
		return err
	}
	pipeline, err := defineCached(c)
	if err != nil {
		return err
	}
	var plain, first, rebuilt cachedSide
	var others []peerSides
	if b.peers {
		others = make([]peerSides, len(peers))
	}
	for round := range b.runs {
		for _, run := range []struct {
			cache string
			to    *cachedSide
		}{{"off", &plain}, {"on", &first}, {"on", &rebuilt}} {
			// The first component of a round differs from that of the last one, so that
			// nothing of the first cached build is there.
			changed, text := 0, cachedSteps[0]+" && true "+run.cache+fmt.Sprint(round)
			if run.to == &rebuilt {
				changed, text = 4, strings.ReplaceAll(cachedSteps[4], "VERSION", fmt.Sprint(round))
			}
			if err := putCached(c, changed, text); err != nil {
				return err
			}
			before := familyTime(pid)
			took, err := runCached(c, pipeline, run.cache)
			if err != nil {
				return err
			}
			run.to.add(cost{took, familyTime(pid) - before})
		}
		for i := range others {
			others[i].round(&peers[i], filepath.Join(b.tmp, "peer"))
		}
	}
	fmt.Printf("\n## Cached steps: five components, a one-line change of the last (%d runs each, in turn; load %s at the end)\n\n", b.runs, loadNow())
	fmt.Print("| seconds: median (min to max) | clock | processor time |\n| --- | --- | --- |\n")
	plain.row("all components, without the cache")
	first.row("all components, keeping their states")
	rebuilt.row("the last changed")
	rebuilt.share("the last changed, as a part of all without the cache", &plain)
	first.share("keeping the states, as a part of all without the cache", &plain)
	for i := range others {
		others[i].print(&peers[i])
	}
	return nil
}

// cachedSide is one row of the table: runs of the same kind.
type cachedSide struct{ clock, cpu []float64 }

func (s *cachedSide) add(c cost) { s.clock, s.cpu = append(s.clock, c.clock), append(s.cpu, c.cpu) }

// row prints the seconds.
func (s *cachedSide) row(name string) {
	fmt.Printf("| %s | %s | %s |\n", name, spread(slices.Clone(s.clock), "%.2f"), spread(slices.Clone(s.cpu), "%.2f"))
}

// share prints the ratios to another side, run by run.
func (s *cachedSide) share(name string, of *cachedSide) {
	fmt.Printf("| %s | %s | %s |\n", name, spread(ratios(s.clock, of.clock), "%.2f"), spread(ratios(s.cpu, of.cpu), "%.2f"))
}

// putCached makes the next build of a component.
func putCached(c *imagebuilder.Client, number int, script string) error {
	document := fmt.Sprintf("schemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - name: Script\n        action: ExecuteBash\n        inputs:\n          commands:\n            - %q\n", "export DEBIAN_FRONTEND=noninteractive; "+script)
	_, err := c.CreateComponent(context.Background(), &imagebuilder.CreateComponentInput{
		Name: aws.String(fmt.Sprintf("cached-%d", number)), SemanticVersion: aws.String("1.0.0"), Platform: types.PlatformLinux, Data: &document,
	})
	return err
}

// defineCached makes the pipeline.
func defineCached(c *imagebuilder.Client) (string, error) {
	ctx := context.Background()
	var uses []types.ComponentConfiguration
	for i, script := range cachedSteps {
		if err := putCached(c, i, script); err != nil {
			return "", err
		}
		uses = append(uses, types.ComponentConfiguration{ComponentArn: aws.String(fmt.Sprintf("arn:aws:imagebuilder:us-east-1:123456789012:component/cached-%d/x.x.x", i))})
	}
	recipe, err := c.CreateImageRecipe(ctx, &imagebuilder.CreateImageRecipeInput{
		Name: aws.String("cached"), SemanticVersion: aws.String("1.0.0"), ParentImage: aws.String("arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"), Components: uses,
	})
	if err != nil {
		return "", err
	}
	infra, err := c.CreateInfrastructureConfiguration(ctx, &imagebuilder.CreateInfrastructureConfigurationInput{Name: aws.String("cached"), InstanceProfileName: aws.String("cached")})
	if err != nil {
		return "", err
	}
	pipeline, err := c.CreateImagePipeline(ctx, &imagebuilder.CreateImagePipelineInput{
		Name: aws.String("cached"), ImageRecipeArn: recipe.ImageRecipeArn, InfrastructureConfigurationArn: infra.InfrastructureConfigurationArn,
		ImageTestsConfiguration: &types.ImageTestsConfiguration{ImageTestsEnabled: aws.Bool(false)},
	})
	if err != nil {
		return "", err
	}
	return *pipeline.ImagePipelineArn, nil
}

// runCached runs it once and gives the seconds to AVAILABLE.
func runCached(c *imagebuilder.Client, pipeline, cache string) (float64, error) {
	ctx, start := context.Background(), time.Now()
	run, err := c.StartImagePipelineExecution(ctx, &imagebuilder.StartImagePipelineExecutionInput{ImagePipelineArn: &pipeline, Tags: map[string]string{"goldsmith:cache": cache}})
	if err != nil {
		return 0, err
	}
	for {
		got, err := c.GetImage(ctx, &imagebuilder.GetImageInput{ImageBuildVersionArn: run.ImageBuildVersionArn})
		if err != nil {
			return 0, err
		}
		switch state := got.Image.State; state.Status {
		case types.ImageStatusAvailable:
			return time.Since(start).Seconds(), nil
		case types.ImageStatusFailed, types.ImageStatusCancelled:
			return 0, fmt.Errorf("the image is %s: %s", state.Status, aws.ToString(state.Reason))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
