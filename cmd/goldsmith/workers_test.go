package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// TestDoctorShowsWorkers reads what workers have told, a hostile one among them.
func TestDoctorShowsWorkers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rows, err := store.Open(t.Context(), datadir.Dir(dir).Database())
	if err != nil {
		t.Fatal(err)
	}
	about := `{"version":"v1","architecture":"x86_64","processors":8,"running":1,"memoryFreeMiB":100,"diskFreeMiB":200,"kinds":[
		{"kind":"sandbox","usable":true,"how":"systemd-nspawn"},{"kind":"vm","usable":false,"how":"\u001b[2Jnothing","remedy":"install QEMU"}]}`
	err = rows.Write(t.Context(), func(tx *store.Tx) error {
		return tx.PutWorker(store.Worker{ID: "w-1", Node: "n", Host: "build-1", Started: time.Now(), Builds: 4, About: []byte(about)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		cmd := root()
		cmd.SetArgs(append([]string{"doctor", "--data-dir", dir}, args...))
		cmd.SetOut(&out)
		if err := cmd.Execute(); err != nil && !strings.Contains(err.Error(), "checks need attention") {
			t.Fatal(err)
		}
		return out.String()
	}
	text := run()
	for _, part := range []string{"worker build-1 (w-1), alive", "1 of 4 images at work; x86_64, 8 processors, 100 MiB of memory and 200 MiB of disk free", "ok       sandbox  systemd-nspawn", "MISSING  vm       nothing", "→ install QEMU"} {
		if !strings.Contains(text, part) {
			t.Errorf("the report does not say %q:\n%s", part, text)
		}
	}
	var report struct {
		Checks  []finding
		Workers []workerFinding
	}
	if err := json.Unmarshal([]byte(run("--json")), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Checks) == 0 || len(report.Workers) != 1 || !report.Workers[0].Alive || report.Workers[0].Abilities.Kinds[1].Remedy != "install QEMU" {
		t.Errorf("the report is %+v", report)
	}
}
