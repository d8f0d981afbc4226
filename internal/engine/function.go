package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud/function"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// executeStateMachine is the action ExecuteStateMachine: what the configuration
// names in the state machine's place is called, and its answer is the output.
// A call that the server's end interrupted is made again under the same ID.
func executeStateMachine(ctx context.Context, c *call) (result, error) {
	arn, input := c.str("stateMachineArn"), orText(c.str("input"), "{}")
	if !c.engine.Functions.Has(arn) {
		return result{}, errors.New(workflow.NoFunction("stateMachineArn", arn))
	}
	if !json.Valid([]byte(input)) {
		return result{}, errors.New("input is not JSON")
	}
	execution := c.executionARN(arn)
	c.log.printf("Step %s calls %s as %s", c.row.Name, arn, execution)
	out, err := c.engine.Functions.Invoke(ctx, arn, function.Call{ID: execution, Input: []byte(input)})
	if err != nil {
		return result{}, err
	}
	return result{outputs: map[string]any{"executionArn": execution, "output": strings.TrimSpace(strings.ToValidUTF8(string(out), "\uFFFD"))}}, nil
}

// executionARN names an execution as Step Functions does, by the attempt of the
// step that it belongs to.
func (c *call) executionARN(machine string) string {
	name := fmt.Sprintf("%s-%d", c.row.ID, c.row.Attempt)
	if before, after, ok := strings.Cut(machine, ":stateMachine:"); ok {
		return before + ":execution:" + after + ":" + name
	}
	return fmt.Sprintf("arn:aws:states:%s:%s:execution:%s:%s", c.plan.Image.Region, c.plan.Image.Account, machine, name)
}

// askTime is how long a function may take to ask somebody; the answer itself
// comes by SendWorkflowStepAction.
const askTime = time.Minute

// callFunction calls the function that a waiting step names. It is called
// before the step is seen to wait, so that it is called again if the server dies
// in between: at least once.
func (c *call) callFunction(ctx context.Context) error {
	name := c.str("lambdaFunctionName")
	if name == "" {
		return nil
	}
	if !c.engine.Functions.Has(name) {
		return errors.New(workflow.NoFunction("lambdaFunctionName", name))
	}
	input, err := c.waitingStep().Message()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("it took longer than %d seconds; it is to ask, and not to wait for the answer", int(askTime.Seconds())))
	defer cancel()
	_, err = c.engine.Functions.Invoke(ctx, name, function.Call{ID: fmt.Sprintf("%s-%d", c.row.ID, c.row.Attempt), Input: input})
	return err
}
