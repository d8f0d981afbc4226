package fault

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store/pgserver"
)

// sharedSite is a server and a worker on one PostgreSQL.
func sharedSite(t *testing.T) (s *site, worker *process, pg *pgserver.Server) {
	t.Helper()
	pg, err := pgserver.New()
	if errors.Is(err, pgserver.ErrAbsent) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, pg.Close()) })
	database, err := pg.Database()
	must(t, err)
	s = newSite(t, setting{database: database})
	worker = s.process(filepath.Join(s.temp, "..", "worker"), "worker")
	worker.start()
	t.Cleanup(func() { worker.stop(nil) })
	return s, worker, pg
}

// TestKilledWorkers kills whichever of a server and a worker has the image.
func TestKilledWorkers(t *testing.T) {
	t.Parallel()
	if !*full {
		t.Skip("a part of make fault")
	}
	s, worker, _ := sharedSite(t)
	left := 3 // workers that are not started again: the server goes on after 30 s
	for _, place := range s.placesOf("good", available) {
		s.inject("server or worker killed, PostgreSQL", "good", place, available, func(_ string, pid int) {
			p, who := s.server, "server"
			if pid == worker.cmd.Process.Pid {
				p, who = worker, "worker"
			}
			s.exact = place + " (" + who + ")"
			p.kill()
			s.points.release()
			if who == "worker" && left > 0 {
				left--
				s.exact = place + " (worker, not started again)"
				return
			}
			p.start()
		})
		if !worker.alive() {
			worker.start()
		}
	}
	worker.stop(nil)
	s.finish()
}

// TestDatabaseAway takes the database away for 30 s at the places of a build: its
// processes are stopped, or it is killed and started again.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	if !*full {
		t.Skip("a part of make fault")
	}
	s, worker, pg := sharedSite(t)
	const away = 30 * time.Second
	places := s.placesOf("good", available)
	for i := range places {
		if i%9 != 4 {
			continue
		}
		s.inject("PostgreSQL stopped for 30 s", "good", places[i], available, func(string, int) {
			must(t, pg.Pause(true))
			s.points.release()
			time.Sleep(away)
			must(t, pg.Pause(false))
		})
		s.inject("PostgreSQL killed for 30 s", "good", places[i], available, func(string, int) {
			pg.Kill()
			s.points.release()
			time.Sleep(away)
			must(t, pg.Start())
		})
	}
	worker.stop(nil)
	s.finish()
}
