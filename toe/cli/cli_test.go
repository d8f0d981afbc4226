//go:build unix

package cli_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/toe/cli"
)

var update = flag.Bool("update", false, "write what was printed into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"toe": func() {
			cli.Version = "1.2.3"
			os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		UpdateScripts:       *update,
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			path, err := exec.LookPath("toe")
			env.Setenv("TOE", path)
			return err
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
		},
	})
}

// status runs a program and checks its exit status: status 194 toe run …
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM ARGUMENTS…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "exit status 0"
	if err != nil {
		got = err.Error()
	}
	if want := "exit status " + args[0]; got != want {
		ts.Fatalf("%s, want %s\n%s", got, want, ts.ReadFile("stderr"))
	}
}

func TestNewWithExtraCommands(t *testing.T) {
	t.Parallel()
	called := false
	extra := &cobra.Command{Use: "agent", Hidden: true, Run: func(*cobra.Command, []string) { called = true }}
	var out, errs bytes.Buffer
	if code := cli.Main([]string{"agent"}, strings.NewReader(""), &out, &errs, extra); code != 0 || !called {
		t.Errorf("status %d, called %v", code, called)
	}
	if cli.Main([]string{"--help"}, strings.NewReader(""), &out, &errs, extra); strings.Contains(out.String(), "agent") {
		t.Error("a hidden command is shown")
	}
}

func TestSplitParameters(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]map[string]string{
		"":                 {},
		"a=1":              {"a": "1"},
		"a=1,b=2":          {"a": "1", "b": "2"},
		"a=1,2,3,b=x=y":    {"a": "1,2,3", "b": "x=y"},
		"a= ,b-c_1=,":      {"a": " ", "b-c_1": ","},
		"list=x,y,z":       {"list": "x,y,z"},
		"a=1,not a name=2": {"a": "1,not a name=2"},
	} {
		got, err := cli.SplitParameters(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
	for in, want := range map[string]string{
		"a=":      "--parameters: the value of a is empty",
		"a=,b=2":  "--parameters: the value of a is empty",
		"a":       `--parameters: "a" is not name=value`,
		"=1":      `--parameters: "=1" is not name=value`,
		"a=1,a=2": "--parameters: a is given twice",
	} {
		if _, err := cli.SplitParameters(in); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
}

func FuzzSplitParameters(f *testing.F) {
	f.Add("a=1,2,b=x=y")
	f.Fuzz(func(t *testing.T, s string) {
		values, err := cli.SplitParameters(s)
		for name, value := range values {
			if err == nil && (name == "" || value == "" || !strings.Contains(s, name+"="+value)) {
				t.Fatalf("%q gave %q=%q", s, name, value)
			}
		}
	})
}
