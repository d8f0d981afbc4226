//go:build unix

package action

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// ownership is who a file shall belong to; -1 leaves it.
type ownership struct{ uid, gid int }

// lookupOwnership finds a user and a group by name or number. Either may be "".
func lookupOwnership(owner, group string) (ownership, error) {
	o := ownership{-1, -1}
	if owner != "" {
		id := owner
		if u, err := user.Lookup(owner); err == nil {
			id = u.Uid
		}
		uid, err := parseID(id)
		if err != nil {
			return o, fmt.Errorf("there is no user %q", owner)
		}
		o.uid = uid
	}
	if group != "" {
		id := group
		if g, err := user.LookupGroup(group); err == nil {
			id = g.Gid
		}
		gid, err := parseID(id)
		if err != nil {
			return o, fmt.Errorf("there is no group %q", group)
		}
		o.gid = gid
	}
	return o, nil
}

func parseID(s string) (int, error) {
	// The largest value means "leave it" to chown.
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is no id", s)
	}
	return int(n), nil
}

func (o ownership) apply(path string) error {
	if o.uid < 0 && o.gid < 0 {
		return nil
	}
	return os.Chown(path, o.uid, o.gid)
}

// applyIn changes what a name in a folder stands for: a link itself, not what it
// points to.
func (o ownership) applyIn(root *os.Root, name string) error { return root.Lchown(name, o.uid, o.gid) }

// lookupOwner reads the inputs of the modules that set owners. Without a group,
// the user's own one is taken; a bare number has none.
func lookupOwner(e Entry) (ownership, error) {
	group := e.String("group")
	if group == "" {
		u, err := user.Lookup(e.String("owner"))
		if err != nil {
			u, err = user.LookupId(e.String("owner"))
		}
		if err == nil {
			group = u.Gid
		}
	}
	return lookupOwnership(e.String("owner"), group)
}
