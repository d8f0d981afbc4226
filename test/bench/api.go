package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/store/pgserver"
)

const (
	few     = 1_000
	some    = 10_000 // resources that are stored while the loads are measured
	many    = 100_000
	perPart = 3000 // requests of a round
	slower  = 10   // moto gets so many times fewer: it needs longer for each
)

// measured are the loads, by their names in the table.
var measured = []struct {
	name, other string
	of          kind
}{
	{"mixed, 70 % reads", "the same", mixture},
	{"mixed without lists", "the same", mixtureWithoutLists},
	{"CreateComponent", "ssm put-parameter", creates},
	{"GetComponent", "ssm get-parameter", gets},
	{"ListComponents, a page of 25", "ssm describe-parameters", lists},
	{"TagResource", "ssm add-tags-to-resource", changes},
}

// api measures the API on SQLite and on PostgreSQL beside moto's server.
func (b *bench) api() error {
	database, err := pgserver.New()
	if err != nil {
		return err
	}
	defer database.Close()
	ours, stop, err := b.goldsmithSide("SQLite", nil)
	if err != nil {
		return err
	}
	defer stop()
	shared, stop, err := b.goldsmithSide("PostgreSQL", database)
	if err != nil {
		return err
	}
	defer stop()
	moto, stop, err := b.motoSide()
	if err != nil {
		return err
	}
	defer stop()
	sides := []*side{ours, shared, moto}

	for _, s := range sides {
		if err := s.fill(some); err != nil {
			return err
		}
	}
	if err := b.loads(sides); err != nil {
		return err
	}
	if err := memory(sides); err != nil {
		return err
	}
	return nil
}

// loads measures every kind of request on every side in turn.
func (b *bench) loads(sides []*side) error {
	results := map[string][][]load{} // by name of the load: by side
	for round := range b.runs + 1 {
		for _, m := range measured {
			if results[m.name] == nil {
				results[m.name] = make([][]load, len(sides))
			}
			for i, s := range sides {
				n := perPart
				if s.name == "moto" {
					n /= slower
				}
				l, err := s.round(n, m.of)
				if err != nil {
					return err
				}
				if round > 0 { // the first warms up
					results[m.name][i] = append(results[m.name][i], l)
				}
			}
		}
	}
	fmt.Printf("\n## API\n\n%d clients; medians of %d rounds; %d to %d resources stored.\n\n", clients, b.runs, some, sides[0].stored)
	fmt.Println("| | on | requests/s | p50 ms | p99 ms | moto's nearest | requests/s | p99 ms | ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, m := range measured {
		theirs := results[m.name][len(sides)-1]
		for i, s := range sides[:len(sides)-1] {
			our := results[m.name][i]
			fmt.Printf("| %s | %s | %.0f | %.1f | %.1f | %s | %.0f | %.0f | **%.1f** |\n", m.name, s.name,
				middle(our, load.getRate), middle(our, load.getP50), middle(our, load.getP99), m.other, middle(theirs, load.getRate), middle(theirs, load.getP99),
				median(ratios(each(our, load.getRate), each(theirs, load.getRate))))
		}
	}
	if n := sides[len(sides)-1].failures.Load(); n > 0 {
		fmt.Printf("\n%d of moto's answers were internal errors, as it has when it lists and stores at once; they count as answers.\n", n)
	}
	return nil
}

func (l load) getRate() float64 { return l.rate }
func (l load) getP50() float64  { return l.p50 }
func (l load) getP99() float64  { return l.p99 }

func each(loads []load, of func(load) float64) []float64 {
	all := make([]float64, len(loads))
	for i, l := range loads {
		all[i] = of(l)
	}
	return all
}

func middle(loads []load, of func(load) float64) float64 { return median(each(loads, of)) }

// walk reads the first half of a list of n and gives what each page took, in
// milliseconds.
func (s *side) walk(n int) ([]float64, error) {
	conn := &connection{addr: strings.TrimPrefix(s.url, "http://")}
	defer conn.close()
	var took []float64
	token := ""
	for range max(1, n/2/25) {
		bytes, err := s.prepare(page(s.url, token))
		if err != nil {
			return nil, err
		}
		at := time.Now()
		answer, err := conn.send(bytes)
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(at).Seconds()*1000)
		var out struct {
			NextToken            string            `json:"nextToken"`
			ComponentVersionList []json.RawMessage `json:"componentVersionList"`
		}
		if err := json.Unmarshal(answer, &out); err != nil {
			return nil, err
		}
		if len(out.ComponentVersionList) != 25 || out.NextToken == "" {
			return nil, errors.New("a page in the middle of a list is not full")
		}
		token = out.NextToken
	}
	return took, nil
}

// memory prints what the servers use after the loads. Shared pages are counted
// for each process by its part.
func memory(sides []*side) error {
	fmt.Printf("\n### Memory\n\nAfter these loads, proportional set size.\n\n| | MiB |\n| --- | --- |\n")
	for _, s := range sides {
		pids, err := s.processes()
		if err != nil {
			return err
		}
		var own, others float64
		for i, pid := range pids {
			size, err := proportional(pid)
			if err != nil {
				return err
			}
			if i == len(pids)-1 {
				own = size
			} else {
				others += size
			}
		}
		fmt.Printf("| %s: the server | %.0f |\n", s.name, own)
		if others > 0 {
			fmt.Printf("| %s: PostgreSQL's processes | %.0f |\n", s.name, others)
		}
	}
	return nil
}

// proportional is the proportional set size of a process, in MiB.
func proportional(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if os.IsNotExist(err) {
		return 0, nil // it has ended meanwhile
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no proportional set size", pid)
}
