package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/engine"
)

// buildCommand is 'goldsmith build PIPELINE'.
func buildCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "build PIPELINE",
		Short: "Start a pipeline on the running server",
		Long:  "Start a pipeline on the running server. PIPELINE is the ARN of an image pipeline.",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, data, err := existingData(cmd)
			if err != nil {
				return err
			}
			client, err := client(data, args[0])
			if err != nil {
				return err
			}
			out, err := client.StartImagePipelineExecution(cmd.Context(), &imagebuilder.StartImagePipelineExecutionInput{ImagePipelineArn: &args[0]})
			if err != nil {
				return err
			}
			if !watch {
				return printResult(cmd, map[string]any{"image": *out.ImageBuildVersionArn}, *out.ImageBuildVersionArn)
			}
			return watchImage(cmd, client, data, *out.ImageBuildVersionArn)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "look on until the image has ended; exit status 1 if it failed")
	return cmd
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

// watchImage prints the image's log as it grows and its end.
func watchImage(cmd *cobra.Command, client *imagebuilder.Client, data datadir.Dir, arn string) error {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	out := cmd.ErrOrStderr()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		followImage(ctx, out, data, arn)
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
func followImage(ctx context.Context, w io.Writer, data datadir.Dir, arn string) {
	for ctx.Err() == nil {
		if dir, err := logDir(data, arn); err == nil {
			followFile(ctx, w, dir+"/image.log")
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
