package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

func writeIsAllOrNothing(t *testing.T, s *store.Store) {
	r := component("n", 1, 0, 0, 1)
	boom := errors.New("boom")
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return errors.Join(tx.Insert(r), boom) }); !errors.Is(err, boom) {
		t.Fatalf("Write = %v, want the function's error", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not come through")
			}
		}()
		_ = s.Write(t.Context(), func(tx *store.Tx) error {
			if err := tx.Insert(r); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	same(t, "rows after an error and a panic", arns(list(t, s, store.Query{Limit: 10})), []string(nil))
	insert(t, s, r) // the connection is free again
}

func readIsOneMoment(t *testing.T, s *store.Store) {
	insert(t, s, component("a", 1, 0, 0, 1))
	read(t, s, func(tx *store.Tx) error {
		first, err := tx.Count("component", account, region)
		if err != nil {
			return err
		}
		insert(t, s, component("b", 1, 0, 0, 1))
		again, err := tx.Count("component", account, region)
		if first != 1 || again != 1 {
			t.Errorf("a Read saw %d, then %d, while another wrote", first, again)
		}
		return err
	})
	same(t, "rows afterwards", len(list(t, s, store.Query{Limit: 10})), 2)
}

func writersTakeTurns(t *testing.T, s *store.Store) {
	const writers, each = 8, 10
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for range each {
				err := s.Write(t.Context(), func(tx *store.Tx) error {
					r := component("n", 1, 0, 0, 0)
					n, err := tx.NextBuild(r.Key, r.Version)
					if err != nil {
						return err
					}
					return tx.Insert(component("n", 1, 0, 0, n))
				})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	group.Wait()
	builds := list(t, s, store.Query{Limit: 1000})
	for i, r := range builds {
		if r.Version.Build != int64(i+1) {
			t.Errorf("build number %d is %d", i+1, r.Version.Build)
		}
	}
	same(t, "builds", len(builds), writers*each)
	same(t, "latest", arns(list(t, s, store.Query{Scope: store.Versions, Limit: 10})), []string{component("n", 1, 0, 0, writers*each).ARN})
}

func readersCannotWrite(t *testing.T, s *store.Store) {
	if err := s.Read(t.Context(), func(tx *store.Tx) error { return tx.Insert(component("n", 1, 0, 0, 1)) }); err == nil {
		t.Error("an Insert in a Read succeeded")
	}
	same(t, "rows", len(list(t, s, store.Query{Limit: 10})), 0)
}

func hostileNames(t *testing.T, s *store.Store) {
	for i, name := range []string{`'; DROP TABLE resource; --`, `" OR 1=1`, `$1 ? ?`, `%`, `_`, "\U0001f600", ""} {
		r := component(name, 1, 0, 0, 1)
		r.ARN = fmt.Sprint("arn:", i)
		insert(t, s, r)
		read(t, s, func(tx *store.Tx) error {
			got, ok, err := tx.Match(r.Key, r.Version)
			if !ok || got.ARN != r.ARN {
				t.Errorf("Match(%q) = %q, %v", name, got.ARN, ok)
			}
			return err
		})
	}
	for _, name := range []string{"a\x00b", "a\xffb"} {
		r := component(name, 1, 0, 0, 1)
		if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Insert(r) }); !errors.Is(err, store.ErrText) {
			t.Errorf("inserting %q: %v, want ErrText", name, err)
		}
		err := s.Read(t.Context(), func(tx *store.Tx) error {
			_, _, err := tx.Match(r.Key, r.Version)
			return err
		})
		if !errors.Is(err, store.ErrText) {
			t.Errorf("looking for %q: %v, want ErrText", name, err)
		}
	}
}

// lastWords has records whose texts a program has written.
func lastWords(t *testing.T, s *store.Store) {
	step := store.StepExecution{ID: "step-1", Message: "exit 1: a\x00b\xffc", Description: "\xff", Inputs: `{"a":"b"}`, Outputs: "{}"}
	workflow := store.WorkflowExecution{ID: "wf-1", Message: "\x00"}
	write(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.PutStepExecution(step), tx.PutWorkflowExecution(workflow), tx.PutPackages("arn:image", []store.Package{{Name: "a\xff", Version: "\x001"}}))
	})
	read(t, s, func(tx *store.Tx) error {
		gotStep, _, err1 := tx.StepExecution("step-1")
		gotWorkflow, _, err2 := tx.WorkflowExecution("wf-1")
		packages, err3 := tx.Packages("arn:image", 0, 10)
		same(t, "a step's message", gotStep.Message, "exit 1: a\uFFFDb\uFFFDc")
		same(t, "a workflow's message", gotWorkflow.Message, "\uFFFD")
		same(t, "packages", packages, []store.Package{{Name: "a\uFFFD", Version: "\uFFFD1"}})
		return errors.Join(err1, err2, err3)
	})
}

// swallowed has a function that goes on after a statement failed, and says that
// all is well.
func swallowed(t *testing.T, s *store.Store) {
	taken := component("taken", 1, 0, 0, 1)
	insert(t, s, taken)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			err := s.Write(t.Context(), func(tx *store.Tx) error {
				if i%2 == 0 {
					_ = tx.Insert(taken)
				}
				_ = tx.Insert(component(fmt.Sprintf("n%02d", i), 1, 0, 0, 1))
				return nil
			})
			if i%2 == 0 && !errors.Is(err, store.ErrExists) || i%2 == 1 && err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	group.Wait()
	same(t, "rows", len(list(t, s, store.Query{Limit: 100})), 11)
}

// failuresAreAlone has many writers of which some fail, in every way there is:
// what the others did is kept, and of theirs nothing.
func failuresAreAlone(t *testing.T, s *store.Store) {
	const writers = 60
	boom := errors.New("boom")
	var group sync.WaitGroup
	var want []string
	for i := range writers {
		good, bad := component(fmt.Sprintf("n%02d-good", i), 1, 0, 0, 1), component(fmt.Sprintf("n%02d-bad", i), 1, 0, 0, 1)
		if i%3 == 0 {
			want = append(want, good.ARN)
		}
		group.Go(func() {
			defer func() {
				if p := recover(); (p != nil) != (i%6 == 1) {
					t.Errorf("writer %d: panic %v", i, p)
				}
			}()
			err := s.Write(t.Context(), func(tx *store.Tx) error {
				switch i % 6 {
				case 0, 3:
					return tx.Insert(good)
				case 1:
					_ = tx.Insert(bad)
					panic("boom")
				case 2:
					return errors.Join(tx.Insert(bad), boom)
				case 4:
					return errors.Join(tx.Insert(bad), tx.Insert(bad)) // the second is a conflict
				default:
					_ = tx.Insert(bad)
					runtime.Goexit()
				}
				return nil
			})
			if failed := i%6 == 2 || i%6 == 4; (err != nil) != failed {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	group.Wait()
	same(t, "rows", arns(list(t, s, store.Query{Limit: 1000})), want)
	read(t, s, func(tx *store.Tx) error {
		n, err := tx.Count("component", account, region)
		same(t, "count", n, int64(len(want)))
		return err
	})
}
