package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Tx is a transaction: everything read through it is of one moment, and
// everything written through it happens together. It is good only inside the
// function it was given to, and only on that goroutine.
type Tx struct {
	ctx   context.Context
	sql   *sql.Tx
	stmts prepared
}

// SQL is the transaction of the database/sql driver, for the job queue.
func (tx *Tx) SQL() *sql.Tx { return tx.sql }

// statement is a query that is prepared once for every connection.
type statement int

var texts []string

// define registers a query; packages-level variables call it.
func define(query string) statement {
	texts = append(texts, query)
	return statement(len(texts) - 1)
}

type prepared []*sql.Stmt

func prepare(ctx context.Context, db *sql.DB) (prepared, error) {
	stmts := make(prepared, 0, len(texts))
	for _, text := range texts {
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return stmts, fmt.Errorf("preparing %q: %w", text, err)
		}
		stmts = append(stmts, stmt)
	}
	return stmts, nil
}

func (tx *Tx) exec(st statement, args ...any) (changed int64, err error) {
	result, err := tx.sql.StmtContext(tx.ctx, tx.stmts[st]).ExecContext(tx.ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// one runs a query that gives a row at most and scans it with scan.
func one[T any](tx *Tx, doing string, st statement, scan func(row) (T, error), args ...any) (T, bool, error) {
	v, err := scan(tx.sql.StmtContext(tx.ctx, tx.stmts[st]).QueryRowContext(tx.ctx, args...))
	if err == sql.ErrNoRows {
		var zero T
		return zero, false, nil
	}
	if err != nil {
		var zero T
		return zero, false, failed(doing, err)
	}
	return v, true, nil
}

// many runs a query and scans all its rows.
func many[T any](tx *Tx, doing string, st statement, scan func(row) (T, error), args ...any) ([]T, error) {
	rows, err := tx.sql.StmtContext(tx.ctx, tx.stmts[st]).QueryContext(tx.ctx, args...)
	if err != nil {
		return nil, failed(doing, err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, failed(doing, err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(doing, err)
	}
	return all, nil
}

type row interface{ Scan(dest ...any) error }

// millis is a time as it is stored: milliseconds since 1970, 0 for no time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
