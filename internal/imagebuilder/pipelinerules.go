package imagebuilder

import (
	"fmt"
	"strings"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/schedule"
)

// checkPipeline holds a pipeline to the rules that need no look at other
// resources.
func (r request) checkPipeline(p *api.ImagePipeline) error {
	if err := checkSchedule(p.Schedule, r.now); err != nil {
		return err
	}
	if err := r.passesRole(p.ExecutionRole); err != nil {
		return err
	}
	if l := p.LoggingConfiguration; l != nil {
		for member, name := range map[string]*string{"imageLogGroupName": l.ImageLogGroupName, "pipelineLogGroupName": l.PipelineLogGroupName} {
			if err := checkLogGroup("loggingConfiguration."+member, name, p.ExecutionRole); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLogGroup: log groups that are not the service's own are written with the
// execution role (User Guide, "Custom log groups").
func checkLogGroup(member string, name, role *string) error {
	if name != nil && !strings.HasPrefix(*name, "/aws/imagebuilder/") && role == nil {
		return combination("You must specify an executionRole when %s does not begin with /aws/imagebuilder/.", member)
	}
	return nil
}

func checkSchedule(sch *api.Schedule, now time.Time) error {
	if sch == nil {
		return nil
	}
	where, err := location(sch.Timezone)
	if err != nil {
		return invalid("schedule.timezone", "'%s' is not a time zone of the IANA database, such as Europe/Berlin.", fault.Clip(text(sch.Timezone)))
	}
	if sch.ScheduleExpression == nil {
		return nil
	}
	parsed, err := schedule.Parse(*sch.ScheduleExpression)
	if err != nil {
		return invalid("schedule.scheduleExpression", "The schedule expression is not valid: %s.", err)
	}
	if _, ok := parsed.Next(now, now, where); !ok {
		return invalid("schedule.scheduleExpression", "The schedule expression '%s' never matches.", fault.Clip(*sch.ScheduleExpression))
	}
	return nil
}

// location reads a time zone; absent means UTC. "Local" and the empty name,
// which Go takes for zones of its own, are none.
func location(name *string) (*time.Location, error) {
	if name == nil {
		return time.UTC, nil
	}
	if *name == "" || strings.EqualFold(*name, "local") {
		return nil, fmt.Errorf("%q is not a time zone", *name)
	}
	return time.LoadLocation(*name)
}

// nextRun gives when a pipeline's schedule is due after now; set is when the
// schedule was set. A pipeline that is disabled or has none is never due.
func nextRun(p *api.ImagePipeline, set, now time.Time) (time.Time, bool) {
	if p.Schedule == nil || p.Schedule.ScheduleExpression == nil || or(p.Status, api.PipelineStatusEnabled) != api.PipelineStatusEnabled {
		return time.Time{}, false
	}
	sch, err := schedule.Parse(*p.Schedule.ScheduleExpression)
	if err != nil {
		return time.Time{}, false // it was checked when it was set
	}
	where, err := location(p.Schedule.Timezone)
	if err != nil {
		return time.Time{}, false
	}
	return sch.Next(set, now, where)
}

// setAt is when a pipeline's schedule was set: with its last update.
func setAt(p *api.ImagePipeline) time.Time {
	t, err := time.Parse(time.RFC3339, text(p.DateUpdated))
	if err != nil {
		return time.Time{}
	}
	return t
}

// tested reports whether an image goes through the test stage.
func tested(tests *api.ImageTestsConfiguration, workflows []api.WorkflowConfiguration) bool {
	if tests != nil && !or(tests.ImageTestsEnabled, true) {
		return false
	}
	for _, w := range workflows {
		if strings.Contains(text(w.WorkflowArn), ":workflow/test/") {
			return true
		}
	}
	return len(workflows) == 0
}
