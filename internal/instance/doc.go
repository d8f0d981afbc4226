// Package instance is the seam to the machines that images are built and
// tested on: a Kind launches an Instance from a volume, and an Instance runs
// commands through the guest agent until it is stopped.
//
// Kinds: sandbox (a container with systemd as init, on the mounted volume) and
// vm (QEMU, the real boot). Both are held to the suite in instancetest.
package instance
