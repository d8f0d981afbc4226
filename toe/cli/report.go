package cli

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe"
)

// verdict is what validate prints by default, as the original does.
type verdict struct {
	ValidationStatus string `json:"validationStatus"`
	Message          string `json:"message"`
}

// report is what validate found, in the form of --format json.
type report struct {
	verdict
	Documents []documentReport `json:"documents"`
	Problems  toe.Problems     `json:"problems"`

	strict bool
}

// documentReport is what was found in one document.
type documentReport struct {
	Path     string `json:"path"`
	Errors   int    `json:"errors"`
	Warnings int    `json:"warnings"`
	Notes    int    `json:"notes"`

	problems toe.Problems
}

// fails says whether a problem makes its document invalid.
func (r *report) fails(p toe.Problem) bool {
	return p.Severity == toe.SeverityError || r.strict && p.Severity == toe.SeverityWarning
}

func newReport(all []checked, strict bool) *report {
	r := &report{verdict: verdict{"success", "Validation successful."}, Documents: []documentReport{}, Problems: toe.Problems{}, strict: strict}
	for _, c := range all {
		r.Problems = append(r.Problems, c.problems...)
		r.Documents = append(r.Documents, documentReport{
			Path: c.path, problems: c.problems, Errors: len(c.problems.Of(toe.SeverityError)),
			Warnings: len(c.problems.Of(toe.SeverityWarning)), Notes: len(c.problems.Of(toe.SeverityNote)),
		})
	}
	var first *toe.Problem // an error, if there is one
	for i, p := range r.Problems {
		if r.fails(p) && (first == nil || p.Severity < first.Severity) {
			first = &r.Problems[i]
		}
	}
	if first != nil {
		r.verdict = verdict{"failed", first.Text()}
	}
	return r
}

func (r *report) failed() bool { return r.ValidationStatus != "success" }

// problemLine gives a problem as people and editors read it:
// "file:line:column: warning: message". Errors go without the word.
func problemLine(p toe.Problem) string {
	if p.Severity == toe.SeverityError {
		return p.String()
	}
	return strings.TrimLeft(p.Place()+" "+p.Severity.String()+": "+p.Text(), " ")
}

func (r *report) text(w io.Writer) error {
	errors, warnings, notes := 0, 0, 0
	for _, d := range r.Documents {
		errors, warnings, notes = errors+d.Errors, warnings+d.Warnings, notes+d.Notes
	}
	var b strings.Builder
	for _, p := range r.Problems {
		b.WriteString(problemLine(p) + " [" + p.Rule + "]\n")
	}
	if len(r.Problems) > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s: %s, %s, %s in %s\n", map[string]string{"success": "valid", "failed": "not valid"}[r.ValidationStatus],
		count(errors, "error"), count(warnings, "warning"), count(notes, "note"), count(len(r.Documents), "document"))
	_, err := io.WriteString(w, b.String())
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r *report) json(w io.Writer) error { return writeJSON(w, r) }

func writeJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "    ")
	out.SetEscapeHTML(false)
	return out.Encode(v)
}

// junitSuites is the dialect of JUnit's XML that build servers read: one test
// case a document, its errors as the failure and the rest as its output.
type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	ClassName string        `xml:"classname,attr"`
	File      string        `xml:"file,attr"`
	Failure   *junitFailure `xml:"failure"`
	Output    string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func (r *report) junit(w io.Writer) error {
	suite := junitSuite{Name: "toe validate", Tests: len(r.Documents)}
	for _, d := range r.Documents {
		c := junitCase{Name: d.Path, ClassName: "toe.validate", File: d.Path}
		var rest []string
		var failing []string
		for _, p := range d.problems {
			if r.fails(p) {
				failing = append(failing, problemLine(p))
				if c.Failure == nil {
					c.Failure = &junitFailure{Message: p.Text(), Type: p.Rule}
				}
			} else {
				rest = append(rest, problemLine(p))
			}
		}
		if c.Failure != nil {
			c.Failure.Text = strings.Join(failing, "\n")
			suite.Failures++
		}
		c.Output = strings.Join(rest, "\n")
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(junitSuites{Name: suite.Name, Tests: suite.Tests, Failures: suite.Failures, Suite: suite}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
