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
		wish := fromThere
		if asks {
			var err error
			if wish, err = ask(cmd.ErrOrStderr(), in); err != nil || wish == end {
				return errors.Join(failure, err)
			}
		}
		next, seen, err := b.again(cmd, image, wish)
		if err != nil {
			return errors.Join(failure, err)
		}
		image = next
		if failure = watchImage(cmd, b.client, b.data, image, seen); failure == nil || !asks || cmd.Context().Err() != nil {
			return failure
		}
	}
}

// wish is what somebody wants to be done about a failed image.
type wish int

const (
	end       wish = iota
	fromThere      // the failed stage again, or a new image from the failed component on
	anew           // a new image, also where a stage could be run again: it takes the newest components
)

// ask waits for a person to mend what is wrong.
func ask(out io.Writer, in *bufio.Reader) (wish, error) {
	for {
		fmt.Fprint(out, "Mend what is wrong and press Enter to try again from there; b builds a new image; q ends: ")
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		switch strings.TrimSpace(line) {
		case "":
			return fromThere, nil
		case "b":
			return anew, nil
		case "q":
			return end, nil
		}
	}
}

// again runs the stage that failed once more, where the build had come through
// and no new image is wished for, and else starts a new image, for which the
// components before the one that failed are cached. It gives the image, and how
// much of its log is old.
func (b *building) again(cmd *cobra.Command, image string, wish wish) (next string, seen int64, err error) {
	if wish == fromThere {
		seen = logSize(b.data, image)
		_, err = b.client.RetryImage(cmd.Context(), &imagebuilder.RetryImageInput{ImageBuildVersionArn: &image})
		var refused *types.InvalidRequestException
		switch {
		case err == nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "Retrying the failed stage of %s with the components and workflows of its plan; a changed one takes a new image\n", image)
			return image, seen, nil
		case !errors.As(err, &refused):
			return "", 0, err
		}
	}
	if next, err = b.start(cmd); err != nil {
		return "", 0, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Building %s from the last state that is still right\n", next)
	return next, 0, nil
}
