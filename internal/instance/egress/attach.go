package egress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// Offsets in struct bpf_sock_addr (linux/bpf.h), whose addresses and ports are
// in network order.
const (
	offsetIP4  = 4
	offsetPort = 24
	offsetType = 32
)

const stream = 1 // SOCK_STREAM

// Filter is rules that are in force, until Close or the end of this process.
type Filter struct {
	links    []link.Link
	programs []*ebpf.Program
}

// Close takes the rules back.
func (f *Filter) Close() error {
	var failed []error
	for _, l := range f.links {
		failed = append(failed, l.Close())
	}
	for _, p := range f.programs {
		failed = append(failed, p.Close())
	}
	f.links, f.programs = nil, nil
	return errors.Join(failed...)
}

// memory lets kernels before 5.11 lock what programs take.
var memory = sync.OnceValue(rlimit.RemoveMemlock)

// Attach holds the processes of control groups (version 2, by their folders) to
// rules, from their next connection on.
func Attach(groups []string, r Rules) (_ *Filter, err error) {
	if err := memory(); err != nil {
		return nil, fmt.Errorf("network rules: %w", err)
	}
	f := &Filter{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("network rules: %w", err), f.Close())
		}
	}()
	for _, hook := range []struct {
		attach ebpf.AttachType
		code   asm.Instructions
	}{
		{ebpf.AttachCGroupInet4Connect, r.code(true)},
		{ebpf.AttachCGroupUDP4Sendmsg, r.code(false)},
		{ebpf.AttachCGroupInet6Connect, answer(0)},
		{ebpf.AttachCGroupUDP6Sendmsg, answer(0)},
	} {
		program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "goldsmith_net", Type: ebpf.CGroupSockAddr, AttachType: hook.attach, Instructions: hook.code, License: "Apache-2.0"})
		if err != nil {
			return nil, err
		}
		f.programs = append(f.programs, program)
		for _, group := range groups {
			l, err := link.AttachCgroup(link.CgroupOptions{Path: group, Attach: hook.attach, Program: program})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", group, err)
			}
			f.links = append(f.links, l)
		}
	}
	return f, nil
}

// answer is a program that says the same to everything: 1 to let it pass.
func answer(verdict int32) asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()}
}

// code is the program that looks at an address: first the redirection, then the
// exceptions, then what is denied.
func (r Rules) code(connects bool) asm.Instructions {
	const ip, port, masked, context = asm.R7, asm.R8, asm.R9, asm.R6
	all := asm.Instructions{
		asm.Mov.Reg(context, asm.R1),
		asm.LoadMem(ip, context, offsetIP4, asm.Word),
		asm.HostTo(asm.BE, ip, asm.Word),
		asm.LoadMem(port, context, offsetPort, asm.Word),
		asm.HostTo(asm.BE, port, asm.Half),
	}
	if connects && r.Redirect.IsValid() {
		all = append(all,
			asm.JNE.Imm32(ip, number(Metadata.Addr()), "no-redirect"),
			asm.JNE.Imm32(port, int32(Metadata.Port()), "no-redirect"),
			asm.LoadMem(masked, context, offsetType, asm.Word),
			asm.JNE.Imm32(masked, stream, "no-redirect"),
			asm.Mov.Imm32(masked, networkOrder(number(r.Redirect.Addr()))),
			asm.StoreMem(context, offsetIP4, masked, asm.Word),
			asm.Mov.Imm32(masked, int32(networkOrder16(r.Redirect.Port()))),
			asm.StoreMem(context, offsetPort, masked, asm.Word),
			asm.Ja.Label("pass"),
			asm.Mov.Reg(masked, ip).WithSymbol("no-redirect"),
		)
	}
	for i, a := range r.Allowed {
		next := fmt.Sprintf("allowed-%d", i)
		all = append(all,
			asm.JNE.Imm32(ip, number(a.Addr()), next),
			asm.JEq.Imm32(port, int32(a.Port()), "pass"),
			asm.Mov.Reg(masked, ip).WithSymbol(next),
		)
	}
	for _, p := range r.Denied {
		all = append(all,
			asm.Mov.Reg(masked, ip),
			asm.And.Imm32(masked, mask(p.Bits())),
			asm.JEq.Imm32(masked, number(p.Masked().Addr()), "refuse"),
		)
	}
	all = append(all, asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"), asm.Return())
	if len(r.Denied) == 0 {
		return all // kernels refuse code that nothing leads to
	}
	return append(all, asm.Mov.Imm(asm.R0, 0).WithSymbol("refuse"), asm.Return())
}

// number is an IPv4 address as instructions compare it.
func number(a netip.Addr) int32 {
	b := a.As4()
	return int32(binary.BigEndian.Uint32(b[:]))
}

func mask(ones int) int32 {
	if ones == 0 {
		return 0
	}
	return int32(^uint32(0) << (32 - ones))
}

// networkOrder swaps what a little-endian machine writes to memory.
func networkOrder(n int32) int32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return int32(binary.NativeEndian.Uint32(b[:]))
}

func networkOrder16(n uint16) uint16 {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return bits.ReverseBytes16(n)
	}
	return n
}
