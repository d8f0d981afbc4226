package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// assignment says to a worker process what it is.
type assignment struct {
	Address string // of the database
	Dir     string // its data folder
	Builds  int
	Lease   time.Duration
}

// lostLease is the exit status of a worker whose lease others have taken.
const lostLease = 75

// assigned is the variable of the environment with the assignment, JSON.
const assigned = "GOLDSMITH_SIMULATION"

// service is the service over a store.
func service(rows *store.Store, now func() time.Time) (*imagebuilder.Service, *cloud.World) {
	world := cloud.New(rows, nil)
	unlimited := imagebuilder.Quotas{Pipelines: -1, Builds: -1, ImageRecipes: -1, Infrastructures: -1}
	return imagebuilder.New(imagebuilder.Config{Store: rows, World: world, Parents: parents{}, Quotas: unlimited, Now: now, Log: slog.New(slog.DiscardHandler)}), world
}

// work is a process that starts what is due and builds, until it is killed or
// told to stop.
func work(text string) error {
	var a assignment
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return fmt.Errorf("reading the assignment: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	rows, err := store.OpenPostgres(ctx, a.Address)
	if err != nil {
		return err
	}
	s, world := service(rows, nil)
	e, err := engine.New(ctx, engine.Config{
		Store: rows, Cloud: world, Disks: blank{}, Builder: nothing("sandbox"), Tester: nothing("vm"), Resolver: s, Recorder: s, Dir: a.Dir, Node: a.Dir, Builds: a.Builds,
		Lease: a.Lease, Reserve: 1, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	s.Attach(e)
	if err := e.Start(ctx); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.RunSchedules(ctx)
	}()
	select {
	case <-ctx.Done():
	case <-e.Lost():
		os.Exit(lostLease) // as it would with the process: nothing of it may write any more
	}
	<-ended
	patient, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(e.Stop(patient), rows.Close())
}
