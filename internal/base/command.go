package base

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// hostEnv is what tools get of this process's environment: nothing that would
// change their output or reach into the image.
func hostEnv(extra []string) []string {
	env := []string{"LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent"}
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "CURL_CA_BUNDLE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}

// run runs a tool and puts the end of what it wrote into the error.
func run(ctx context.Context, env []string, name string, args ...string) error {
	_, err := output(ctx, env, name, args...)
	return err
}

// output runs a tool and returns its standard output. The tool dies with the
// thread that started it, and with ctx as a whole process group.
func output(ctx context.Context, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = hostEnv(env)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w: %s", name, err, tail(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}

// tail gives the last lines of a tool's output, enough for a person to see
// what was wrong.
func tail(text []byte) string {
	const most = 1500
	s := strings.TrimSpace(string(text))
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return s
}
