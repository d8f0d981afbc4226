package faultpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Variable is the environment variable with the folder that the suite and a
// process talk through. Whoever can set it could end the process as well.
const Variable = "GOLDSMITH_FAULT_POINTS"

// The files of that folder.
const (
	TraceFile = "trace" // the names of the places that were reached, one a line
	HoldFile  = "hold"  // the name of the place that the next process to reach it is held at
	ClockFile = "clock" // by how much Now is ahead of the machine's clock, as Go writes durations
	HeldFile  = "held"  // "PID NAME" of a process that is held; it goes on when the file is gone
)

var folder = os.Getenv(Variable)

// Reach says that the process has come to a place. A name is one line; the
// parts are joined with spaces only if somebody listens.
func Reach(name ...string) {
	if folder != "" {
		reach(folder, strings.Join(name, " "))
	}
}

// Now is the machine's clock. The suite moves it by the file clock: a process
// without a C library takes no other library's clock.
func Now() time.Time {
	if folder == "" {
		return time.Now()
	}
	return moved(folder)
}

func moved(dir string) time.Time {
	ahead, err := os.ReadFile(filepath.Join(dir, ClockFile))
	if err != nil {
		return time.Now()
	}
	by, _ := time.ParseDuration(strings.TrimSpace(string(ahead))) // what is not a duration moves nothing
	return time.Now().Round(0).Add(by)
}

// reach writes the place down and waits there if it is to be held. What goes
// wrong with the files is the suite's to notice: no process fails for it.
func reach(dir, name string) {
	if f, err := os.OpenFile(filepath.Join(dir, TraceFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		_, _ = fmt.Fprintln(f, name)
		_ = f.Close()
	}
	hold := filepath.Join(dir, HoldFile)
	if wanted, err := os.ReadFile(hold); err != nil || strings.TrimSpace(string(wanted)) != name {
		return
	}
	pid := fmt.Sprint(os.Getpid())
	mine := filepath.Join(dir, HeldFile+"."+pid)
	if os.Rename(hold, mine) != nil {
		return // another process or goroutine was faster
	}
	held := filepath.Join(dir, HeldFile)
	if os.WriteFile(mine, []byte(pid+" "+name+"\n"), 0o600) != nil || os.Rename(mine, held) != nil {
		return
	}
	for {
		if _, err := os.Stat(held); err != nil {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}
