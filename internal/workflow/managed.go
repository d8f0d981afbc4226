package workflow

import (
	"embed"
	"fmt"
)

// Managed is a workflow that belongs to Amazon, or stands for what Amazon does
// without one.
type Managed struct {
	Name     string
	Type     Type
	Version  string // "1.0.0"; its only build is 1
	Data     string // the document
	Document *Document
}

// ARN names the managed workflow's build version in a region.
func (m Managed) ARN(region string) string {
	return fmt.Sprintf("arn:aws:imagebuilder:%s:aws:workflow/%s/%s/%s/1", region, m.Type.ARN(), m.Name, m.Version)
}

// ARN is how the type is spelt in ARNs: "build", "test", "distribution".
func (t Type) ARN() string {
	return map[Type]string{Build: "build", Test: "test", Distribution: "distribution"}[t]
}

// Names of the managed workflows that images without workflows of their own run.
const (
	BuildImage      = "build-image"
	TestImage       = "test-image"
	DistributeImage = "distribute-image"
)

//go:embed managed/*.yaml
var managedFiles embed.FS

var managed = []Managed{
	mustManaged(Build, BuildImage), mustManaged(Build, "build-container"),
	mustManaged(Test, TestImage), mustManaged(Test, "test-container"),
	mustManaged(Distribution, DistributeImage), mustManaged(Distribution, "distribute-container"),
}

// ManagedWorkflows gives all managed workflows.
func ManagedWorkflows() []Managed { return managed }

// FindManaged gives the managed workflow with a type and a name.
func FindManaged(t Type, name string) (Managed, bool) {
	for _, m := range managed {
		if m.Type == t && m.Name == name {
			return m, true
		}
	}
	return Managed{}, false
}

// mustManaged parses a document that is part of the program.
func mustManaged(t Type, name string) Managed {
	data, err := managedFiles.ReadFile("managed/" + name + ".yaml")
	if err != nil {
		panic(err)
	}
	return Managed{Name: name, Type: t, Version: "1.0.0", Data: string(data), Document: mustParse(name, data)}
}

func mustParse(name string, data []byte) *Document {
	doc, problems := Parse(name, data)
	if err := problems.Err(); err != nil {
		panic(fmt.Sprintf("managed workflow %s: %v", name, err))
	}
	return doc
}
