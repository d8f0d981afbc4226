package server

import (
	"context"
	"errors"
)

// Worker is a running 'goldsmith worker': the engine without the API.
type Worker struct{ server *Server }

// ErrAlone says that a worker has no database that it could share.
var ErrAlone = errors.New("a worker takes images from a database that servers share: set database in the configuration")

// StartWorker starts a worker. On an error nothing is left running.
func StartWorker(ctx context.Context, o Options) (_ *Worker, err error) {
	if o.Config.Database == "" {
		return nil, ErrAlone
	}
	s := &Server{log: o.Log, config: o.Config, metrics: newMetrics(), unlock: func() {}}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if _, _, err := s.open(ctx, o); err != nil {
		return nil, err
	}
	if o.Config.Shared == "" {
		s.log.Warn("no shared folder is configured: this worker finds only parent images and snapshots of its own data folder", "data", string(s.dir))
	}
	if err := s.engine.Start(ctx); err != nil {
		return nil, err
	}
	s.log.Info("working", "data", string(s.dir), "builds", o.Config.Builds)
	return &Worker{s}, nil
}

// Wait works until ctx ends, and then interrupts the images under way: another
// worker goes on with them, or this one when it starts again.
func (w *Worker) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case <-w.server.engine.Lost():
		err = errLost
	}
	w.server.log.Info("stopping")
	stop, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err = errors.Join(err, w.server.engine.Stop(stop))
	w.server.release()
	return err
}
