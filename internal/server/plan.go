package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/session"
)

// Plan gives the plan of the image that a start of the pipeline would make now,
// with tags on the image and toe as the executor. It needs no running server, and
// works beside one.
func Plan(ctx context.Context, cfg *config.Config, log *slog.Logger, toe, pipelineARN string, tags map[string]string) (_ *engine.Plan, err error) {
	s := &Server{log: log, config: cfg}
	if s.dir, err = datadir.Open(cfg.DataDir); err != nil {
		return nil, err
	}
	if s.store, err = OpenStore(ctx, cfg, s.dir); err != nil {
		return nil, err
	}
	defer s.store.Close()
	if s.disks, err = OpenDisks(ctx, cfg, s.dir); err != nil {
		return nil, err
	}
	world := cloud.New(s.store, nil)
	if err := s.openCloud(cfg, world); err != nil {
		return nil, err
	}
	if s.who, err = readPrincipals(s.dir, cfg, session.New(s.store, nil)); err != nil {
		return nil, err
	}
	service, _, _, err := s.newService(ctx, cfg, world, newFunctions(cfg.Functions))
	if err != nil {
		return nil, err
	}
	plan, err := service.PlanPipeline(ctx, pipelineARN, tags)
	if err == nil {
		steps := engine.Steps{States: s.disks.states(cfg), Kind: Kinds(cfg, s.dir)[0].Name(), Executor: toe}
		err = steps.Mark(ctx, plan)
	}
	if err != nil {
		return nil, fmt.Errorf("planning %s: %w", pipelineARN, err)
	}
	return plan, nil
}
