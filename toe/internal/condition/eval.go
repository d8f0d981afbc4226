package condition

import (
	"fmt"
	"path/filepath"

	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
)

// Env is what an expression is decided in.
type Env struct {
	Expand       func(reference.Text) (string, error) // puts values in place of references
	BinaryExists func(name string) bool               // whether a shell would find the command
	Dir          string                               // where relative paths start; "" for the process's folder
}

func (env Env) path(p string) string {
	if env.Dir == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(env.Dir, p)
}

// Eval decides the expression. and and or stop at the first operand that
// settles them, so that later operands are neither expanded nor looked at. The
// error says which operator could not be decided.
func (e *Expr) Eval(env Env) (bool, error) {
	switch e.Op {
	case And, Or:
		settles := e.Op == Or
		for _, c := range e.Children {
			result, err := c.Eval(env)
			if err != nil || result == settles {
				return result, err
			}
		}
		return !settles, nil
	case Not:
		result, err := e.Children[0].Eval(env)
		return !result && err == nil, err
	}
	operand, err := env.Expand(e.Operand)
	if err != nil {
		return false, fmt.Errorf("%s: %w", e.Op, err)
	}
	second, err := env.Expand(e.Second)
	if err != nil {
		return false, fmt.Errorf("%s: %w", e.Op, err)
	}
	op := byName[e.Op]
	result, err := op.decide(env, operand, second)
	if err != nil {
		return false, fmt.Errorf("%s: the operand %q %w", e.Op, operand, err)
	}
	return result, nil
}

// Expanded gives the expression as plain data, in the document's own shape,
// for logs. References that have no value stand as they are written.
func (e *Expr) Expanded(expand func(reference.Text) (string, error)) any {
	if len(e.Children) > 0 {
		children := make([]any, len(e.Children))
		for i, c := range e.Children {
			children[i] = c.Expanded(expand)
		}
		if e.Op == Not {
			return map[string]any{Not: children[0]}
		}
		return map[string]any{e.Op: children}
	}
	show := func(t reference.Text) string {
		if s, err := expand(t); err == nil {
			return s
		}
		return t.Raw()
	}
	m := map[string]any{e.Op: show(e.Operand)}
	if second := Second(e.Op); second != "" {
		m[second] = show(e.Second)
	}
	return m
}
