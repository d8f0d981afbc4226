package store

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"
)

// AdvisoryLock is a lock of a PostgreSQL database, by name, that all processes
// with that database share. Each use takes a connection of its own, which is the
// lock: when the process or the way to the database dies, the lock is free.
type AdvisoryLock struct {
	url  string
	name string
}

// NewAdvisoryLock names a lock; url is that of OpenPostgres.
func NewAdvisoryLock(url, name string) *AdvisoryLock { return &AdvisoryLock{url, name} }

// lockClass keeps these locks apart from others in the database.
const lockClass = 0x474f4c44 // "GOLD"

// lockPing is how often the holder makes sure that it still is one.
const lockPing = 2 * time.Second

// errLockLost says that the connection that is the lock has ended.
var errLockLost = errors.New("the connection to the database that held the lock has ended")

// Locked calls f while it holds the lock, alone or with others that do not want
// it alone; it waits for it until ctx ends. Who wants it alone is not overtaken.
// The context that f gets ends, too, when the lock is lost.
func (l *AdvisoryLock) Locked(ctx context.Context, alone bool, f func(context.Context) error) error {
	conn, err := pgx.Connect(ctx, l.url)
	if err != nil {
		return fmt.Errorf("locking %s: %w", l.name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	function := "pg_advisory_lock_shared"
	if alone {
		function = "pg_advisory_lock"
	}
	sum := fnv.New32a()
	sum.Write([]byte(l.name))
	if _, err := conn.Exec(ctx, "SELECT "+function+"($1::int, $2::int)", lockClass, int32(sum.Sum32())); err != nil {
		return fmt.Errorf("locking %s: %w", l.name, err)
	}
	held, lost := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(held, conn, lost)
	}()
	err = f(held)
	if cause := context.Cause(held); errors.Is(cause, errLockLost) {
		err = errors.Join(err, cause)
	}
	lost(nil)
	<-watched
	return err
}

// watch asks the connection for a sign of life until ctx ends.
func watch(ctx context.Context, conn *pgx.Conn, lost context.CancelCauseFunc) {
	tick := time.NewTicker(lockPing)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*lockPing)
		err := conn.Ping(ping)
		cancel()
		if err != nil {
			lost(errLockLost)
			return
		}
	}
}
