package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store/pgserver"
)

func main() {
	if text := os.Getenv(assigned); text != "" {
		exit(work(text))
	}
	s := setting{program: []string{"/proc/self/exe"}}
	flag.IntVar(&s.pipelines, "pipelines", 100_000, "pipelines with schedules")
	flag.IntVar(&s.due, "due", 100_000, "pipelines whose time has come")
	flag.IntVar(&s.accounts, "accounts", 100, "accounts that have them")
	flag.IntVar(&s.workers, "workers", 8, "worker processes")
	flag.IntVar(&s.builds, "builds", 125, "images that each works on at once")
	flag.IntVar(&s.deaths, "deaths", 10, "workers that are killed")
	flag.DurationVar(&s.lease, "lease", 10*time.Second, "how long a silent worker's images wait for another")
	flag.Parse()
	exit(simulate(s))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulation:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// simulate runs a simulation and prints what came of it.
func simulate(s setting) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if s.dir, err = os.MkdirTemp("", "goldsmith-simulation-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	server, err := pgserver.New()
	if err != nil {
		return err
	}
	defer server.Close() //nolint:errcheck // its folder is temporary
	address, err := server.Database()
	if err != nil {
		return err
	}
	out, err := s.run(ctx, address)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d processors, PostgreSQL\n\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU())
	fmt.Printf("| pipelines | due | accounts | processes | places | killed | slow, started again | made in s | first image after s | built in s | images/s | at work at once | lost | twice |\n|%s\n", "---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	fmt.Printf("| %d | %d | %d | %d | %d | %d | %d | %.1f | %.1f | %.1f | %.1f | %d | 0 | 0 |\n", s.pipelines, s.due, s.accounts, s.workers, s.workers*s.builds, out.deaths,
		out.lost, out.seeded.Seconds(), out.first.Seconds(), out.ran.Seconds(), float64(s.due)/out.ran.Seconds(), out.most)
	return nil
}
