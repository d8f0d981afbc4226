package action

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// powershellArguments run a script file without a profile, without questions,
// and whatever the machine's policy for scripts is: the document was meant to
// be run.
var powershellArguments = []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"}

// runExecutePowerShell writes all commands into one script and runs it by
// Windows PowerShell, or runs a script that is there. Errors that PowerShell
// itself goes on after do not fail the step (user guide, ExecutePowerShell).
func runExecutePowerShell(ctx context.Context, h *Host, in Inputs) (Result, error) {
	e := in.Entries[0]
	if !e.Has("file") {
		return runPowerShell(ctx, h, strings.Join(e.Strings("commands"), "\r\n")+"\r\n")
	}
	script := h.Path(e.String("file"))
	if err := requireFile(script); err != nil {
		return Result{}, err
	}
	if !strings.EqualFold(filepath.Ext(script), ".ps1") {
		return Result{}, fmt.Errorf("%s is no PowerShell script: its name does not end in .ps1", script)
	}
	program, err := systemProgram(h, "WindowsPowerShell", "v1.0", "powershell.exe")
	if err != nil {
		return Result{}, err
	}
	return runProgram(ctx, h, program, append(powershellArguments[:len(powershellArguments):len(powershellArguments)], script)...)
}

// runPowerShell runs a script given as text. Windows PowerShell reads a file
// in the machine's old code page unless it begins with a byte order mark.
func runPowerShell(ctx context.Context, h *Host, text string, args ...string) (Result, error) {
	program, err := systemProgram(h, "WindowsPowerShell", "v1.0", "powershell.exe")
	if err != nil {
		return Result{}, err
	}
	dir, err := os.MkdirTemp(h.TempDir, "step-")
	if err != nil {
		return Result{}, fmt.Errorf("making a folder for the script: %w", err)
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, "script.ps1")
	h.logf("ExecutePowerShell: Created temporary directory: %s", dir)
	if err := os.WriteFile(script, []byte("\ufeff"+text), 0o600); err != nil {
		return Result{}, fmt.Errorf("writing the script: %w", err)
	}
	arguments := append(powershellArguments[:len(powershellArguments):len(powershellArguments)], script)
	return runProgram(ctx, h, program, append(arguments, args...)...)
}
