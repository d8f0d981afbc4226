// Package sandbox is the fast kind of instance: the volume's root partition,
// mounted by its offset, with its own systemd as init in a systemd-nspawn
// container and a network of its own.
//
// Everything an instance uses (mount, loop device, container, network) belongs
// to one supervisor process in a mount and a process namespace of its own, so
// that nothing of it outlives the server.
package sandbox
