package toe

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// values lists what a loop runs over. A delimited list is split as it is: empty
// pieces are kept, and an empty text is one empty piece.
func (l *Loop) values(r *resolver) (next func() (string, bool), err error) {
	if l.For != nil {
		return l.For.counter(), nil
	}
	var values []string
	if l.delimited {
		list, err := r.expand(l.list)
		if err != nil {
			return nil, fmt.Errorf("the list of the loop: %w", err)
		}
		values = strings.Split(list, l.Delimiter)
	} else {
		for _, t := range l.items {
			v, err := r.expand(t)
			if err != nil {
				return nil, fmt.Errorf("the list of the loop: %w", err)
			}
			values = append(values, v)
		}
	}
	i := 0
	return func() (string, bool) {
		if i == len(values) {
			return "", false
		}
		i++
		return values[i-1], true
	}, nil
}

// counter counts without making a list: a loop may be long.
func (f *For) counter() func() (string, bool) {
	n := f.Start
	return func() (string, bool) {
		if f.UpdateBy > 0 && n > f.End || f.UpdateBy < 0 && n < f.End {
			return "", false
		}
		n += f.UpdateBy
		return strconv.Itoa(n - f.UpdateBy), true
	}
}

// iterate runs the module once for each value of the step's loop. The first
// iteration that fails ends it. The outputs are those of the iterations that
// did not fail, joined.
func (r *running) iterate(ctx context.Context) (a attempted) {
	loop := r.at.step.Loop
	resumed := r.resumed
	r.resumed = nil
	next, err := loop.values(&resolver{ctx: ctx, x: r.x, at: r.at})
	if err != nil {
		a.err = err
		return a
	}
	var outputs []action.Output
	from := 0
	if resumed != nil {
		outputs, from = resumed.Outputs, resumed.Iteration
		if resumed.Next {
			from++
		}
	}
	for i := 0; ; i++ {
		value, ok := next()
		if !ok {
			break
		}
		if i < from {
			continue
		}
		if err := ctx.Err(); err != nil {
			a.err = err
			break
		}
		one := r.invoke(ctx, &iteration{name: loop.Name, index: i, value: value})
		truncated, secret := a.Truncated || one.Truncated, a.secret || one.secret
		a = one
		a.secret = secret
		a.Truncated, a.iteration, a.begun = truncated, i, i+1
		if one.err != nil {
			a.err = fmt.Errorf("loop iteration %d failed: %w", i, one.err)
			break
		}
		if one.Reboot == action.RebootAgain {
			a.Outputs = outputs
			return a
		}
		outputs = append(outputs, one.Outputs...)
		if one.Reboot == action.RebootNext {
			a.Outputs = outputs
			return a
		}
	}
	a.Outputs = nil
	if j := joined(outputs); j != nil {
		a.Outputs = []action.Output{j}
	}
	return a
}
