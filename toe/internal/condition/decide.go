package condition

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/internal/reference"
)

// ErrUnknown is given by Env.Expand for a text whose value is not known yet.
var ErrUnknown = errors.New("the value is not known yet")

// Decide decides the expression as far as it can be known before anything has
// run. Operators that look at the machine are known only if still is true:
// otherwise earlier steps may change what they see. An expression is known if
// no unknown part of it could change its result.
func (e *Expr) Decide(env Env, still bool) (result, known bool, err error) {
	switch e.Op {
	case And, Or:
		settles, all := e.Op == Or, true
		for _, c := range e.Children {
			result, known, err := c.Decide(env, still)
			if err != nil {
				return false, false, err
			}
			if known && result == settles {
				return result, true, nil
			}
			all = all && known
		}
		return !settles, all, nil
	case Not:
		result, known, err := e.Children[0].Decide(env, still)
		return !result, known, err
	}
	if looksAtMachine(e.Op) && !still {
		return false, false, nil
	}
	for _, t := range []reference.Text{e.Operand, e.Second} {
		if _, err := env.Expand(t); errors.Is(err, ErrUnknown) {
			return false, false, nil
		} else if err != nil {
			return false, false, fmt.Errorf("%s: %w", e.Op, err)
		}
	}
	result, err = e.Eval(env)
	return result, err == nil, err
}

// looksAtMachine says whether an operator's result depends on more than its
// operands.
func looksAtMachine(op string) bool {
	return op == "binaryExists" || strings.HasPrefix(op, "file") || strings.HasPrefix(op, "folder")
}
