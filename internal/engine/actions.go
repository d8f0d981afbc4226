package engine

import (
	"context"
	"fmt"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// action does what a step of a workflow document says.
type action func(ctx context.Context, c *call) (result, error)

// call is one run of an action.
type call struct {
	*flow
	row    *store.StepExecution
	inputs map[string]any // of the forms that the catalogue gives (package workflow)
}

// result is what an action made: outputs for later steps, rows that must come
// to be together with the step's completion, and work for after that. An action
// that had nothing to do says why in skipped.
type result struct {
	outputs map[string]any
	commit  func(tx *store.Tx) error
	after   func()
	skipped string
}

const waitForActionName = "WaitForAction"

// actions are the step actions that this version runs, by name: those of
// workflow.Actions that are not Unavailable.
var actions = map[string]action{
	"LaunchInstance":           launchInstance,
	"ExecuteComponents":        executeComponents,
	"RunCommand":               runCommand,
	"RunSysPrep":               runSysPrep,
	"SanitizeInstance":         sanitizeInstance,
	"CollectImageMetadata":     collectImageMetadata,
	"CollectImageScanFindings": collectImageScanFindings,
	"CreateImage":              createImage,
	"RegisterImage":            registerImage,
	"TerminateInstance":        terminateInstance,
	waitForActionName:          waitForAction,
	"WaitForSSMAgent":          waitForSSMAgent,
	"ExecuteStateMachine":      executeStateMachine,
	"DistributeImage":          distributeImages,
	"ModifyImageAttributes":    modifyImageAttributes,
	"ApplyImageConfigurations": applyImageConfigurations,
}

// instance finds the machine that the step's instanceId names.
func (c *call) instance() (*machine, error) {
	id := c.str("instanceId")
	c.mu.Lock()
	m := c.instances[id]
	c.mu.Unlock()
	if m == nil {
		return nil, fmt.Errorf("the instance %q is not running", id)
	}
	if m.stopped {
		return nil, fmt.Errorf("the instance %s was stopped when its image was made", id)
	}
	return m, nil
}

// str gives a text input, "" if it was not given.
func (c *call) str(name string) string {
	s, _ := c.inputs[name].(string)
	return s
}

// flag gives a boolean input, false if it was not given.
func (c *call) flag(name string) bool {
	b, _ := c.inputs[name].(bool)
	return b
}

// texts gives the texts of a list.
func texts(v any) []string {
	list, _ := v.([]any)
	var all []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// commandDone is the outcome of an action that runs something in an instance,
// as Systems Manager tells it.
func (c *call) commandDone(output any) result {
	return result{outputs: map[string]any{"status": "Success", "output": output, "runCommandId": c.row.ID}}
}

// runSysPrep is the action RunSysPrep. It is in copies of Amazon's build-image
// for Windows, under a condition that is never true here.
func runSysPrep(context.Context, *call) (result, error) {
	return result{}, fmt.Errorf("RunSysPrep prepares Windows instances, which do not run in this version; put the step under the condition that $.imagebuilder.platform is Windows")
}

// collectImageScanFindings is the action CollectImageScanFindings.
func collectImageScanFindings(_ context.Context, c *call) (result, error) {
	if _, err := c.instance(); err != nil {
		return result{}, err
	}
	return result{skipped: "images are not scanned in this version, so there are no findings to collect"}, nil
}

// waitForSSMAgent is the action WaitForSSMAgent. What stands for the agent is
// the way into the guest that answers commands; it is waited for also while the
// guest reboots.
func waitForSSMAgent(ctx context.Context, c *call) (result, error) {
	m, err := c.instance()
	if err != nil {
		return result{}, err
	}
	exit, err := m.Exec(ctx, command("true"))
	if err != nil {
		return result{}, fmt.Errorf("waiting for the agent of instance %s: %w", m.id, err)
	}
	if exit != 0 {
		return result{}, fmt.Errorf("the agent of instance %s does not run commands: exit status %d", m.id, exit)
	}
	return result{outputs: map[string]any{"status": "Online"}}, nil
}
