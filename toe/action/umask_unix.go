//go:build unix

package action

import (
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// umask reads the process's umask once, as reading means setting it.
var umask = sync.OnceValue(func() fs.FileMode {
	m := unix.Umask(0o077)
	unix.Umask(m)
	return fs.FileMode(m)
})
