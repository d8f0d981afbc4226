package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Format is the format of a disk file.
type Format string

// The formats, as people call them.
const (
	Raw   Format = "raw"
	QCOW2 Format = "qcow2"
	VMDK  Format = "vmdk"
	VHD   Format = "vhd"
)

// Parse reads a format's name; "vpc" is qemu-img's word for vhd.
func Parse(name string) (Format, error) {
	switch f := Format(name); f {
	case Raw, QCOW2, VMDK, VHD:
		return f, nil
	case "vpc":
		return VHD, nil
	}
	return "", fmt.Errorf("unknown disk format %q: known are raw, qcow2, vmdk and vhd", name)
}

// driver is qemu-img's name for the format.
func (f Format) driver() string {
	if f == VHD {
		return "vpc"
	}
	return string(f)
}

// ErrUnsafe is returned (wrapped) for a disk file that refers to other files:
// reading it would mix the host's files into the image.
var ErrUnsafe = errors.New("the disk file refers to another file")

// ErrUnsupported is returned (wrapped) for a disk file that cannot be read:
// encrypted, or of a sort that is not known.
var ErrUnsupported = errors.New("unsupported disk file")

// DetectFile is Detect for a file.
func DetectFile(name string) (Format, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("detecting the disk format: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("detecting the disk format: %w", err)
	}
	if !st.Mode().IsRegular() {
		return "", fmt.Errorf("detecting the disk format: %w: %s is not a regular file", ErrUnsupported, name)
	}
	return Detect(f, st.Size())
}

// Detect tells the format of a disk file of size bytes and refuses those that
// refer to other files or are encrypted. What has no known header is Raw.
func Detect(r io.ReaderAt, size int64) (Format, error) {
	head := make([]byte, 1024)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("detecting the disk format: %w", err)
	}
	clear(head[n:])
	switch {
	case bytes.HasPrefix(head, []byte("QFI\xfb")):
		return QCOW2, checkQCOW2(head)
	case bytes.HasPrefix(head, []byte("KDMV")):
		return VMDK, checkVMDK(r, head)
	case bytes.HasPrefix(head, []byte("# Disk DescriptorFile")), bytes.HasPrefix(head, []byte("COWD")):
		return "", fmt.Errorf("%w: a VMDK must be one file, monolithic sparse or stream-optimized", ErrUnsafe)
	case bytes.HasPrefix(head, []byte("conectix")):
		return VHD, checkVHD(head)
	case bytes.HasPrefix(head, []byte("vhdxfile")):
		return "", fmt.Errorf("%w: VHDX", ErrUnsupported)
	}
	foot := make([]byte, 512)
	if size >= 512 {
		if _, err := r.ReadAt(foot, size-512); err == nil && bytes.HasPrefix(foot, []byte("conectix")) {
			return VHD, checkVHD(foot)
		}
	}
	return Raw, nil
}

// checkQCOW2 reads the header as QEMU's docs/interop/qcow2.txt has it.
func checkQCOW2(head []byte) error {
	version := binary.BigEndian.Uint32(head[4:])
	backing := binary.BigEndian.Uint64(head[8:])
	encryption := binary.BigEndian.Uint32(head[32:])
	switch {
	case version != 2 && version != 3:
		return fmt.Errorf("%w: qcow version %d", ErrUnsupported, version)
	case backing != 0:
		return fmt.Errorf("%w: the qcow2 has a backing file; flatten it first with qemu-img convert", ErrUnsafe)
	case encryption != 0:
		return fmt.Errorf("%w: the qcow2 is encrypted", ErrUnsupported)
	}
	if version == 3 {
		const externalData = 1 << 2
		if binary.BigEndian.Uint64(head[72:])&externalData != 0 {
			return fmt.Errorf("%w: the qcow2 keeps its data in another file", ErrUnsafe)
		}
	}
	return nil
}

// checkVMDK reads the sparse extent header and the descriptor embedded behind
// it (VMware's Virtual Disk Format 5.0).
func checkVMDK(r io.ReaderAt, head []byte) error {
	capacity := binary.LittleEndian.Uint64(head[12:])
	descriptorAt := binary.LittleEndian.Uint64(head[28:])
	descriptorSize := binary.LittleEndian.Uint64(head[36:])
	if capacity == 0 {
		return fmt.Errorf("%w: the VMDK has only a descriptor", ErrUnsafe)
	}
	const most = 2048 // sectors: far more than any descriptor
	if descriptorAt > 1<<40 || descriptorSize > most {
		return fmt.Errorf("%w: the VMDK's descriptor has %d sectors", ErrUnsupported, descriptorSize)
	}
	// QEMU looks for a parent in the first sectors, wherever the header says
	// that the descriptor is.
	first := make([]byte, 20*512)
	n, err := r.ReadAt(first, 512)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the VMDK's descriptor: %w", err)
	}
	if bytes.Contains(bytes.ToLower(first[:n]), []byte("parentfilenamehint")) {
		return fmt.Errorf("%w: the VMDK has a parent disk", ErrUnsafe)
	}
	if descriptorAt == 0 || descriptorSize == 0 {
		return nil
	}
	text := make([]byte, descriptorSize*512)
	n, err = r.ReadAt(text, int64(descriptorAt)*512)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the VMDK's descriptor: %w", err)
	}
	return checkDescriptor(text[:n])
}

// checkDescriptor allows one extent and no parent.
func checkDescriptor(text []byte) error {
	text, _, _ = bytes.Cut(text, []byte{0})
	extents := 0
	for line := range bytes.Lines(text) {
		line = bytes.ToLower(bytes.TrimSpace(line))
		switch {
		case bytes.HasPrefix(line, []byte("parentfilenamehint")),
			bytes.HasPrefix(line, []byte("parentcid")) && !bytes.Contains(line, []byte("ffffffff")):
			return fmt.Errorf("%w: the VMDK has a parent disk", ErrUnsafe)
		case bytes.HasPrefix(line, []byte("rw ")), bytes.HasPrefix(line, []byte("rdonly ")), bytes.HasPrefix(line, []byte("noaccess ")):
			extents++
			if !bytes.Contains(line, []byte(" sparse ")) {
				return fmt.Errorf("%w: the VMDK has an extent of its own file", ErrUnsafe)
			}
		}
	}
	if extents > 1 {
		return fmt.Errorf("%w: the VMDK has %d extents", ErrUnsafe, extents)
	}
	return nil
}

// checkVHD reads a footer (or the copy in front of a dynamic disk).
func checkVHD(foot []byte) error {
	switch kind := binary.BigEndian.Uint32(foot[60:]); kind {
	case 2, 3: // fixed, dynamic
		return nil
	case 4:
		return fmt.Errorf("%w: the VHD is a differencing disk", ErrUnsafe)
	default:
		return fmt.Errorf("%w: VHD of type %d", ErrUnsupported, kind)
	}
}
