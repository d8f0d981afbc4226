package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/store/pgserver"
)

// lists measures pages of lists of several lengths. The components are put into
// the database beside the API, copies of one that came through it.
func (b *bench) lists() error {
	database, err := pgserver.New()
	if err != nil {
		return err
	}
	defer database.Close()
	fmt.Printf("\n### A page of a list\n\nListComponents, pages of 25 by one client, the first half of the list.\n\n")
	fmt.Println("| on | components stored | milliseconds a page: median (min to max) |\n| --- | --- | --- |")
	for _, on := range []struct {
		name   string
		server *pgserver.Server
	}{{"SQLite", nil}, {"PostgreSQL", database}} {
		address, dir := "", filepath.Join(b.tmp, "lists-"+strings.ToLower(on.name))
		if on.server != nil {
			if address, err = on.server.Database(); err != nil {
				return err
			}
		}
		for _, n := range []int{few, many} {
			took, err := b.pages(on.name, on.server, address, dir, n)
			if err != nil {
				return err
			}
			fmt.Printf("| %s | %d | %s |\n", on.name, n, spread(took, "%.2f"))
		}
	}
	return nil
}

// pages makes the list n long and walks it.
func (b *bench) pages(name string, server *pgserver.Server, address, dir string, n int) ([]float64, error) {
	s, stop, err := b.goldsmithOn(name, server, address, dir)
	if err != nil {
		return nil, err
	}
	if n == few {
		err = s.fill(1)
	}
	stop()
	if err != nil {
		return nil, err
	}
	if err := multiply(dir, address, n); err != nil {
		return nil, err
	}
	if s, stop, err = b.goldsmithOn(name, server, address, dir); err != nil {
		return nil, err
	}
	defer stop()
	if _, err := s.walk(min(n, 2000)); err != nil { // warms up
		return nil, err
	}
	return s.walk(n)
}

// multiply copies the first component until there are n.
func multiply(dir, address string, n int) error {
	ctx := context.Background()
	open := func() (*store.Store, error) { return store.Open(ctx, datadir.Dir(dir).Database()) }
	if address != "" {
		open = func() (*store.Store, error) { return store.OpenPostgres(ctx, address) }
	}
	rows, err := open()
	if err != nil {
		return err
	}
	defer rows.Close()
	var have int64
	var first store.Resource
	err = rows.Read(ctx, func(tx *store.Tx) (err error) {
		if have, err = tx.Count("component", config.DefaultAccount, "us-east-1"); err != nil {
			return err
		}
		var there bool
		first, there, err = tx.Resource("arn:aws:imagebuilder:us-east-1:" + config.DefaultAccount + ":component/component-0/1.0.0/1")
		if err == nil && !there {
			err = fmt.Errorf("the first component is not there")
		}
		return err
	})
	for at := have; err == nil && at < int64(n); at += 1000 {
		err = rows.Write(ctx, func(tx *store.Tx) error {
			for i := at; i < min(at+1000, int64(n)); i++ {
				r, name := first, fmt.Sprintf("component-%d", i)
				r.Name, r.ARN = name, strings.Replace(first.ARN, "component-0", name, 1)
				r.Doc = bytes.ReplaceAll(first.Doc, []byte("component-0"), []byte(name))
				if err := tx.Insert(r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}
