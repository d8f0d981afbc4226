package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// The schema's history: files NNNN_what.sql, applied in order and once, each in
// a transaction of its own. A file that was released is never changed.
//
//go:embed migrations
var migrations embed.FS

type migration struct {
	version int
	name    string
	text    string
}

// history reads the migrations of a database kind and insists that they are
// numbered 1, 2, 3, ….
func history(files fs.FS, kind string) ([]migration, error) {
	entries, err := fs.ReadDir(files, path.Join("migrations", kind))
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, entry := range entries {
		number, _, ok := strings.Cut(entry.Name(), "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: its number should be %04d", entry.Name(), i+1)
		}
		text, err := fs.ReadFile(files, path.Join("migrations", kind, entry.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, entry.Name(), string(text)})
	}
	return all, nil
}

// missing gives the steps that a database with schema have lacks. One from a
// newer Goldsmith is refused: this one would not know what its rows mean.
func missing(steps []migration, have int) ([]migration, error) {
	if have > len(steps) {
		return nil, fmt.Errorf("it has schema %d, and this Goldsmith knows schemas up to %d: run the version of Goldsmith that wrote it, or a newer one", have, len(steps))
	}
	return steps[have:], nil
}

// migrateSQLite brings the schema up to date.
func migrateSQLite(ctx context.Context, db *sql.DB) error {
	steps, err := history(migrations, "sqlite")
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"); err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	var have int
	if err := db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM schema_version").Scan(&have); err != nil {
		return fmt.Errorf("reading the schema's version: %w", err)
	}
	if steps, err = missing(steps, have); err != nil {
		return err
	}
	for _, step := range steps {
		if err := apply(ctx, db, step); err != nil {
			return fmt.Errorf("migrating to schema %s: %w", step.name, err)
		}
	}
	return nil
}

func apply(ctx context.Context, db *sql.DB, step migration) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // a no-op after Commit
	if _, err := tx.ExecContext(ctx, step.text); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO schema_version (version) VALUES (?)", step.version); err != nil {
		return err
	}
	return tx.Commit()
}
