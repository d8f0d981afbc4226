package imagebuilder

import (
	"strconv"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

// highestNode is the most that a node of a version can be (User Guide,
// "Semantic versioning").
const highestNode = 1<<30 - 1

func errVersion(format string) error {
	return fault.New(api.CodeInvalidVersionNumber, "The supplied semantic version does not follow the required format. %s", format)
}

// parseVersion reads "1.2.3", with "x" for a wildcard in any node. The build is
// Any.
func parseVersion(s string) (store.Version, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return store.Version{}, errVersion("Use the major.minor.patch format.")
	}
	v := store.Version{Build: store.Any}
	for i, into := range []*int64{&v.Major, &v.Minor, &v.Patch} {
		if parts[i] == "x" {
			*into = store.Any
			continue
		}
		n, ok := versionNode(parts[i])
		if !ok {
			return store.Version{}, errVersion("Use the major.minor.patch format, with numbers from 0 to 1073741823 that have no leading zeros.")
		}
		*into = n
	}
	return v, nil
}

func versionNode(s string) (int64, bool) {
	if s == "" || len(s) > 10 || s[0] == '0' && len(s) > 1 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= highestNode
}

// wildcards counts the nodes of a version that are "x".
func wildcards(v store.Version) int {
	count := 0
	for _, n := range []int64{v.Major, v.Minor, v.Patch} {
		if n == store.Any {
			count++
		}
	}
	return count
}

// exact refuses versions with wildcards.
func exact(v store.Version) error {
	if wildcards(v) > 0 {
		return errVersion("Use the major.minor.patch format without wildcards.")
	}
	return nil
}

// rightOpen reports whether a version can select: after the first wildcard all
// nodes are wildcards.
func rightOpen(v store.Version) bool {
	return (v.Major != store.Any || v.Minor == store.Any) && (v.Minor != store.Any || v.Patch == store.Any)
}

// increment gives the version that one "x" stands for in a new recipe: the node
// is one more than the highest there is, counting none as 0, and the nodes to
// its left select among which. highest finds the highest version that matches.
func increment(v store.Version, highest func(pattern store.Version) (store.Version, bool, error)) (store.Version, error) {
	if wildcards(v) == 0 {
		return v, nil
	}
	if wildcards(v) > 1 {
		return store.Version{}, errVersion("Use the major.minor.patch format with one optional x wildcard.")
	}
	pattern := store.Version{Major: v.Major, Minor: v.Minor, Patch: store.Any, Build: store.Any}
	target, of := &v.Patch, func(v store.Version) int64 { return v.Patch }
	switch {
	case v.Major == store.Any:
		pattern.Minor = store.Any
		target, of = &v.Major, func(v store.Version) int64 { return v.Major }
	case v.Minor == store.Any:
		target, of = &v.Minor, func(v store.Version) int64 { return v.Minor }
	}
	last, ok, err := highest(pattern)
	if err != nil {
		return store.Version{}, err
	}
	*target = 1
	if ok {
		*target = of(last) + 1
	}
	if *target > highestNode {
		return store.Version{}, errVersion("There is no higher version than the highest there is.")
	}
	return v, nil
}

// latest gives the references that select newer versions than a: the latest of
// all, of its major, of its minor version, and its latest build.
func latest(a arn) *api.LatestVersionReferences {
	at := func(v store.Version) *string {
		a.form, a.version = versionForm, v
		return ptr(a.String())
	}
	v := a.version
	return &api.LatestVersionReferences{
		LatestVersionArn:      at(store.Version{Major: store.Any, Minor: store.Any, Patch: store.Any}),
		LatestMajorVersionArn: at(store.Version{Major: v.Major, Minor: store.Any, Patch: store.Any}),
		LatestMinorVersionArn: at(store.Version{Major: v.Major, Minor: v.Minor, Patch: store.Any}),
		LatestPatchVersionArn: at(store.Version{Major: v.Major, Minor: v.Minor, Patch: v.Patch}),
	}
}
