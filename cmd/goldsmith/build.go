package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/engine"
)

// What 'goldsmith build --on-failure' takes.
const (
	keepOnFailure  = "keep"
	shellOnFailure = "shell"
	retryOnFailure = "retry"
)

// buildCommand is 'goldsmith build PIPELINE'.
func buildCommand() *cobra.Command {
	var watch bool
	var onFailure string
	var start startFlags
	cmd := &cobra.Command{
		Use:   "build PIPELINE",
		Short: "Start a pipeline on the running server",
		Long: "Start a pipeline on the running server. PIPELINE is the ARN of an image pipeline.\n\n" +
			"--on-failure keep keeps the instance of this image if it fails, whatever the infrastructure configuration says;\n" +
			"shell does so and opens a shell in it, where the step failed. retry tries again: the test or distribution stage in\n" +
			"which the image failed, or, if that was the build, the component that failed and those after it, in a new image\n" +
			"from the state that was kept before it. On a terminal it asks first, so that you can mend the component; elsewhere\n" +
			"it tries once. A stage is run again with the components of its plan: to take a mended test component, answer b.\n" +
			"shell and retry look on until the image has ended. A kept instance runs until the image is deleted.",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tags, err := start.tags()
			if err != nil {
				return err
			}
			input := &imagebuilder.StartImagePipelineExecutionInput{ImagePipelineArn: &args[0], Tags: tags}
			switch onFailure {
			case "", retryOnFailure:
			case keepOnFailure, shellOnFailure:
				tags["goldsmith:on-failure"] = "keep"
			default:
				return usageError{fmt.Errorf("--on-failure %q: it is keep, shell or retry", onFailure)}
			}
			_, data, err := existingData(cmd)
			if err != nil {
				return err
			}
			client, err := client(data, args[0])
			if err != nil {
				return err
			}
			b := &building{client: client, data: data, input: input}
			image, err := b.start(cmd)
			if err != nil {
				return err
			}
			if !watch && onFailure != shellOnFailure && onFailure != retryOnFailure {
				return printResult(cmd, map[string]any{"image": image}, image)
			}
			err = watchImage(cmd, client, data, image, 0)
			if err == nil || cmd.Context().Err() != nil {
				return err
			}
			return b.afterFailure(cmd, image, onFailure, err)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "look on until the image has ended; exit status 1 if it failed")
	start.add(cmd)
	cmd.Flags().StringVar(&onFailure, "on-failure", "", "keep, shell or retry")
	return cmd
}

// afterFailure does what was asked for if the image fails. The error is the
// image's if nothing helped.
func (b *building) afterFailure(cmd *cobra.Command, image, onFailure string, failure error) error {
	switch onFailure {
	case shellOnFailure:
		fmt.Fprintln(cmd.ErrOrStderr(), failure)
		var status exitStatus // of the shell: the build's counts
		if err := openShell(cmd.Context(), b.data, image); err != nil && !errors.As(err, &status) {
			return errors.Join(failure, err)
		}
		return failure
	case retryOnFailure:
		return b.retry(cmd, image, failure)
	}
	return failure
}

// logSize is how long an image's log is, in bytes; 0 if there is none.
func logSize(data datadir.Dir, arn string) int64 {
	dir, err := logDir(data, arn)
	if err != nil {
		return 0
	}
	info, err := os.Stat(filepath.Join(dir, "image.log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// client talks to the server of a data folder, in the region of an ARN.
func client(data datadir.Dir, arn string) (*imagebuilder.Client, error) {
	region, err := regionOf(arn)
	if err != nil {
		return nil, err
	}
	endpoint, err := data.Endpoint()
	if err != nil {
		return nil, fmt.Errorf("%w (has a server been started on this data folder?)", err)
	}
	key, err := data.Key()
	if err != nil {
		return nil, err
	}
	return imagebuilder.New(imagebuilder.Options{
		BaseEndpoint: aws.String(endpoint),
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	}), nil
}

// logsGrace is how long an image's log may end after the image has. An image
// that failed before it had a plan has no log.
const logsGrace = 2 * time.Second

// watchImage prints the image's log as it grows, from a place in it, and the
// image's end.
func watchImage(cmd *cobra.Command, client *imagebuilder.Client, data datadir.Dir, arn string, from int64) error {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	out := cmd.ErrOrStderr()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		followImage(ctx, out, data, arn, from)
	}()
	for {
		got, err := client.GetImage(cmd.Context(), &imagebuilder.GetImageInput{ImageBuildVersionArn: &arn})
		if err != nil {
			return err
		}
		state := got.Image.State
		if engine.Status(state.Status).Terminal() { // the log's end comes just after; there may be none
			select {
			case <-followed:
			case <-time.After(logsGrace):
				stop()
				<-followed
			}
		}
		switch state.Status {
		case types.ImageStatusAvailable:
			return printAvailable(cmd, got.Image)
		case types.ImageStatusFailed, types.ImageStatusCancelled:
			return fmt.Errorf("the image is %s: %s", state.Status, printable(aws.ToString(state.Reason)))
		}
		select {
		case <-cmd.Context().Done():
			return fmt.Errorf("interrupted; the build goes on: goldsmith logs --follow %s", arn)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// followImage waits for the image's log to appear and follows it.
func followImage(ctx context.Context, w io.Writer, data datadir.Dir, arn string, from int64) {
	for ctx.Err() == nil {
		if dir, err := logDir(data, arn); err == nil {
			followFile(ctx, w, dir+"/image.log", from)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// printAvailable prints what was published.
func printAvailable(cmd *cobra.Command, image *types.Image) error {
	text := aws.ToString(image.Arn)
	var amis []map[string]string
	if image.OutputResources != nil {
		for _, ami := range image.OutputResources.Amis {
			text += fmt.Sprintf("\n%s\t%s\t%s", aws.ToString(ami.Region), aws.ToString(ami.Image), aws.ToString(ami.Name))
			amis = append(amis, map[string]string{"region": aws.ToString(ami.Region), "ami": aws.ToString(ami.Image), "name": aws.ToString(ami.Name)})
		}
	}
	return printResult(cmd, map[string]any{"image": aws.ToString(image.Arn), "amis": amis}, text)
}
