//go:build unix

package action

import "syscall"

const noWait = syscall.O_NONBLOCK
