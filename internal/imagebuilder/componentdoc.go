package imagebuilder

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/toe"
)

// phases are those that Image Builder runs of a component document; the first
// two on the build instance, the last on the test instance.
const (
	buildPhase    = "build"
	validatePhase = "validate"
	testPhase     = "test"
)

// executors are the platforms as the component executor names them.
var executors = map[api.Platform]string{api.PlatformLinux: "linux", api.PlatformWindows: "windows", api.PlatformMacOS: "darwin"}

// checkDocument parses a component document and refuses a bad one with all its
// problems and their lines.
func checkDocument(member string, data []byte, platform api.Platform) (*toe.Document, error) {
	doc, problems := toe.Parse("", data)
	if doc != nil {
		problems = doc.Check(toe.CheckOptions{Platform: executors[platform]})
	}
	if len(problems) > 0 {
		return nil, invalid(member, "The component document has %s: %s", plural(len(problems), "problem"), describeProblems(problems))
	}
	for _, name := range doc.PhaseNames() {
		if name == buildPhase || name == validatePhase || name == testPhase {
			return doc, nil
		}
	}
	return nil, invalid(member, "The component document has no phase that Image Builder runs: build, validate or test.")
}

// shownProblems is how many problems of a document an error lists.
const shownProblems = 20

func describeProblems(problems toe.Problems) string {
	var parts []string
	for _, p := range problems[:min(len(problems), shownProblems)] {
		where := ""
		if p.Line > 0 {
			where = fmt.Sprintf("line %d", p.Line)
			if p.Column > 0 {
				where += fmt.Sprintf(", column %d", p.Column)
			}
			where += ": "
		}
		parts = append(parts, where+p.Text())
	}
	if len(problems) > shownProblems {
		parts = append(parts, "and more")
	}
	return strings.Join(parts, "; ")
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// documentType is TEST for a document that has nothing to do on the build
// instance.
func documentType(doc *toe.Document) api.ComponentType {
	names := doc.PhaseNames()
	if slices.Contains(names, buildPhase) || slices.Contains(names, validatePhase) {
		return api.ComponentTypeBuild
	}
	return api.ComponentTypeTest
}

func documentParameters(doc *toe.Document) []api.ComponentParameterDetail {
	var all []api.ComponentParameterDetail
	for _, p := range doc.Parameters {
		d := api.ComponentParameterDetail{Name: ptr(p.Name), Type: ptr("String"), Description: some(p.Description)}
		if p.Default != nil {
			d.DefaultValue = []string{*p.Default}
		}
		all = append(all, d)
	}
	return all
}
