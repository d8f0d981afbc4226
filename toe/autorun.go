package toe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// autorunMark ends the line of the crontab that resumes runs, so that it can be
// told from those of the machine's owner.
const autorunMark = "# toe: resume after reboot"

// autorunFlag is a file in the state folder that says that a crontab line was
// registered, so that crontab is touched only where it was used.
const autorunFlag = "toe-autorun"

// restart registers the command to resume by and restarts the machine. The
// line is in root's crontab, as the original's is.
func (x *executor) restart(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("reboot mode standalone does not exist on %s", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return errors.New("reboot mode standalone needs root")
	}
	line, err := autorunLine(x.dir, x.o.ResumeCommand)
	if err != nil {
		return err
	}
	if err := editCrontab(ctx, func(lines []string) []string { return append(lines, line) }); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(x.journal.dir, autorunFlag), nil, 0o600); err != nil {
		return err
	}
	shutdown := exec.CommandContext(ctx, "shutdown", "-r", "now")
	if out, err := shutdown.CombinedOutput(); err != nil {
		return fmt.Errorf("shutdown: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// autorunLine gives the line of the crontab. cron hands it to a shell, and
// takes '%' for a line end.
func autorunLine(dir string, command []string) (string, error) {
	words := make([]string, len(command))
	for i, w := range command {
		if strings.ContainsAny(w, "\n\r\x00") {
			return "", errors.New("an argument with a line end cannot be registered to run at boot")
		}
		words[i] = quote(w)
	}
	line := "@reboot cd " + quote(dir) + " && " + strings.Join(words, " ")
	return strings.ReplaceAll(line, "%", `\%`) + " " + autorunMark, nil
}

// quote makes one word of a shell out of a text.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// editCrontab replaces the crontab by what edit makes of it, without older
// lines of this program.
func editCrontab(ctx context.Context, edit func([]string) []string) error {
	out, err := exec.CommandContext(ctx, "crontab", "-l").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("reboot mode standalone needs the program crontab")
	}
	// crontab -l fails for a user that has none.
	var lines []string
	for line := range strings.Lines(string(out)) {
		if !strings.HasSuffix(strings.TrimRight(line, "\r\n"), autorunMark) {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	lines = edit(lines)
	cmd := exec.CommandContext(ctx, "crontab", "-")
	cmd.Stdin = strings.NewReader(strings.Join(append(lines, ""), "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("crontab: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// removeAutorun removes the crontab line of a run that goes on. Machines
// without such a line, or without crontab, are left alone.
func (x *executor) removeAutorun(ctx context.Context, resumed bool) {
	if !resumed || x.journal.dir == "" {
		return
	}
	flag := filepath.Join(x.journal.dir, autorunFlag)
	if _, err := os.Stat(flag); err != nil {
		return
	}
	if err := editCrontab(ctx, func(lines []string) []string { return lines }); err != nil {
		x.o.Log.Warn("the crontab line that resumed the run was not removed", "error", err)
		return
	}
	_ = os.Remove(flag)
}
