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
