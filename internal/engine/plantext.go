package engine

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes the plan for a person. The same plan gives the same text.
func (p *Plan) WriteText(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Image\t%s\n", p.Image.ARN)
	if p.Image.Pipeline != "" {
		fmt.Fprintf(w, "Pipeline\t%s\n", p.Image.Pipeline)
	}
	fmt.Fprintf(w, "Parent\t%s\n", orText(p.Parent.ARN, orText(p.Parent.AMI, p.Parent.Requested)))
	fmt.Fprintf(w, "\t%s, %s, %d GiB, disk %s\n", p.Parent.OSVersion, p.Parent.Architecture, p.Parent.SizeGiB, short(p.Parent.Snapshot))
	for _, d := range p.Volume.Devices {
		fmt.Fprintf(w, "Volume\t%s\n", d.text())
	}
	fmt.Fprintf(w, "Instances\t%s; %s\n", orText(strings.Join(p.Infrastructure.InstanceTypes, ", "), "the default type"),
		map[bool]string{true: "ended when the image fails", false: "kept when the image fails"}[p.Infrastructure.TerminateOnFailure])
	if len(p.Components) > 0 {
		fmt.Fprintf(w, "\nComponents\n")
	}
	for i, c := range p.Components {
		fmt.Fprintf(w, "%4d\t%s\t%s\t%s%s\n", i+1, c.ARN, short(c.Digest), strings.Join(c.Phases, ", "), c.Cache.text())
		for _, v := range c.Parameters {
			fmt.Fprintf(w, "\t  %s = %q\n", v.Name, v.Value)
		}
	}
	if len(p.Given) > 0 {
		fmt.Fprintf(w, "\nGiven at the start\n")
	}
	for _, v := range p.Given {
		fmt.Fprintf(w, "\t%s %s\t%s = %q\n", v.Kind, v.Of, v.Name, v.Value)
	}
	fmt.Fprintf(w, "\nSteps\n")
	for _, f := range p.Workflows {
		f.writeText(w)
	}
	fmt.Fprintf(w, "\nDestinations\n")
	for _, d := range p.Destinations {
		fmt.Fprintf(w, "\t%s\t%s\n", d.Region, d.text())
	}
	if len(p.Omitted) > 0 {
		fmt.Fprintf(w, "\nLeft out\n")
	}
	for _, o := range p.Omitted {
		fmt.Fprintf(w, "\t%s\t%s\n", o.What, o.Why)
	}
	fmt.Fprintf(w, "\nDigest\t%s\n", p.Digest())
	return w.Flush()
}

// writeText writes a workflow's line and those of its steps.
func (f *Workflow) writeText(w io.Writer) {
	notes := ""
	if f.Group != "" {
		notes += ", group " + f.Group
	}
	if f.OnFailure == proceeds {
		notes += ", the image goes on if it fails"
	}
	fmt.Fprintf(w, "  %s %s %s%s\n", f.Type, f.ARN, short(f.Digest), notes)
	for _, v := range f.Parameters {
		fmt.Fprintf(w, "       %s = %q\n", v.Name, v.Value)
	}
	for i, s := range f.Steps {
		note := map[string]string{runsNo: "\tnot run", runsDepends: "\tdecided when it is its turn"}[s.Runs]
		if s.Cached {
			note = "\tcached"
		}
		fmt.Fprintf(w, "%6d %s\t%s%s\n", i+1, s.Name, s.Action, note)
	}
}

// text says in a line's last column whether a component is cached.
func (c *CachedStep) text() string {
	switch {
	case c == nil:
		return ""
	case c.Cached:
		return "\tcached, state " + short(c.Key)
	case c.Why == "":
		return "\truns, state " + short(c.Key)
	}
	return "\truns, not kept: " + c.Why
}

// text is a block device in a line.
func (d BlockDevice) text() string {
	switch {
	case d.NoDevice:
		return d.DeviceName + ", none"
	case d.VirtualName != "":
		return d.DeviceName + ", " + d.VirtualName
	}
	text := fmt.Sprintf("%s, %d GiB, %s", d.DeviceName, d.SizeGiB, orText(d.VolumeType, "the default type"))
	if d.Encrypted {
		text += ", encrypted"
	}
	return text
}

// text is a destination in a line.
func (d Destination) text() string {
	parts := []string{orText(d.Name, "the default name")}
	if len(d.TargetAccounts) > 0 {
		parts = append(parts, "copies for "+strings.Join(d.TargetAccounts, ", "))
	}
	p := d.LaunchPermissions
	var all []string
	for _, list := range [][]string{p.UserIDs, p.Groups, p.Organizations, p.Units} {
		all = append(all, list...)
	}
	if len(all) > 0 {
		parts = append(parts, "launched by "+strings.Join(all, ", "))
	}
	for _, x := range d.Exports {
		parts = append(parts, x.Format+" in "+x.url())
	}
	if len(d.Licenses) > 0 {
		parts = append(parts, "licences "+strings.Join(d.Licenses, ", "))
	}
	return strings.Join(parts, "; ")
}

// short is the beginning of a digest, enough for a person to tell it from
// others.
func short(digest string) string {
	const most = 12
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		algorithm, hex = "", digest
	} else {
		algorithm += ":"
	}
	return algorithm + hex[:min(len(hex), most)]
}
