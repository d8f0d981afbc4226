package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

// building is a start of a pipeline that may be made more than once.
type building struct {
	client *imagebuilder.Client
	data   datadir.Dir
	input  *imagebuilder.StartImagePipelineExecutionInput
}

// start starts an image and gives its ARN.
func (b *building) start(cmd *cobra.Command) (string, error) {
	input := *b.input // the client writes its token into it, which is good for one start
	out, err := b.client.StartImagePipelineExecution(cmd.Context(), &input)
	if err != nil {
		return "", err
	}
	return *out.ImageBuildVersionArn, nil
}

// retry tries again what failed, until it does not or nobody wants it any more:
// on a terminal as often as somebody asks for it, elsewhere once. The error is
// the last image's.
func (b *building) retry(cmd *cobra.Command, image string, failure error) error {
	in := bufio.NewReader(cmd.InOrStdin())
	asks := cmd.InOrStdin() == os.Stdin && term.IsTerminal(int(os.Stdin.Fd()))
	for {
		fmt.Fprintln(cmd.ErrOrStderr(), failure)
		if asks {
			again, err := askAgain(cmd.ErrOrStderr(), in)
			if err != nil || !again {
				return errors.Join(failure, err)
			}
		}
		next, seen, err := b.again(cmd, image)
		if err != nil {
			return errors.Join(failure, err)
		}
		image = next
		if failure = watchImage(cmd, b.client, b.data, image, seen); failure == nil || !asks || cmd.Context().Err() != nil {
			return failure
		}
	}
}

// askAgain waits for a person to mend what is wrong.
func askAgain(out io.Writer, in *bufio.Reader) (bool, error) {
	fmt.Fprint(out, "Mend what is wrong and press Enter to try again from there; q ends: ")
	line, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil && strings.TrimSpace(line) == "", err
}

// again runs the stage that failed once more, where the build had come through,
// and else starts a new image, for which the components before the one that
// failed are cached. It gives the image, and how much of its log is old.
func (b *building) again(cmd *cobra.Command, image string) (next string, seen int64, err error) {
	seen = logSize(b.data, image)
	_, err = b.client.RetryImage(cmd.Context(), &imagebuilder.RetryImageInput{ImageBuildVersionArn: &image})
	var refused *types.InvalidRequestException
	switch {
	case err == nil:
		fmt.Fprintf(cmd.ErrOrStderr(), "Retrying %s\n", image)
		return image, seen, nil
	case !errors.As(err, &refused):
		return "", 0, err
	}
	if next, err = b.start(cmd); err != nil {
		return "", 0, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Building %s from the last state before the failure\n", next)
	return next, 0, nil
}
