package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

func tokens(t *testing.T, s *store.Store) {
	token := store.Token{Account: account, Region: region, Operation: "CreateComponent", Token: "t", Digest: "d", Response: []byte(`{}`), Created: then}
	write(t, s, func(tx *store.Tx) error { return tx.PutToken(token) })
	find := func(account, operation string, now time.Time) (got store.Token, ok bool) {
		read(t, s, func(tx *store.Tx) (err error) {
			got, ok, err = tx.Token(account, region, operation, "t", now)
			return err
		})
		return got, ok
	}
	got, _ := find(account, "CreateComponent", then.Add(store.TokenLife-1))
	same(t, "token", got, token)
	for name, ok := range map[string]bool{
		"over age":        second(find(account, "CreateComponent", then.Add(store.TokenLife))),
		"other account":   second(find("999999999999", "CreateComponent", then)),
		"other operation": second(find(account, "CreateImage", then)),
	} {
		if ok {
			t.Errorf("%s: the token was found", name)
		}
	}
	// A token that is over age makes room for another use of the same string,
	// and old ones go away by themselves.
	token.Digest, token.Created = "d2", then.Add(2*store.TokenLife)
	write(t, s, func(tx *store.Tx) error { return tx.PutToken(token) })
	got, _ = find(account, "CreateComponent", token.Created)
	same(t, "token used anew", got, token)
	other := token
	other.Token, other.Created = "later", token.Created.Add(2*store.TokenLife)
	// Within a hundred more the old one is forgotten.
	for i := range 100 {
		other.Token = fmt.Sprint("later-", i)
		write(t, s, func(tx *store.Tx) error { return tx.PutToken(other) })
	}
	if _, ok := find(account, "CreateComponent", token.Created); ok {
		t.Error("an old token was not forgotten")
	}
}

func second[A, B any](_ A, b B) B { return b }

func executions(t *testing.T, s *store.Store) {
	w := store.WorkflowExecution{ID: "wf-1", ImageARN: "arn:image", WorkflowARN: "arn:wf", Type: "BUILD", Status: "RUNNING", Message: "m", ParallelGroup: "g",
		TotalSteps: 5, Succeeded: 1, Failed: 2, Skipped: 3, Start: then, Ordinal: 1}
	first := w
	first.ID, first.Ordinal = "wf-0", 0
	step := store.StepExecution{ID: "step-1", WorkflowExecutionID: "wf-1", ImageARN: "arn:image", WorkflowARN: "arn:wf", Name: "n", Description: "d", Action: "a", Status: "RUNNING",
		RollbackStatus: "SKIPPED", Message: "m", Inputs: "{}", Outputs: "[]", OnFailure: "Abort", TimeoutSeconds: 4, Attempt: 1, MaxAttempts: 2, Start: then, Ordinal: 2}
	earlier := step
	earlier.ID, earlier.Ordinal = "step-2", 1
	write(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.PutWorkflowExecution(w), tx.PutWorkflowExecution(first), tx.PutStepExecution(step), tx.PutStepExecution(earlier))
	})
	w.Status, w.End = "COMPLETED", then.Add(time.Minute)
	step.Status, step.End = "COMPLETED", then.Add(time.Minute)
	write(t, s, func(tx *store.Tx) error { return errors.Join(tx.PutWorkflowExecution(w), tx.PutStepExecution(step)) })
	read(t, s, func(tx *store.Tx) error {
		ws, err := tx.WorkflowExecutions("arn:image")
		same(t, "workflow executions", ws, []store.WorkflowExecution{first, w})
		steps, err2 := tx.StepExecutions("wf-1")
		same(t, "steps", steps, []store.StepExecution{earlier, step})
		oneW, ok, err3 := tx.WorkflowExecution("wf-1")
		same(t, "workflow execution", oneW, w)
		oneS, ok2, err4 := tx.StepExecution("step-1")
		same(t, "step", oneS, step)
		if !ok || !ok2 {
			t.Error("an execution was not found by its ID")
		}
		return errors.Join(err, err2, err3, err4)
	})
}

func imageRecords(t *testing.T, s *store.Store) {
	const image = "arn:image"
	packages := []store.Package{{Name: "b", Version: "1"}, {Name: "a", Version: "2"}, {Name: "c", Version: "3"}}
	write(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.PutPlan(image, []byte("old")), tx.PutPlan(image, []byte(`{"plan":1}`)), tx.PutPackages(image, packages[:1]), tx.PutPackages(image, packages),
			tx.RequestCancel(image, then), tx.RequestCancel(image, then.Add(1)),
			tx.PutWorkflowExecution(store.WorkflowExecution{ID: "wf-1", ImageARN: image}), tx.PutStepExecution(store.StepExecution{ID: "step-1", WorkflowExecutionID: "wf-1", ImageARN: image}))
	})
	look := func() (found []any) {
		read(t, s, func(tx *store.Tx) error {
			plan, ok, err := tx.Plan(image)
			first, err2 := tx.Packages(image, 0, 2)
			rest, err3 := tx.Packages(image, 2, 10)
			cancel, err4 := tx.CancelRequested(image)
			ws, err5 := tx.WorkflowExecutions(image)
			steps, err6 := tx.StepExecutions("wf-1")
			found = []any{string(plan), ok, first, rest, cancel, len(ws), len(steps)}
			return errors.Join(err, err2, err3, err4, err5, err6)
		})
		return found
	}
	same(t, "records", look(), []any{`{"plan":1}`, true, packages[:2], packages[2:], true, 1, 1})
	write(t, s, func(tx *store.Tx) error { return tx.DeleteImageRecords(image) })
	same(t, "after deletion", look(), []any{"", false, []store.Package(nil), []store.Package(nil), false, 0, 0})
}

func instances(t *testing.T, s *store.Store) {
	i := store.Instance{ID: "i-1", Node: "node", Kind: "vm", Dir: "/d", Volume: "/v", ImageARN: "arn", State: "running", Created: then}
	j := i
	j.ID, j.Created = "i-0", then.Add(1e9)
	write(t, s, func(tx *store.Tx) error { return errors.Join(tx.PutInstance(j), tx.PutInstance(i)) })
	i.State = "kept"
	write(t, s, func(tx *store.Tx) error { return tx.PutInstance(i) })
	all := func() (got []store.Instance) {
		read(t, s, func(tx *store.Tx) (err error) {
			got, err = tx.Instances()
			return err
		})
		return got
	}
	same(t, "ledger", all(), []store.Instance{i, j})
	write(t, s, func(tx *store.Tx) error { return errors.Join(tx.DeleteInstance("i-1"), tx.DeleteInstance("i-1")) })
	same(t, "ledger after deletion", all(), []store.Instance{j})
}

func amis(t *testing.T, s *store.Store) {
	ami := func(id, account, region, name string) store.AMI {
		return store.AMI{ID: id, Account: account, Region: region, Name: name, Created: then, Doc: []byte(`{}`)}
	}
	own, public, shared := ami("ami-3", account, region, "n"), ami("ami-1", "9", region, "n"), ami("ami-2", "9", region, "m")
	private, elsewhere := ami("ami-4", "9", region, "o"), ami("ami-5", account, "eu-west-1", "n")
	write(t, s, func(tx *store.Tx) error {
		return errors.Join(tx.InsertAMI(own, nil), tx.InsertAMI(public, []string{store.Everyone, store.Everyone}), tx.InsertAMI(shared, []string{account}), tx.InsertAMI(private, []string{"8"}), tx.InsertAMI(elsewhere, nil))
	})
	visible := func(after string, limit int, groups ...string) (got []store.AMI) {
		read(t, s, func(tx *store.Tx) (err error) {
			got, err = tx.VisibleAMIs(account, groups, region, after, limit)
			return err
		})
		return got
	}
	same(t, "visible", visible("", 10), []store.AMI{public, shared, own})
	same(t, "second page", visible("ami-1", 1), []store.AMI{shared})
	write(t, s, func(tx *store.Tx) error { return tx.UpdateAMI("ami-4", private.Doc, []string{"ou-2"}) })
	same(t, "of another group", visible("", 10, "o-1", "ou-1"), []store.AMI{public, shared, own})
	same(t, "of a group", visible("", 10, "o-1", "ou-1", "ou-2"), []store.AMI{public, shared, own, private})
	if err := s.Read(t.Context(), func(tx *store.Tx) error {
		_, err := tx.VisibleAMIs(account, make([]string, store.MaxMemberships+1), region, "", 1)
		return err
	}); err == nil {
		t.Error("an account in more groups than are looked at")
	}
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.InsertAMI(ami("ami-6", account, region, "n"), nil) }); !errors.Is(err, store.ErrExists) {
		t.Errorf("a second AMI of the same name: %v, want ErrExists", err)
	}
	shared.Doc = []byte(`{"a":1}`)
	write(t, s, func(tx *store.Tx) error { return tx.UpdateAMI("ami-2", shared.Doc, nil) })
	same(t, "after the share was taken back", visible("", 10), []store.AMI{public, own})
	read(t, s, func(tx *store.Tx) error {
		got, ok, err := tx.AMI("ami-2")
		same(t, "changed AMI", got, shared)
		same(t, "found", ok, true)
		return err
	})
	write(t, s, func(tx *store.Tx) error { return tx.DeleteAMI("ami-1") })
	same(t, "after deletion", visible("", 10), []store.AMI{own})
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.DeleteAMI("ami-1") }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting an AMI twice: %v, want ErrNotFound", err)
	}
}

func snapshots(t *testing.T, s *store.Store) {
	var want []store.Snapshot
	for i := range 3 {
		x := store.Snapshot{ID: fmt.Sprint("snap-", i), Account: account, Region: region, Manifest: "m", Created: then, Doc: []byte(`{}`)}
		want = append(want, x)
		write(t, s, func(tx *store.Tx) error { return tx.InsertSnapshot(x) })
	}
	read(t, s, func(tx *store.Tx) error {
		got, err := tx.Snapshots(account, region, "snap-0", 10)
		same(t, "snapshots", got, want[1:])
		none, err2 := tx.Snapshots(account, "eu-west-1", "", 10)
		same(t, "snapshots elsewhere", len(none), 0)
		used, err3 := tx.ManifestInUse("m")
		unused, err4 := tx.ManifestInUse("other")
		same(t, "in use", []bool{used, unused}, []bool{true, false})
		all, err5 := tx.Manifests()
		same(t, "manifests", all, []string{"m"})
		return errors.Join(err, err2, err3, err4, err5)
	})
	for _, x := range want {
		write(t, s, func(tx *store.Tx) error { return tx.DeleteSnapshot(x.ID) })
	}
	read(t, s, func(tx *store.Tx) error {
		used, err := tx.ManifestInUse("m")
		same(t, "in use after deletion", used, false)
		return err
	})
}

func workers(t *testing.T, s *store.Store) {
	w := store.Worker{ID: "w-1", Node: "node", Host: "build-1", Started: then, Builds: 3, About: []byte(`{"a":1}`)}
	var before time.Time
	write(t, s, func(tx *store.Tx) (err error) {
		before, err = tx.Clock()
		return errors.Join(err, tx.PutWorker(w), tx.PutWorker(store.Worker{ID: "w-2"}))
	})
	all := func() (got []store.Worker) {
		t.Helper()
		read(t, s, func(tx *store.Tx) (err error) {
			got, err = tx.Workers()
			return err
		})
		return got
	}
	found := all()
	if len(found) != 2 || found[0].Seen.Before(before) || found[0].Seen.Sub(before) > time.Minute {
		t.Fatalf("workers %+v, put at %v", found, before)
	}
	w.Seen = found[0].Seen
	same(t, "worker", found[0], w)
	time.Sleep(2 * time.Millisecond)
	write(t, s, func(tx *store.Tx) error { return tx.Beat("w-1", []byte(`{"a":2}`)) })
	if found = all(); !found[0].Seen.After(w.Seen) {
		t.Errorf("after a beat it was last seen at %v, before at %v", found[0].Seen, w.Seen)
	}
	same(t, "about", string(found[0].About), `{"a":2}`)

	// Who holds a lease may write, until it is taken away.
	ctx := store.Leased(t.Context(), "w-1")
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.Insert(component("a", 1, 0, 0, 1)) }); err != nil {
		t.Errorf("a write under a lease: %v", err)
	}
	write(t, s, func(tx *store.Tx) error { return errors.Join(tx.DeleteWorker("w-1"), tx.DeleteWorker("w-1")) })
	err := s.Write(ctx, func(tx *store.Tx) error { return tx.Insert(component("b", 1, 0, 0, 1)) })
	if !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a write under a lost lease: %v, want ErrLeaseLost", err)
	}
	if err := s.Write(t.Context(), func(tx *store.Tx) error { return tx.Beat("w-1", nil) }); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("a beat without a lease: %v, want ErrLeaseLost", err)
	}
	same(t, "rows", len(list(t, s, store.Query{Limit: 10})), 1)
}
