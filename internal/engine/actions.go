package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// action is what a step of a workflow document can do.
type action struct {
	timeout time.Duration // default, from the User Guide's table of step actions
	run     func(ctx context.Context, c *call) (result, error)
}

// call is one run of an action.
type call struct {
	run    *run
	stage  stage
	row    *store.StepExecution
	inputs map[string]any
}

// result is what an action made: outputs for later steps, rows that must come
// to be together with the step's completion, and work for after that.
type result struct {
	outputs map[string]any
	commit  func(tx *store.Tx) error
	after   func()
}

// actions are the step actions by name.
var actions map[string]action

func init() { // documents are checked against the actions, and actions look at documents
	actions = map[string]action{
		"LaunchInstance":           {75 * time.Minute, launchInstance},
		"ExecuteComponents":        {720 * time.Minute, executeComponents},
		"CollectImageMetadata":     {30 * time.Minute, collectImageMetadata},
		"SanitizeInstance":         {60 * time.Minute, sanitizeInstance},
		"CreateImage":              {720 * time.Minute, createImage},
		"TerminateInstance":        {30 * time.Minute, terminateInstance},
		"DistributeImage":          {360 * time.Minute, distributeImages},
		"ModifyImageAttributes":    {120 * time.Minute, modifyImageAttributes},
		"ApplyImageConfigurations": {360 * time.Minute, applyImageConfigurations},
	}
	stages = []stage{
		{mustManaged("build-image"), "BUILD", Building},
		{mustManaged("test-image"), "TEST", Testing},
		{mustManaged("distribute-image"), "DISTRIBUTION", Distributing},
	}
}

// instance finds the machine that the step's instanceId names.
func (c *call) instance() (*machine, error) {
	id, _ := c.inputs["instanceId"].(string)
	m := c.run.instances[id]
	if m == nil {
		return nil, fmt.Errorf("the instance %q is not running", id)
	}
	return m, nil
}

// str gives a string input, "" if it was not given.
func (c *call) str(name string) string {
	s, _ := c.inputs[name].(string)
	return s
}
