package fault

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// fault is one that was injected.
type fault struct {
	Kind    string
	Place   string
	Outcome string
	Took    time.Duration // from the fault to the image's end
	Wrong   bool
}

// tally holds all faults of a run.
type tally struct {
	mu      sync.Mutex
	Faults  []fault
	Cancels []fault // of cancellations: what they took
}

var figures tally

func (f *tally) add(one fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Faults = append(f.Faults, one)
	f.keep()
}

// cancelled notes what a cancellation took.
func (f *tally) cancelled(place string, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Cancels = append(f.Cancels, fault{Place: place, Took: took})
	f.keep()
}

// seconds is a duration for the report.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// spread gives the median and the largest of some durations.
func spread(list []fault) (median, largest time.Duration) {
	slices.SortFunc(list, func(a, b fault) int { return int(a.Took - b.Took) })
	if len(list) == 0 {
		return 0, 0
	}
	return list[len(list)/2].Took, list[len(list)-1].Took
}

// keep writes what there is into the file of results, if there is one. What goes
// wrong there the end of the run will say.
func (f *tally) keep() {
	if *results != "" {
		if data, err := json.Marshal(f); err == nil {
			_ = os.WriteFile(*results, data, 0o600)
		}
	}
}

// join adds what runs of other groups left in files: the suite can be run group by
// group.
func (f *tally) join(files []string) error {
	for _, name := range files {
		if err := f.joinFile(name); err != nil {
			return err
		}
	}
	return nil
}

func (f *tally) joinFile(name string) error {
	var before tally
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil {
		return fmt.Errorf("reading the results %s: %w", name, err)
	}
	add := func(list, old []fault, same func(a, b fault) bool) []fault {
		now := slices.Clone(list)
		for _, o := range old {
			if !slices.ContainsFunc(now, func(n fault) bool { return same(n, o) }) {
				list = append(list, o)
			}
		}
		return list
	}
	f.Faults = add(f.Faults, before.Faults, func(a, b fault) bool { return a.Kind == b.Kind })
	f.Cancels = add(f.Cancels, before.Cancels, func(a, b fault) bool { return a.Place == b.Place })
	return nil
}

// write writes the report, if a file is named.
func (f *tally) write(name string) error {
	if name == "" {
		return nil
	}
	var b strings.Builder
	b.WriteString(reportHead)
	if *note != "" {
		fmt.Fprintf(&b, "%s\n\n", *note)
	}
	b.WriteString(tableHead)
	var kinds []string
	of := map[string][]fault{}
	for _, one := range f.Faults {
		if of[one.Kind] == nil {
			kinds = append(kinds, one.Kind)
		}
		of[one.Kind] = append(of[one.Kind], one)
	}
	slices.Sort(kinds)
	all, wrong := 0, 0
	for _, kind := range kinds {
		outcomes := map[string]int{}
		bad := 0
		for _, one := range of[kind] {
			outcomes[one.Outcome]++
			if one.Wrong {
				bad++
			}
		}
		median, largest := spread(of[kind])
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %s | %s | %d |\n", kind, len(of[kind]), outcomes["AVAILABLE"], outcomes["FAILED"], outcomes["CANCELLED"], seconds(median), seconds(largest), bad)
		all, wrong = all+len(of[kind]), wrong+bad
	}
	fmt.Fprintf(&b, "| **all** | **%d** | | | | | | **%d** |\n", all, wrong)
	f.writeCancels(&b)
	f.writePlaces(&b, kinds, of)
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

// writeCancels tells how long cancellations took.
func (f *tally) writeCancels(b *strings.Builder) {
	if len(f.Cancels) == 0 {
		return
	}
	median, largest := spread(f.Cancels)
	n := len(f.Cancels)
	over := 0
	for _, one := range f.Cancels {
		if one.Took > 5*time.Second {
			over++
		}
	}
	fmt.Fprintf(b, cancelHead, n, median.Seconds(), f.Cancels[n*9/10].Took.Seconds(), largest.Seconds(), over)
	b.WriteString("| the longest | seconds |\n| --- | --- |\n")
	for _, one := range f.Cancels[max(0, n-8):] {
		fmt.Fprintf(b, "| %s | %.2f |\n", one.Place, one.Took.Seconds())
	}
}

// writePlaces lists the places of each kind.
func (f *tally) writePlaces(b *strings.Builder, kinds []string, of map[string][]fault) {
	b.WriteString("\n## Where\n\nEach place, in the words of the code, with the state that the image came to and the seconds until then.\n")
	for _, kind := range kinds {
		fmt.Fprintf(b, "\n<details><summary>%s (%d)</summary>\n\n", kind, len(of[kind]))
		for _, one := range of[kind] {
			fmt.Fprintf(b, "- %s: %s, %s\n", one.Place, one.Outcome, seconds(one.Took))
		}
		b.WriteString("\n</details>\n")
	}
}

const reportHead = `# Faults

What the fault suite did to a running Goldsmith, and what became of the images. Written by ` + "`make fault`" + `; the
short part of the suite runs with ` + "`make test`" + `.

After every fault the suite looks at all of this: the image is AVAILABLE, FAILED with a reason, or CANCELLED; one
event and one message told of it, and none of another end; an AVAILABLE image has one AMI in each of its two
regions, whose disk holds what the build wrote, once; any other has none. The machine has no mount, loop device,
process, control group, instance folder or temporary file of the build. At the end of each group, no row speaks
of work that nobody does, and after a collection every block belongs to a snapshot that is wanted.

The builds are real ones of a tiny parent (a busybox) in sandboxes, tests too; "VM" marks those of Debian whose
test boots in QEMU. Seconds are from the fault to the image's end, most of them spent on building again or on the
fault itself. The machine was shared and busy.
Servers are killed in builds of three pipelines: a good one, a bad one whose component fails, and an untested one
whose test fails. The object store was away for 2 s and for good, not for 30 s; the database for 30 s.

`

const tableHead = `| fault | injected | AVAILABLE | FAILED | CANCELLED | median s | longest s | wrong |
| --- | --- | --- | --- | --- | --- | --- | --- |
`

const cancelHead = `
## Cancellation

CancelImageCreation, %d times, from the answer to the call to the state CANCELLED: median %.2f s, 90 %% within
%.2f s, longest %.2f s; over 5 s: %d.

`
