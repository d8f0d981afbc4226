package function_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/cloud/function"
)

func TestNames(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:lambda:us-east-1:123456789012:function:approve"
	set := function.New([]function.Function{{Name: "approve"}, {Name: "arn:aws:states:us-east-1:123456789012:stateMachine:scan"}})
	for name, want := range map[string]bool{
		"approve": true, arn: true, arn + ":live": true, strings.Replace(arn, "us-east-1", "eu-west-1", 1): true,
		"arn:aws:states:us-east-1:123456789012:stateMachine:scan":    true,
		"arn:aws:states:eu-west-1:123456789012:stateMachine:scan":    false, // the whole ARN is configured, and this is another
		"arn:aws:states:eu-west-1:123456789012:stateMachine:approve": true,
		"scan": false, "": false, "function:approve": false, "arn:aws:s3:::approve": false,
	} {
		if got := set.Has(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	var none *function.Set
	if none.Has("approve") {
		t.Error("a set without functions has one")
	}
	if _, err := set.Invoke(t.Context(), "other", function.Call{}); !errors.Is(err, function.ErrUnknown) {
		t.Errorf("an unknown function: %v", err)
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	sh := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	set := function.New([]function.Function{
		{Name: "echo", Command: sh(`cat; echo " $GOLDSMITH_CALL_ID $PWD"`)},
		{Name: "fails", Command: sh(`echo no such ticket >&2; exit 3`)},
		{Name: "absent", Command: []string{"/does/not/exist"}},
		{Name: "long", Command: sh(`head -c 300000 /dev/zero`)},
		{Name: "loud", Command: sh(`head -c 3000000 /dev/zero >&2; exit 1`)},
		{Name: "deaf", Command: sh(`:`)}, // reads nothing of a large input
	})
	for name, want := range map[string]struct{ out, err string }{
		"echo":   {`{"a":1} call-1 /` + "\n", ""},
		"fails":  {"", "the function fails: exit status 3: no such ticket"},
		"absent": {"", "starting it"},
		"long":   {"", "more than 262144 bytes"},
		"loud":   {"", "exit status 1"},
	} {
		out, err := set.Invoke(t.Context(), name, function.Call{ID: "call-1", Input: []byte(`{"a":1}`)})
		if string(out) != want.out || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s gave %.50q, %.300v; want %+v", name, out, err, want)
		}
	}
	if out, err := set.Invoke(t.Context(), "deaf", function.Call{Input: make([]byte, 1<<20)}); len(out) != 0 || err != nil {
		t.Errorf("a command that does not read its input: %q, %v", out, err)
	}
}

// TestEndedCommands: neither a command that ignores SIGTERM nor what it started
// outlives its call.
func TestEndedCommands(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	set := function.New([]function.Function{{Name: "stubborn", Command: []string{"/bin/sh", "-c", `trap '' TERM; sleep 600 & echo $$ $! > "` + pids + `"; wait; sleep 600`}}})
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the image creation was cancelled")
	go func() {
		for {
			if data, _ := os.ReadFile(pids); strings.HasSuffix(string(data), "\n") {
				cancel(reason)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := set.Invoke(ctx, "stubborn", function.Call{}); !errors.Is(err, reason) {
		t.Errorf("an ended call: %v", err)
	}
	data, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(data)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		if !gone(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
}

// gone waits until a process has ended; whoever collects its status may be slow,
// so one that has only that left is gone, too.
func gone(pid int) bool {
	for range 500 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestWebServices(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/ok":
			if r.Header.Get("Webhook-Signature") != "v1,"+event.Sign("s3cret", "call-1", r.Header.Get("Webhook-Timestamp"), body) || r.Header.Get("Webhook-Id") != "call-1" {
				t.Errorf("header %v", r.Header)
			}
			io.WriteString(w, `{"got":`+string(body)+`}`)
		case "/no":
			http.Error(w, "not today", http.StatusConflict)
		case "/away":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/long":
			w.Write(make([]byte, 300_000))
		case "/hang":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(service.Close)
	set := function.New([]function.Function{
		{Name: "ok", URL: service.URL + "/ok", Secret: "s3cret"}, {Name: "no", URL: service.URL + "/no"}, {Name: "away", URL: service.URL + "/away"},
		{Name: "long", URL: service.URL + "/long"}, {Name: "hang", URL: service.URL + "/hang"}, {Name: "down", URL: "http://127.0.0.1:1/"},
	})
	for name, want := range map[string]struct{ out, err string }{
		"ok": {`{"got":{}}`, ""}, "no": {"", "409 Conflict: not today"}, "away": {"", "302"}, "long": {"", "more than 262144 bytes"}, "down": {"", "refused"},
	} {
		out, err := set.Invoke(t.Context(), name, function.Call{ID: "call-1", Input: []byte(`{}`)})
		if string(out) != want.out || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s gave %.50q, %v; want %+v", name, out, err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := set.Invoke(ctx, "hang", function.Call{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a service that hangs: %v", err)
	}
}
