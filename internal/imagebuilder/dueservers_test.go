package imagebuilder_test

import (
	"sync"
	"testing"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// TestServersStartSchedulesOnce has several servers that look for what is due at
// the same time, again and again; one has a clock that is 20 minutes behind.
func TestServersStartSchedulesOnce(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	servers := make([]*fixture, 4)
	late := func() time.Time { return servers[0].now().Add(-20 * time.Minute) }
	for i := range servers {
		rows, err := store.OpenPostgres(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rows.Close() })
		servers[i] = open(t, func(c *imagebuilder.Config) {
			c.Store, c.World = rows, cloud.New(rows, nil)
			if i > 0 {
				c.Now = func() time.Time { return servers[0].now() }
			}
			if i == 3 {
				c.Now = late
			}
		})
	}
	f := servers[0]
	const pipelines = 20
	recipe := f.recipe("web", "1.0.0")
	for i := range pipelines {
		f.scheduled(string(rune('a'+i)), recipe, api.PipelineExecutionStartConditionExpressionMatchOnly)
	}
	count := func() (all int, twice []string) {
		seen := map[string]bool{}
		for _, s := range servers {
			s.queue.mu.Lock()
			for _, arn := range s.queue.jobs {
				if all++; seen[arn] {
					twice = append(twice, arn)
				}
				seen[arn] = true
			}
			s.queue.mu.Unlock()
		}
		return all, twice
	}
	for hour := 1; hour <= 3; hour++ {
		f.advance(time.Hour)
		var together sync.WaitGroup
		for _, s := range servers {
			for range 2 {
				together.Go(func() {
					if err := s.StartDue(t.Context()); err != nil {
						t.Errorf("StartDue: %v", err)
					}
				})
			}
		}
		together.Wait()
		all, twice := count()
		same(t, "images", all, hour*pipelines)
		same(t, "images twice", twice, []string(nil))
	}
}

// Whatever a server's clock does, a match is started once.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	f := open(t)
	pipe := f.scheduled("hourly", f.recipe("web", "1.0.0"), api.PipelineExecutionStartConditionExpressionMatchOnly)
	next := func() string {
		return *must(f.GetImagePipeline(f.ctx, &api.GetImagePipelineInput{ImagePipelineArn: p(pipe)}))(t).ImagePipeline.DateNextRun
	}
	f.advance(time.Hour)
	same(t, "at its time", len(f.startDue()), 1)
	f.advance(-3 * time.Hour)
	same(t, "after a jump back", len(f.startDue()), 0)
	for range 3 { // what was started is not started again
		f.advance(time.Hour)
		same(t, "the same hours again", len(f.startDue()), 0)
	}
	f.advance(time.Hour)
	same(t, "the hour after them", len(f.startDue()), 1)
	f.advance(365 * 24 * time.Hour)
	same(t, "after a jump of a year", len(f.startDue()), 1)
	same(t, "again", len(f.startDue()), 0)
	same(t, "next", next(), "2027-11-21T13:00:00.000Z")
}

// A cron expression whose time daylight saving leaves out, or has twice, in the
// pipeline's own time zone.
func TestSchedulesThroughDaylightSaving(t *testing.T) {
	t.Parallel()
	f := open(t)
	in := f.pipelineInput("nightly", f.recipe("web", "1.0.0"))
	condition := api.PipelineExecutionStartConditionExpressionMatchOnly
	in.Schedule = &api.Schedule{ScheduleExpression: p("cron(30 2 * * ? *)"), Timezone: p("Europe/Berlin"), PipelineExecutionStartCondition: &condition}
	must(f.CreateImagePipeline(f.ctx, in))(t)
	f.advance(time.Date(2027, 3, 26, 12, 0, 0, 0, time.UTC).Sub(f.now()))
	f.startDue()
	count := func(hours int) (n int) {
		for range hours * 2 {
			f.advance(30 * time.Minute)
			n += len(f.startDue())
		}
		return n
	}
	same(t, "from Friday to Sunday, when the clocks go from 2 to 3", count(2*24), 1)
	same(t, "the next day", count(24), 1)
	f.advance(time.Date(2027, 10, 30, 12, 0, 0, 0, time.UTC).Sub(f.now()))
	f.startDue()
	same(t, "the night in which 2:30 comes twice", count(24), 1)
}

// A pipeline whose parent is a parameter builds again when the parameter names
// another AMI.
func TestSchedulesWaitForParameters(t *testing.T) {
	t.Parallel()
	parameters := values{}
	f := open(t, func(c *imagebuilder.Config) { c.Parameters = parameters })
	amiOf := func(parent string) string {
		in := f.recipeInput("any", "1.0.x")
		in.ParentImage = p(parent)
		return must(f.planned(*must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn))(t).Parent.AMI
	}
	const debians = "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/"
	older, newer := amiOf(debians+"2026.11.20"), amiOf(debians+"2026.11.21")
	in := f.recipeInput("web", "1.0.0")
	in.ParentImage = p("ssm:/golden/base")
	f.scheduled("hourly", *must(f.CreateImageRecipe(f.ctx, in))(t).ImageRecipeArn, api.PipelineExecutionStartConditionExpressionMatchAndDependencyUpdatesAvailable)
	hour := func() []string {
		f.advance(time.Hour)
		return f.startDue()
	}
	parameters["/golden/base"] = older
	first := hour()
	same(t, "the first time", len(first), 1)
	f.finish(first[0], engine.Available)
	same(t, "the same AMI", len(hour()), 0)
	parameters["/golden/base"] = newer
	second := hour()
	same(t, "another AMI", len(second), 1)
	f.finish(second[0], engine.Available)
	same(t, "the same AMI again", len(hour()), 0)
}
