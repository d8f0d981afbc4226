package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"

	apiib "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	apists "github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/base"
	"github.com/goldsmith-build/goldsmith/internal/bucket"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/cloud/download"
	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/cloud/export"
	"github.com/goldsmith-build/goldsmith/internal/cloud/function"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/cloud/topic"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/gate"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/sandbox"
	"github.com/goldsmith-build/goldsmith/internal/instance/vm"
	"github.com/goldsmith-build/goldsmith/internal/session"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/sts"
	"github.com/goldsmith-build/goldsmith/internal/wire"
)

// Options are what a server is started with.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Toe    string // the executor binary that is put into instances
}

// Server is a running 'goldsmith serve'.
type Server struct {
	URL string // "http://HOST:PORT"

	log      *slog.Logger
	config   *config.Config
	who      *principals
	sessions *session.Sealer
	dir      datadir.Dir
	store    *store.Store
	disks    *Disks
	params   *parameter.Store
	outbox   *delivery.Outbox
	exports  *export.Exports
	copies   *cloud.Copier
	topics   *topic.Topics
	events   *event.Bus
	engine   *engine.Engine
	metrics  *metrics
	http     *http.Server
	files    http.Handler // the disks of AMIs
	served   chan error
	queues   map[string]int // of jobs besides images; a worker has none
	stopping atomic.Bool
	schedule func() // ends the schedules and returns when they have
	unlock   func()
}

// stopTime is how long a stopping server waits for requests and builds to come
// to a point from which the next server goes on.
const stopTime = 30 * time.Second

// Start starts a server; it answers when Start returns. On an error nothing is
// left running.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	s := &Server{log: o.Log, config: o.Config, metrics: newMetrics(), unlock: func() {}}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	s.queues = map[string]int{delivery.QueueName: deliveries, cloud.CopyQueue: copies}
	service, world, err := s.open(ctx, o)
	if err != nil {
		return nil, err
	}
	observe := s.metrics.request
	if o.Log.Enabled(ctx, slog.LevelDebug) {
		log := wire.LogTo(o.Log)
		observe = func(ctx context.Context, e wire.Event) {
			s.metrics.request(ctx, e)
			log(ctx, e)
		}
	}
	door := gate.New(map[string]gate.Resources{"imagebuilder": service, "ec2": world, "sns": s.topics}, nil)
	api, err := wire.New(wire.Config{Keys: s.who, Gate: door, Logger: o.Log, Observe: observe},
		append(s.faces(world), apiib.Serve(service), apists.Serve(sts.New(s.who.Directory, s.sessions, nil)))...)
	if err != nil {
		return nil, err
	}
	files, err := download.New(download.Config{Store: s.store, World: world, Disks: s.disks, Permit: door.Permit, Dir: filepath.Join(s.dir.Cache(), "vmdk")})
	if err != nil {
		return nil, err
	}
	s.files = api.Signed("ec2", "DownloadImage", files.Serve)
	if o.Config.Database == "" {
		if err := s.outbox.Resume(ctx); err != nil {
			return nil, fmt.Errorf("taking up messages: %w", err)
		}
	}
	ln, err := s.bind(o.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", o.Config.Listen, err)
	}
	if err := s.engine.Start(ctx); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	if err := s.exports.Resume(ctx); err != nil {
		return nil, errors.Join(err, ln.Close(), s.engine.Stop(ctx))
	}
	s.serve(ln, s.routes(api))
	if err := s.dir.WriteConfig(s.URL, o.Config.Region); err != nil {
		return nil, errors.Join(err, s.http.Close(), s.engine.Stop(ctx))
	}
	s.schedule = background(service.RunSchedules)
	s.log.Info("serving", "url", s.URL, "data", string(s.dir), "builds", o.Config.Builds)
	return s, nil
}

// open opens what the configuration names and puts it together.
func (s *Server) open(ctx context.Context, o Options) (_ *imagebuilder.Service, _ *cloud.World, err error) {
	for _, w := range o.Config.Warnings {
		s.log.Warn(w)
	}
	if s.dir, err = datadir.Open(o.Config.DataDir); err != nil {
		return nil, nil, err
	}
	unlock, err := s.dir.Lock()
	if err != nil {
		return nil, nil, err
	}
	s.unlock = unlock
	if o.Config.Shared != "" {
		if err := s.dir.Share(o.Config.Shared); err != nil {
			return nil, nil, err
		}
	}
	if s.store, err = OpenStore(ctx, o.Config, s.dir); err != nil {
		return nil, nil, err
	}
	if s.disks, err = OpenDisks(ctx, o.Config, s.dir); err != nil {
		return nil, nil, err
	}
	world := cloud.New(s.store, faultpoint.Now)
	s.copies = world.Copier()
	world.MakeReady(s.disks.FastLaunch())
	if err := s.openCloud(o.Config, world); err != nil {
		return nil, nil, err
	}
	s.provide(o.Config, world)
	s.sessions = session.New(s.store, nil)
	if s.who, err = readPrincipals(s.dir, o.Config, s.sessions); err != nil {
		return nil, nil, err
	}
	service, err := s.assemble(ctx, o, world)
	return service, world, err
}

// OpenStore opens the database that the configuration names, or the data
// folder's own.
func OpenStore(ctx context.Context, cfg *config.Config, dir datadir.Dir) (*store.Store, error) {
	if cfg.Database != "" {
		return store.OpenPostgres(ctx, cfg.Database)
	}
	return store.Open(ctx, dir.Database())
}

// assemble puts the service and the engine together, which know each other by
// interfaces only.
func (s *Server) assemble(ctx context.Context, o Options, world *cloud.World) (*imagebuilder.Service, error) {
	functions := newFunctions(o.Config.Functions)
	service, parents, buckets, err := s.newService(ctx, o.Config, world, functions)
	if err != nil {
		return nil, err
	}
	node, err := s.dir.Node()
	if err != nil {
		return nil, err
	}
	kinds := Kinds(o.Config, s.dir)
	inSandbox := o.Config.TestInstances == config.TestInSandbox
	if inSandbox {
		s.log.Warn("tests run in sandboxes: no image is booted before it is published (testInstances)")
		kinds[1] = kinds[0]
	}
	exporter := &export.Exporter{Disks: s.disks, Buckets: buckets}
	s.exports = export.New(export.Config{Store: s.store, World: world, Exporter: exporter, Node: node, Log: s.log})
	s.engine, err = engine.New(ctx, engine.Config{
		Store: s.store, Cloud: world, Params: s.params, Disks: s.disks, Steps: s.disks.states(o.Config), Builder: kinds[0], Tester: kinds[1], TestOnCopies: inSandbox,
		Resolver: service, Recorder: service, Parents: parentSnapshots(parents), Dir: string(s.dir), Node: node, Toe: o.Toe, Builds: o.Config.Builds, AccountBuilds: o.Config.BuildsPerAccount,
		Functions: functions, Buckets: buckets, Exports: exporter, Log: s.log, Observer: s.metrics, Roles: s.who, Now: faultpoint.Now,
		Register: func(all *river.Workers) {
			s.outbox.Register(all)
			s.copies.Register(all)
		},
		Queues: s.queues,
	})
	if err != nil {
		return nil, err
	}
	service.Attach(s.engine)
	s.outbox.Attach(s.engine)
	world.Attach(s.engine)
	return service, nil
}

// newService is the service over the server's parts, without an engine.
func (s *Server) newService(ctx context.Context, cfg *config.Config, world *cloud.World, functions *function.Set) (*imagebuilder.Service, *base.Store, bucket.Service, error) {
	parents, err := base.Open(s.dir.Parents(), s.disks.Store)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("opening the parent images: %w", err)
	}
	buckets, err := openBuckets(ctx, cfg, s.dir)
	if err != nil {
		return nil, nil, nil, err
	}
	world.Organize(func(account string) []string { return s.who.Directory().Place(account).Memberships() })
	return imagebuilder.New(imagebuilder.Config{
		Places: func(account string) access.Place { return s.who.Directory().Place(account) },
		Store:  s.store, World: world, Parents: &parentImages{store: parents}, Parameters: s.params, Topics: s.topics, Events: s.events, Bucket: buckets, Log: s.log,
		Functions: functions.Has, Quotas: quotas(cfg.Quotas), Now: faultpoint.Now,
	}), parents, buckets, nil
}

// newFunctions are those of the configuration.
func newFunctions(entries []config.Function) *function.Set {
	var all []function.Function
	for _, f := range entries {
		all = append(all, function.Function{Name: f.Name, Command: f.Command, URL: f.URL, Secret: string(f.Secret)})
	}
	return function.New(all)
}

// quotas are the configuration's, in the service's terms.
func quotas(q config.Quotas) imagebuilder.Quotas {
	return imagebuilder.Quotas{
		Components: q.Components, ImageRecipes: q.ImageRecipes, ContainerRecipes: q.ContainerRecipes, Distributions: q.DistributionConfigurations,
		Infrastructures: q.InfrastructureConfigurations, Workflows: q.ImageWorkflows, Pipelines: q.ImagePipelines, LifecyclePolicies: q.LifecyclePolicies, Builds: q.ConcurrentBuilds,
		ComponentParameters: q.ParametersPerComponent, ComponentsPerRecipe: q.ComponentsPerRecipe, WorkflowsPerImage: q.WorkflowsPerImage, AccountsPerConfig: q.TargetAccounts, TemplatesPerRegion: q.LaunchTemplatesPerRegion,
		SSMParametersPerEntry: q.SSMParametersPerRegion,
	}
}

// Kinds are the kinds of instance that a data folder's server uses: the one
// that builds, and the one that tests.
func Kinds(cfg *config.Config, dir datadir.Dir) []instance.Kind {
	return []instance.Kind{
		sandbox.New(sandbox.Options{Reach: cfg.Instances.Reachable(), Privileged: cfg.Instances.Privileged}),
		vm.New(vm.Options{Reach: cfg.Instances.Reachable(), Cache: dir.Cache(), Kernel: func(ctx context.Context) (string, error) { return stockKernel(ctx, cfg, dir) }}),
	}
}

// errLost says why a process ends whose images are others' now.
var errLost = errors.New("this process did not renew its lease in time, and others have taken its images: start it again")

// Wait runs until ctx ends or the port fails, and then stops the server: no new
// requests, builds interrupted where the next server goes on.
func (s *Server) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.served:
	case <-s.engine.Lost():
		err = errLost
	}
	s.stopping.Store(true)
	s.log.Info("stopping")
	stop, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	s.schedule()
	s.outbox.Stop()
	s.exports.Stop()
	s.copies.Stop()
	err = errors.Join(err, s.hangUp(stop), s.engine.Stop(stop))
	s.release()
	return err
}

// hangUp lets the requests under way end, and cuts off those that do not: a slow
// client takes none of the time that builds have to stop.
func (s *Server) hangUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime/6)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return s.http.Close()
}

// background runs f until the function that it returns is called, which waits
// for f's end.
func background(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// release gives back what Start took.
func (s *Server) release() {
	if s.exports != nil {
		s.exports.Stop()
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.log.Error("closing the database", "err", err)
		}
	}
	s.unlock()
}
