package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// setting is a simulation to run.
type setting struct {
	pipelines int // with schedules
	due       int // of them: those whose time has come
	accounts  int
	workers   int           // processes
	builds    int           // images that each of them works on at once
	deaths    int           // processes that are killed
	lease     time.Duration // how long a silent worker's images wait for another
	dir       string
	program   []string // starts a worker
}

// outcome is what came of it.
type outcome struct {
	seeded time.Duration // making the pipelines
	ran    time.Duration // from the start of the workers to the end of the last image
	deaths int
	lost   int           // workers that were too slow to keep their leases, and were started again
	first  time.Duration // until the first image had ended
	most   int           // images that had a place at once
}

// database is what all of a simulation look at.
type database struct {
	address string
	conn    *pgx.Conn
}

// run seeds the database, starts the workers, kills some, waits until nothing is
// left to do, and checks what was done.
func (s setting) run(ctx context.Context, address string) (out outcome, err error) {
	began := time.Now()
	if err := s.seed(ctx, address); err != nil {
		return out, fmt.Errorf("making pipelines: %w", err)
	}
	out.seeded = time.Since(began)
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return out, err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to say
	db := database{address, conn}
	began = time.Now()
	fleet := &fleet{setting: s, address: address}
	defer fleet.stop()
	for range s.workers {
		if err := fleet.start(); err != nil {
			return out, err
		}
	}
	if err := s.watch(ctx, db, fleet, &out, began); err != nil {
		return out, err
	}
	out.ran, out.deaths, out.lost = time.Since(began), fleet.deaths, fleet.lost
	return out, db.check(ctx, s.due)
}

// watch kills workers at random, evenly over the work, until all of it is done.
func (s setting) watch(ctx context.Context, db database, fleet *fleet, out *outcome, began time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		if err := fleet.tend(); err != nil {
			return err
		}
		ended, placed, err := db.progress(ctx)
		if err != nil {
			return err
		}
		out.most = max(out.most, placed)
		if ended > 0 && out.first == 0 {
			out.first = time.Since(began)
		}
		if ended >= s.due {
			return nil
		}
		if s.deaths > 0 && fleet.deaths < s.deaths && ended*(s.deaths+1) >= s.due*(fleet.deaths+1) {
			if err := fleet.replaceOne(); err != nil {
				return err
			}
		}
	}
}

// seed makes the pipelines, in many accounts. Those that are due were made two
// hours ago, to run every hour.
func (s setting) seed(ctx context.Context, address string) error {
	rows, err := store.OpenPostgres(ctx, address)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // what was written is committed
	ib, _ := service(rows, func() time.Time { return time.Now().Add(-2 * time.Hour) })
	var all sync.WaitGroup
	errs := make([]error, s.accounts)
	for a := range s.accounts {
		all.Go(func() { errs[a] = s.seedAccount(ctx, ib, a) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s setting) seedAccount(ctx context.Context, ib *imagebuilder.Service, a int) error {
	account := fmt.Sprintf("%012d", 100_000_000_000+a)
	ctx = identity.With(ctx, identity.Caller{Account: account, Region: "us-east-1", ARN: "arn:aws:iam::" + account + ":user/admin"})
	parent := "arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"
	recipe, err := ib.CreateImageRecipe(ctx, &api.CreateImageRecipeInput{Name: ptr("web"), SemanticVersion: ptr("1.0.0"), ParentImage: &parent, ClientToken: ptr("recipe")})
	if err != nil {
		return err
	}
	infrastructure, err := ib.CreateInfrastructureConfiguration(ctx, &api.CreateInfrastructureConfigurationInput{Name: ptr("small"), InstanceProfileName: ptr("profile"), ClientToken: ptr("infrastructure")})
	if err != nil {
		return err
	}
	// Two images of a name in the same millisecond would have the same default name
	// of their AMIs, which with builds that take no time happens.
	name := &api.AmiDistributionConfiguration{Name: ptr("web {{ imagebuilder:buildVersion }} {{ imagebuilder:buildDate }}")}
	distribution, err := ib.CreateDistributionConfiguration(ctx, &api.CreateDistributionConfigurationInput{
		Name: ptr("here"), ClientToken: ptr("distribution"), Distributions: []api.Distribution{{Region: ptr("us-east-1"), AmiDistributionConfiguration: name}},
	})
	if err != nil {
		return err
	}
	for i := a; i < s.pipelines; i += s.accounts {
		often := "rate(1 hour)"
		if i >= s.due {
			often = "rate(1000 days)"
		}
		_, err := ib.CreateImagePipeline(ctx, &api.CreateImagePipelineInput{
			Name: ptr(fmt.Sprint("pipeline-", i)), ImageRecipeArn: recipe.ImageRecipeArn, InfrastructureConfigurationArn: infrastructure.InfrastructureConfigurationArn,
			DistributionConfigurationArn: distribution.DistributionConfigurationArn,
			ClientToken:                  ptr(fmt.Sprint("pipeline-", i)), ImageTestsConfiguration: &api.ImageTestsConfiguration{ImageTestsEnabled: ptr(false)},
			Schedule: &api.Schedule{ScheduleExpression: &often, PipelineExecutionStartCondition: ptr(api.PipelineExecutionStartConditionExpressionMatchOnly)},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func ptr[T any](v T) *T { return &v }

// progress gives how many images have ended, and how many have a place.
func (db database) progress(ctx context.Context) (ended, placed int, err error) {
	err = db.conn.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM resource WHERE kind = 'image' AND status IN ('AVAILABLE', 'FAILED', 'CANCELLED')), (SELECT COUNT(*) FROM queued_image WHERE state = 1)`).Scan(&ended, &placed)
	return ended, placed, err
}

// wrongs are what must not be, as queries that count it.
var wrongs = []struct{ what, query string }{
	{"images that are not AVAILABLE", `SELECT COUNT(*) FROM resource WHERE kind = 'image' AND status <> 'AVAILABLE'`},
	{"pipelines with more than one image", `SELECT COUNT(*) FROM (SELECT parent FROM resource WHERE kind = 'image' GROUP BY parent HAVING COUNT(*) > 1) AS twice`},
	{"pipelines that are due", `SELECT COUNT(*) FROM resource WHERE kind = 'image-pipeline' AND due > 0 AND due < EXTRACT(EPOCH FROM clock_timestamp()) * 1000`},
	{"images in the queue", `SELECT COUNT(*) FROM queued_image`},
	{"images with another number of AMIs than one", `SELECT COUNT(*) FROM (SELECT COUNT(*) FROM resource WHERE kind = 'image') AS images(n), (SELECT COUNT(*) FROM ami) AS amis(n) WHERE images.n <> amis.n`},
	{"images whose build workflow was completed more or less often than once", `SELECT COUNT(*) FROM resource WHERE kind = 'image' AND 1 <> (SELECT COUNT(*) FROM workflow_execution WHERE image_arn = arn AND type = 'BUILD' AND workflow_execution.status = 'COMPLETED')`},
	{"executions that were left running", `SELECT COUNT(*) FROM workflow_execution WHERE status NOT IN ('COMPLETED', 'CANCELLED')`},
	{"steps that were left running", `SELECT COUNT(*) FROM step_execution WHERE status = 'RUNNING'`},
}

// check looks for what must not be, when all is done.
func (db database) check(ctx context.Context, due int) error {
	var errs []error
	count := func(query string) (n int) {
		if err := db.conn.QueryRow(ctx, query).Scan(&n); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", query, err))
		}
		return n
	}
	if n := count(`SELECT COUNT(*) FROM resource WHERE kind = 'image'`); n != due {
		errs = append(errs, fmt.Errorf("there are %d images of %d pipelines that were due", n, due))
	}
	for _, w := range wrongs {
		if n := count(w.query); n != 0 {
			errs = append(errs, fmt.Errorf("%s: %d", w.what, n))
		}
	}
	var reason string
	const why = `SELECT status || ' ' || COALESCE(convert_from(doc, 'UTF8')::json #>> '{state,reason}', '') FROM resource WHERE kind = 'image' AND status <> 'AVAILABLE' LIMIT 1`
	if err := db.conn.QueryRow(ctx, why).Scan(&reason); err == nil {
		errs = append(errs, fmt.Errorf("one of them: %s", reason))
	}
	return errors.Join(errs...)
}

// fleet are the worker processes.
type fleet struct {
	setting
	address string
	started int
	deaths  int
	lost    int
	alive   []*process
}

// process is a worker process.
type process struct {
	*exec.Cmd
	ended chan struct{}
}

// start starts another worker, on a data folder of its own.
func (f *fleet) start() error {
	f.started++
	dir := filepath.Join(f.dir, fmt.Sprint("worker-", f.started))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(assignment{Address: f.address, Dir: dir, Builds: f.builds, Lease: f.lease})
	if err != nil {
		return err
	}
	p := &process{exec.Command(f.program[0], f.program[1:]...), make(chan struct{})}
	p.Env = append(os.Environ(), assigned+"="+string(text))
	p.Stderr = os.Stderr
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		return fmt.Errorf("starting a worker: %w", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // its status is in ProcessState
	}()
	f.alive = append(f.alive, p)
	return nil
}

// replaceOne kills a worker and starts another.
func (f *fleet) replaceOne() error {
	i := rand.IntN(len(f.alive))
	p := f.alive[i]
	f.alive = append(f.alive[:i], f.alive[i+1:]...)
	f.deaths++
	if err := p.Process.Kill(); err != nil {
		return fmt.Errorf("killing a worker: %w", err)
	}
	<-p.ended
	return f.start()
}

// tend starts workers again that lost their leases, as a supervisor does; a worker
// that ended for another reason is an error.
func (f *fleet) tend() error {
	for i, p := range f.alive {
		select {
		case <-p.ended:
		default:
			continue
		}
		if p.ProcessState.ExitCode() != lostLease {
			return fmt.Errorf("a worker ended by itself: %v", p.ProcessState)
		}
		f.alive = slices.Delete(f.alive, i, i+1)
		f.lost++
		return f.start()
	}
	return nil
}

// stop ends the workers.
func (f *fleet) stop() {
	for _, p := range f.alive {
		_ = p.Process.Signal(syscall.SIGTERM) // it may have ended
	}
	for _, p := range f.alive {
		select {
		case <-p.ended:
		case <-time.After(time.Minute):
			_ = p.Process.Kill()
			<-p.ended
		}
	}
}
