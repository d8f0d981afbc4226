package engine

import (
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// shape is how large an instance is.
type shape struct {
	vcpu   int
	memory int // MiB
}

const (
	// usual is the shape of an instance whose type is not given, or not known.
	usualVCPU, usualMemory = 2, 2048
	// leastMemory is what a distribution's kernel and package manager need.
	leastMemory = 1024
)

// burstable are the sizes of the families t2, t3, t3a and t4g.
var burstable = map[string]shape{
	"nano": {2, 512}, "micro": {2, 1024}, "small": {2, 2048}, "medium": {2, 4096}, "large": {2, 8192}, "xlarge": {4, 16384}, "2xlarge": {8, 32768},
}

// memoryPerVCPU is what the families of fixed ratios have, in MiB, by their
// first letter: compute, general purpose, memory.
var memoryPerVCPU = map[byte]int{'c': 2048, 'm': 4096, 'r': 8192}

// shapeOf gives the processors and the memory of an EC2 instance type.
func shapeOf(name string) (shape, bool) {
	family, size, ok := strings.Cut(name, ".")
	if !ok || len(family) < 2 {
		return shape{}, false
	}
	if family[0] == 't' {
		s, ok := burstable[size]
		if !ok || family[1] < '2' || family[1] > '4' {
			return shape{}, false
		}
		return s, true
	}
	per, known := memoryPerVCPU[family[0]]
	if !known || family[1] < '1' || family[1] > '9' {
		return shape{}, false
	}
	vcpu := 0
	switch times, cut := strings.CutSuffix(size, "xlarge"); {
	case size == "medium":
		vcpu = 1
	case size == "large":
		vcpu = 2
	case size == "xlarge":
		vcpu = 4
	case cut:
		n, err := strconv.Atoi(times)
		if err != nil || n < 2 || n > 96 {
			return shape{}, false
		}
		vcpu = 4 * n
	default:
		return shape{}, false
	}
	return shape{vcpu, vcpu * per}, true
}

// fit makes a shape one that this machine can give to each of its builds.
func (e *Engine) fit(s shape) shape {
	most := shape{runtime.NumCPU(), 1 << 20}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		total := int(uint64(info.Totalram) * uint64(info.Unit) >> 20)
		most.memory = total / 4 * 3 / max(1, e.Builds)
	}
	return shape{max(1, min(s.vcpu, most.vcpu)), max(leastMemory, min(s.memory, most.memory))}
}
