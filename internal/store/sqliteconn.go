package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"
)

// direct is a connection to SQLite, spoken to by the driver's own calls: going
// through database/sql costs as much again as the work (docs/decisions/0056). One
// goroutine at a time uses it.
type direct struct {
	conn  driver.Conn
	stmts []directStmt // by statement; prepared when first needed
	args  []driver.NamedValue
	begin directStmt
	end   directStmt
}

// directStmt is what the driver's statements can do.
type directStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// noContext belongs to no request: what is in a transaction is finished, and the
// driver need not watch for an end.
var noContext = context.Background()

func newDirect(conn driver.Conn) *direct {
	return &direct{conn: conn, stmts: make([]directStmt, len(texts))}
}

func (d *direct) prepare(text string) (directStmt, error) {
	stmt, err := d.conn.Prepare(text)
	if err != nil {
		return nil, err
	}
	able, ok := stmt.(directStmt)
	if !ok {
		return nil, fmt.Errorf("the driver's %T cannot be run", stmt)
	}
	return able, nil
}

// statement gives a statement ready to run, and its arguments as the driver
// takes them, good until the next call.
func (d *direct) statement(st statement, args []any) (directStmt, []driver.NamedValue, error) {
	if d.stmts[st] == nil {
		stmt, err := d.prepare(texts[st])
		if err != nil {
			return nil, nil, err
		}
		d.stmts[st] = stmt
	}
	d.args = d.args[:0]
	for i, arg := range args {
		if n, ok := arg.(int); ok {
			arg = int64(n)
		}
		d.args = append(d.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	return d.stmts[st], d.args, nil
}

func (d *direct) exec(st statement, args []any) (int64, error) {
	stmt, values, err := d.statement(st, args)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(noContext, values)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (d *direct) later(st statement, args []any) error {
	_, err := d.exec(st, args)
	return err
}

func (d *direct) query(st statement, args []any) (rows, error) {
	stmt, values, err := d.statement(st, args)
	if err != nil {
		return nil, err
	}
	found, err := stmt.QueryContext(noContext, values)
	if err != nil {
		return nil, err
	}
	return &directRows{rows: found, at: make([]driver.Value, len(found.Columns()))}, nil
}

// clock is this process's: nobody else has the file.
func (d *direct) clock() (time.Time, error) { return time.Now(), nil }

// run runs a statement that is kept in *kept between its uses.
func (d *direct) run(kept *directStmt, text string) error {
	if *kept == nil {
		stmt, err := d.prepare(text)
		if err != nil {
			return err
		}
		*kept = stmt
	}
	_, err := (*kept).ExecContext(noContext, nil)
	return err
}

// finish lets go of the statements that were prepared.
func (d *direct) finish() error {
	var errs []error
	for _, stmt := range append(d.stmts, d.begin, d.end) {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// directRows are a query's answer. What Scan gives away is nobody else's.
type directRows struct {
	rows driver.Rows
	at   []driver.Value
	err  error
}

func (r *directRows) Next() bool {
	if r.err != nil {
		return false
	}
	r.err = r.rows.Next(r.at)
	return r.err == nil
}

func (r *directRows) Err() error {
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

func (r *directRows) Close() { r.rows.Close() }

// Scan copies the row to variables of the types that this package's rows have.
func (r *directRows) Scan(dest ...any) error {
	if len(dest) != len(r.at) {
		return fmt.Errorf("%d columns for %d variables", len(r.at), len(dest))
	}
	for i, value := range r.at {
		if !assign(dest[i], value) {
			return fmt.Errorf("column %d is a %T and cannot be a %T", i+1, value, dest[i])
		}
	}
	return nil
}

func assign(dest any, value driver.Value) bool {
	switch to := dest.(type) {
	case *string:
		s, ok := value.(string)
		*to = s
		return ok
	case *Kind:
		s, ok := value.(string)
		*to = Kind(s)
		return ok
	case *int64:
		n, ok := value.(int64)
		*to = n
		return ok
	case *int:
		n, ok := value.(int64)
		*to = int(n)
		return ok
	case *[]byte:
		b, ok := value.([]byte)
		*to = b
		return ok || value == nil
	}
	return false
}
