package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// harmless are commands whose failure means nothing for what a script builds:
// they print, look, wait, or steer the shell itself.
var harmless = []string{
	".", ":", "[", "alias", "break", "builtin", "cat", "clear", "continue", "date", "declare", "df", "du", "echo", "env", "exec", "exit", "export", "false",
	"file", "find", "free", "getent", "grep", "hash", "head", "history", "hostname", "id", "kill", "killall", "let", "local", "ls", "lsblk", "lsof", "mapfile",
	"mount", "netstat", "nproc", "pgrep", "pkill", "printenv", "printf", "ps", "pwd", "read", "readonly", "return", "set", "shift", "shopt", "sleep", "source",
	"ss", "stat", "sync", "tail", "test", "trap", "true", "type", "typeset", "ulimit", "umask", "unalias", "uname", "unset", "uptime", "wait", "wc",
	"which", "whoami",
}

// producers are commands whose output is worth nothing when they fail, so that
// what reads it from a pipe works on half of it.
var producers = []string{
	"apt", "apt-get", "aws", "base64", "bunzip2", "bzcat", "curl", "dnf", "dpkg", "git", "gpg", "gunzip", "gzip", "kubectl", "make", "npm", "openssl", "pip",
	"pip3", "python", "python3", "rpm", "rsync", "scp", "ssh", "tar", "unxz", "unzip", "wget", "xz", "xzcat", "yum", "zcat", "zstd", "zypper",
}

// wrappers are commands that run the command in their arguments.
var wrappers = []string{"command", "env", "ionice", "nice", "nohup", "sudo", "time"}

// commandName gives the name of the program that a call starts, without its
// folder, and its arguments. It is "" if the name is not plain text.
func commandName(c *syntax.CallExpr) (name string, args []string) {
	words := make([]string, len(c.Args))
	for i, w := range c.Args {
		words[i] = w.Lit()
	}
	for len(words) > 1 && slices.Contains(wrappers, words[0]) {
		rest := words[1:]
		for len(rest) > 1 && (strings.HasPrefix(rest[0], "-") || strings.Contains(rest[0], "=")) {
			rest = rest[1:]
		}
		words = rest
	}
	if len(words) == 0 {
		return "", nil
	}
	name = words[0]
	return name[strings.LastIndexByte(name, '/')+1:], words[1:]
}

// matters says whether the failure of a call should not pass unnoticed.
func matters(c *syntax.CallExpr, redirects []*syntax.Redirect) bool {
	if len(c.Args) == 0 {
		return slices.ContainsFunc(c.Assigns, func(a *syntax.Assign) bool { return a.Value != nil && substitutes(a.Value) })
	}
	name, args := commandName(c)
	switch name {
	case "rm":
		return !slices.ContainsFunc(args, func(a string) bool {
			return strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "f")
		})
	case "systemctl":
		return len(args) == 0 || !strings.HasPrefix(args[0], "is-") && args[0] != "status"
	case "cat", "tee":
		return name == "tee" || slices.ContainsFunc(redirects, func(r *syntax.Redirect) bool { return writes(r.Op) && r.Word.Lit() != "/dev/null" })
	}
	return !slices.Contains(harmless, name)
}

func writes(op syntax.RedirOperator) bool {
	switch op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
		return true
	}
	return false
}

// substitutes says whether a word holds the output of a command that matters.
func substitutes(w *syntax.Word) bool {
	found := false
	syntax.Walk(w, func(n syntax.Node) bool {
		if s, ok := n.(*syntax.CmdSubst); ok {
			found = found || slices.ContainsFunc(s.Stmts, anyMatters)
		}
		return !found
	})
	return found
}

// anyMatters says whether a statement holds a call whose failure matters.
func anyMatters(s *syntax.Stmt) bool {
	if s == nil || s.Negated || s.Background {
		return false
	}
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		return matters(c, s.Redirs)
	case *syntax.BinaryCmd:
		if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
			return anyMatters(c.Y) || anyProduces(c.X)
		}
		return anyMatters(c.X) || anyMatters(c.Y)
	case *syntax.Block:
		return slices.ContainsFunc(c.Stmts, anyMatters)
	case *syntax.Subshell:
		return slices.ContainsFunc(c.Stmts, anyMatters)
	}
	return false
}

func anyProduces(s *syntax.Stmt) bool {
	return slices.ContainsFunc(stages(s), func(stage *syntax.Stmt) bool {
		call, ok := stage.Cmd.(*syntax.CallExpr)
		return ok && produces(call)
	})
}

// produces says whether what a call prints is worth nothing when it fails.
func produces(c *syntax.CallExpr) bool {
	if len(c.Args) == 0 {
		return false
	}
	name, _ := commandName(c)
	return slices.Contains(producers, name)
}

// does says whether a statement is a call of one of the commands.
func does(s *syntax.Stmt, names ...string) bool {
	c, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(c.Args) == 0 {
		return false
	}
	name, _ := commandName(c)
	return slices.Contains(names, name)
}

// options follows what "set" and "trap" do to the rest of the script.
func (l *linter) options(c *syntax.CallExpr) {
	name, args := commandName(c)
	switch name {
	case "trap":
		l.errexit = l.errexit || slices.Contains(args, "ERR")
	case "set":
		for i := 0; i < len(args); i++ {
			on := strings.HasPrefix(args[i], "-")
			letters := strings.TrimLeft(args[i], "-+")
			if !on && !strings.HasPrefix(args[i], "+") || letters == "" {
				return // what follows are the script's arguments
			}
			if strings.Contains(letters, "e") {
				l.errexit = on
			}
			if strings.Contains(letters, "o") && i+1 < len(args) {
				i++
				l.option(args[i], on)
			}
		}
	}
}

func (l *linter) option(name string, on bool) {
	switch name {
	case "errexit":
		l.errexit = on
	case "pipefail":
		l.pipefail = on
	}
}
