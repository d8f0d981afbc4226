package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/goldsmith-build/goldsmith/internal/disk"
	"github.com/goldsmith-build/goldsmith/internal/objects"
)

// regionCount is to how many regions the change goes.
const regionCount = 3

// distributing is a way to bring a changed disk to the regions.
type distributing struct {
	name  string
	once  func(t *times, child, id string) (moved int64, err error)
	did   times
	moved []float64 // MiB, of all regions
}

// distribution brings a disk, in which 5 % of the parent's blocks changed, to
// three regions that have the parent: to regions that share the store, and to
// regions with stores of their own, in folders and on an S3 server; beside
// programs that copy the disk itself.
func (b *bench) distribution() error {
	ctx := context.Background()
	parent, err := b.parentDisk()
	if err != nil {
		return err
	}
	used, _, err := usedBlocks(parent)
	if err != nil {
		return err
	}
	home, err := openDisks(filepath.Join(b.tmp, "home"), nil)
	if err != nil {
		return err
	}
	first, err := home.Snapshot(ctx, parent, "")
	if err != nil {
		return err
	}
	s3server, stop, err := b.startS3()
	if err != nil {
		return err
	}
	defer stop()
	sides, err := b.distributors(home, s3server, parent, first.ID)
	if err != nil {
		return err
	}
	before := loadNow()
	var made times
	var changed []float64
	for round := range b.runs {
		child := filepath.Join(b.tmp, "child.raw")
		blocks := spreadBlocks(used, round)
		if _, err := disk.CopyFile(ctx, parent, child); err != nil {
			return err
		}
		if err := rewrite(child, blocks, uint64(round)+100); err != nil {
			return err
		}
		changed = append(changed, float64(len(blocks)*disk.BlockSize)/(1<<20))
		var snap disk.Snapshot
		if err := made.here(func() (err error) { snap, err = home.Snapshot(ctx, child, first.ID); return err }); err != nil {
			return err
		}
		for _, s := range inTurn(round, sides) {
			moved, err := s.once(&s.did, child, snap.ID)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.moved = append(s.moved, float64(moved)/(1<<20))
			fmt.Fprintf(os.Stderr, "bench: distribution, round %d: %s: %.2f s\n", round+1, s.name, s.did.clock[round])
		}
		if err := os.Remove(child); err != nil {
			return err
		}
	}
	printDistribution(sides, made, changed, before)
	return nil
}

// spreadBlocks chooses 5 % of a disk's blocks, one to four in a row as packages'
// files lie.
func spreadBlocks(used []int64, round int) []int64 {
	rng, chosen := rand.New(rand.NewPCG(uint64(round), 5)), map[int64]bool{}
	for len(chosen) < len(used)/20 {
		at := rng.IntN(len(used))
		for _, i := range used[at:min(at+1+rng.IntN(4), len(used))] {
			chosen[i] = true
		}
	}
	var all []int64
	for _, i := range used {
		if chosen[i] {
			all = append(all, i)
		}
	}
	return all
}

// distributors are the ways; the regions have the parent when it returns.
func (b *bench) distributors(home *disk.Store, server *s3Server, parent, id string) ([]*distributing, error) {
	sharing, err := openDisks(filepath.Join(b.tmp, "sharing"), objectsOf(filepath.Join(b.tmp, "home")))
	if err != nil {
		return nil, err
	}
	var folders, buckets []region
	for i := range regionCount {
		dir := filepath.Join(b.tmp, fmt.Sprint("region-", i))
		folder := objectsOf(dir)
		bucket, err := server.bucket(fmt.Sprint("region-", i))
		if err != nil {
			return nil, err
		}
		for _, r := range []struct {
			to  *[]region
			dir string
			objects.Store
		}{{&folders, dir, folder}, {&buckets, dir + "-s3", bucket}} {
			store, err := openDisks(r.dir, r.Store)
			if err != nil {
				return nil, err
			}
			if _, _, err := home.Copy(context.Background(), store, id, ""); err != nil {
				return nil, err
			}
			*r.to = append(*r.to, region{store, r.Store})
		}
	}
	return []*distributing{
		{name: "goldsmith, regions that share the store", once: func(t *times, _, id string) (int64, error) {
			return copies(t, home, []region{{sharing, objectsOf(filepath.Join(b.tmp, "home"))}, {sharing, nil}, {sharing, nil}}, id)
		}},
		{name: "goldsmith, folders", once: func(t *times, _, id string) (int64, error) { return copies(t, home, folders, id) }},
		{name: "`cp --sparse=always`", once: func(t *times, child, _ string) (int64, error) { return b.wholeCopies(t, child) }},
		{name: "`rsync --inplace --no-whole-file`", once: func(t *times, child, _ string) (int64, error) { return b.rsyncs(t, child, parent) }},
		{name: "goldsmith, S3", once: func(t *times, _, id string) (int64, error) {
			before := server.sent.Load()
			grown, err := copies(t, home, buckets, id)
			return max(grown, server.sent.Load()-before), err
		}},
		{name: "`aws s3 cp`", once: func(t *times, child, _ string) (int64, error) { return b.uploads(t, server, child) }},
	}, nil
}

func objectsOf(dir string) objects.Store {
	o, err := objects.OpenDir(filepath.Join(dir, "objects"))
	check(err)
	return o
}

// region is a store of disks and what it lies in; nil: counted elsewhere.
type region struct {
	*disk.Store
	objects objects.Store
}

// stored sums up the objects of a region.
func (r region) stored() (total int64, err error) {
	if r.objects == nil {
		return 0, nil
	}
	for info, err := range r.objects.List(context.Background(), "") {
		if err != nil {
			return 0, err
		}
		total += info.Size
	}
	return total, nil
}

// copies brings a snapshot to regions, one after the other, and gives the bytes
// by which their stores grew.
func copies(t *times, home *disk.Store, regions []region, id string) (moved int64, err error) {
	count := func(sign int64) error {
		for _, r := range regions {
			n, err := r.stored()
			if err != nil {
				return err
			}
			moved += sign * n
		}
		return nil
	}
	if err := count(-1); err != nil {
		return 0, err
	}
	err = t.here(func() error {
		for _, r := range regions {
			if _, _, err := home.Copy(context.Background(), r.Store, id, ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return moved, count(1)
}

// target is the file of a region, for programs that copy the disk.
func (b *bench) target(i int) string { return filepath.Join(b.tmp, fmt.Sprint("target-", i, ".raw")) }

func (b *bench) wholeCopies(t *times, child string) (int64, error) {
	defer b.removeTargets()
	err := t.shell(`for to in "$2" "$3" "$4"; do cp --sparse=always "$1" "$to"; sync "$to"; done`, child, b.target(0), b.target(1), b.target(2))
	var moved int64
	for i := range regionCount {
		mib, _ := strconv.ParseInt(occupied(b.target(i)), 10, 64)
		moved += mib << 20
	}
	return moved, err
}

func (b *bench) removeTargets() {
	for i := range regionCount {
		os.Remove(b.target(i))
	}
}

var literal = regexp.MustCompile(`Total bytes sent: ([0-9,]+)`)

// rsyncs updates files that are the parent's disk.
func (b *bench) rsyncs(t *times, child, parent string) (moved int64, err error) {
	defer b.removeTargets()
	for i := range regionCount {
		if _, err := disk.CopyFile(context.Background(), parent, b.target(i)); err != nil {
			return 0, err
		}
		if err := flush(b.target(i)); err != nil {
			return 0, err
		}
	}
	said := filepath.Join(b.tmp, "rsync.out")
	err = t.shell(`for to in "$3" "$4" "$5"; do rsync --inplace --no-whole-file --fsync --stats "$1" "$to"; done > "$2"`, child, said, b.target(0), b.target(1), b.target(2))
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(said)
	if err != nil {
		return 0, err
	}
	for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.ParseInt(strings.ReplaceAll(m[1], ",", ""), 10, 64)
		if err != nil {
			return 0, err
		}
		moved += n
	}
	return moved, nil
}

// uploads copies the whole disk to the buckets.
func (b *bench) uploads(t *times, server *s3Server, child string) (int64, error) {
	err := t.shell(`for n in 0 1 2; do "$1" --endpoint-url "$2" s3 cp --no-progress "$3" "s3://region-$n/disk.raw"; done >/dev/null`, filepath.Join(b.venv, "aws"), server.url, child)
	if err != nil {
		return 0, err
	}
	var moved int64
	for i := range regionCount {
		object, err := server.client.HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: aws.String(fmt.Sprint("region-", i)), Key: aws.String("disk.raw")})
		if err != nil {
			return 0, err
		}
		moved += aws.ToInt64(object.ContentLength)
		_, err = server.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(fmt.Sprint("region-", i)), Key: aws.String("disk.raw")})
		if err != nil {
			return 0, err
		}
	}
	return moved, nil
}

func printDistribution(sides []*distributing, made times, changed []float64, before string) {
	fmt.Printf("\n## Distribution to %d regions: %.0f MiB changed (%d runs each, in turn; load %s before, %s after)\n\n", regionCount, median(slices.Clone(changed)), len(changed), before, loadNow())
	fmt.Printf("The snapshot of the changed disk, into the first store: %s s, processor %s s.\n\n", spread(slices.Clone(made.clock), "%.2f"), spread(slices.Clone(made.processor), "%.2f"))
	fmt.Printf("| | seconds | processor, of this side | MiB moved | as a part of the changed |\n| --- | --- | --- | --- | --- |\n")
	byName := map[string]*distributing{}
	for _, s := range sides {
		byName[s.name] = s
		part := make([]float64, len(changed))
		for i := range part {
			part[i] = s.moved[i] / (regionCount * changed[i])
		}
		fmt.Printf("| %s | %s | %s | %.1f | %s |\n", s.name, spread(slices.Clone(s.did.clock), "%.3f"), spread(slices.Clone(s.did.processor), "%.2f"), median(slices.Clone(s.moved)), spread(part, "%.2f"))
	}
	fmt.Printf("\n| times as fast | copies alone | with the snapshot |\n| --- | --- | --- |\n")
	for _, pair := range [][2]string{{"goldsmith, folders", "`cp --sparse=always`"}, {"goldsmith, folders", "`rsync --inplace --no-whole-file`"}, {"goldsmith, S3", "`aws s3 cp`"}} {
		ours, theirs := byName[pair[0]].did.clock, byName[pair[1]].did.clock
		with := slices.Clone(ours)
		for i := range with {
			with[i] += made.clock[i]
		}
		fmt.Printf("| %s, than %s | **%s** | %s |\n", pair[0], pair[1], spread(ratios(theirs, ours), "%.1f"), spread(ratios(theirs, with), "%.1f"))
	}
}
