package shell

import (
	"errors"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Kind is the way in which a failure is hidden.
type Kind string

// The kinds of finding.
const (
	// Unchecked is a command behind which the script goes on whatever its
	// status is. Only the first one of a script is reported: the same
	// "set -e" mends them all.
	Unchecked Kind = "unchecked"

	// Piped is a command that feeds a pipe, whose status only the last
	// command decides. Only the first one is reported.
	Piped Kind = "piped"

	// Ignored is a command with "|| true" behind it.
	Ignored Kind = "ignored"

	// Syntax is text that bash cannot read.
	Syntax Kind = "syntax"
)

// Finding is one hidden failure.
type Finding struct {
	Kind Kind
	Line int    // of the script, from 1
	Text string // the command's first line, or what is wrong with the syntax
}

// MaxScript is the longest script that is looked at, in bytes. The parser calls
// itself for every level of nesting, so its stack is bounded by this.
const MaxScript = 64 << 10

// maxOpen is the most opening brackets that a script may have in a row. People
// write three or four.
const maxOpen = 64

// Lint looks at a script. Scripts that are too long or too deeply nested to be
// written by people are passed over. shown is the script as people know it,
// of the same length: findings quote it.
func Lint(script, shown string) []Finding {
	if len(script) > MaxScript || tooDeep(script) {
		return nil
	}
	parser := syntax.NewParser(syntax.Variant(syntax.LangBash))
	file, err := parser.Parse(strings.NewReader(script), "")
	if err != nil {
		var bad syntax.ParseError
		if errors.As(err, &bad) {
			return []Finding{{Kind: Syntax, Line: int(bad.Pos.Line()), Text: bad.Text}}
		}
		return nil // a construct of another shell
	}
	l := &linter{shown: shown}
	l.list(file.Stmts, true)
	slices.SortStableFunc(l.findings, func(a, b Finding) int { return a.Line - b.Line })
	return l.findings
}

// tooDeep guesses the depth of nesting from brackets that are open.
func tooDeep(script string) bool {
	open := 0
	for i := 0; i < len(script); i++ {
		switch script[i] {
		case '(', '{', '`':
			if open++; open > maxOpen {
				return true
			}
		case ')', '}', '\n':
			open = 0
		}
	}
	return false
}

// linter walks through a script in the order in which it runs.
type linter struct {
	shown    string
	errexit  bool // "set -e" is in force, or an ERR trap
	pipefail bool
	findings []Finding
}

// list walks through statements that run one after another. decides says
// whether the status of the last one is that of the script, or is looked at.
func (l *linter) list(stmts []*syntax.Stmt, decides bool) {
	for i, s := range stmts {
		last := i == len(stmts)-1
		looked := !last && looksAt(stmts[i+1], s)
		l.stmt(s, decides && last || looked)
	}
}

func (l *linter) stmt(s *syntax.Stmt, decides bool) {
	if s == nil || s.Cmd == nil || s.Background || s.Negated {
		return
	}
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		l.options(c)
		if !decides && !l.errexit && matters(c, s.Redirs) {
			l.report(Unchecked, s)
		}
	case *syntax.BinaryCmd:
		l.binary(c, decides)
	case *syntax.IfClause:
		for branch := c; branch != nil; branch = branch.Else {
			l.list(branch.Then, decides)
		}
	case *syntax.WhileClause:
		l.list(c.Do, decides)
	case *syntax.ForClause:
		l.list(c.Do, decides)
	case *syntax.CaseClause:
		for _, item := range c.Items {
			l.list(item.Stmts, decides)
		}
	case *syntax.Block:
		l.list(c.Stmts, decides)
	case *syntax.Subshell:
		errexit, pipefail := l.errexit, l.pipefail
		l.list(c.Stmts, decides)
		l.errexit, l.pipefail = errexit, pipefail
	case *syntax.FuncDecl:
		l.stmt(c.Body, true) // its callers look at its status, or do not
	case *syntax.TimeClause:
		l.stmt(c.Stmt, decides)
	}
}

func (l *linter) binary(c *syntax.BinaryCmd, decides bool) {
	switch c.Op {
	case syntax.OrStmt:
		if does(c.Y, "true", ":") {
			if anyMatters(c.X) {
				l.report(Ignored, c.X)
			}
			return
		}
		l.stmt(c.X, true)
		l.stmt(c.Y, decides)
	case syntax.AndStmt:
		// Not even "set -e" ends a script when the left side fails.
		if !decides && anyMatters(c.X) {
			l.report(Unchecked, c.X)
		} else {
			l.stmt(c.X, true)
		}
		l.stmt(c.Y, decides)
	default:
		if !l.pipefail && !does(c.Y, "grep", "egrep", "fgrep", "read") { // those fail for want of input
			l.pipe(c)
		}
		l.stmt(c.Y, decides)
	}
}

func (l *linter) pipe(c *syntax.BinaryCmd) {
	for _, stage := range stages(c.X) {
		if call, ok := stage.Cmd.(*syntax.CallExpr); ok && produces(call) {
			l.report(Piped, stage)
		}
	}
}

// stages gives the commands of a pipe from left to right.
func stages(s *syntax.Stmt) []*syntax.Stmt {
	if b, ok := s.Cmd.(*syntax.BinaryCmd); ok && (b.Op == syntax.Pipe || b.Op == syntax.PipeAll) {
		return append(stages(b.X), stages(b.Y)...)
	}
	return []*syntax.Stmt{s}
}

func (l *linter) report(kind Kind, s *syntax.Stmt) {
	if kind != Ignored && slices.ContainsFunc(l.findings, func(f Finding) bool { return f.Kind == kind }) {
		return
	}
	from, to := int(s.Pos().Offset()), int(s.End().Offset())
	text, _, more := strings.Cut(strings.TrimSpace(l.shown[from:min(to, len(l.shown))]), "\n")
	const longest = 60
	if text = strings.TrimSuffix(strings.TrimRight(text, " \\"), ";"); len(text) > longest {
		text, more = strings.ToValidUTF8(text[:longest], ""), true
	}
	if more {
		text += " …"
	}
	l.findings = append(l.findings, Finding{Kind: kind, Line: int(s.Pos().Line()), Text: text})
}

// looksAt says whether a statement looks at the status of the one before it:
// at "$?", at what the shell keeps of a pipe, or, in a test, at a variable that
// was set there.
func looksAt(s, before *syntax.Stmt) bool {
	names := []string{"?", "PIPESTATUS"}
	switch s.Cmd.(type) {
	case *syntax.IfClause, *syntax.CaseClause, *syntax.TestClause, *syntax.BinaryCmd:
		if c, ok := before.Cmd.(*syntax.CallExpr); ok && len(c.Args) == 0 {
			for _, a := range c.Assigns {
				if a.Name != nil {
					names = append(names, a.Name.Value)
				}
			}
		}
	}
	found := false
	syntax.Walk(s, func(n syntax.Node) bool {
		if p, ok := n.(*syntax.ParamExp); ok && p.Param != nil && slices.Contains(names, p.Param.Value) {
			found = true
		}
		return !found
	})
	return found
}
