package cli

import (
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe"
)

// The parts of SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange
// Format") that code scanning services read.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool       sarifTool     `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string       `json:"id"`
	ShortDescription sarifMessage `json:"shortDescription"`
	Default          sarifDefault `json:"defaultConfiguration"`
}

type sarifDefault struct {
	Level string `json:"level"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifMessage    `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	FullyQualifiedName string `json:"fullyQualifiedName"`
}

func (r *report) sarif(w io.Writer) error {
	driver := sarifDriver{
		Name: "toe", Version: version(), InformationURI: "https://github.com/goldsmith-build/goldsmith/blob/main/docs/executor.md", Rules: []sarifRule{},
	}
	results := []sarifResult{}
	for _, p := range r.Problems {
		index := slices.IndexFunc(driver.Rules, func(rule sarifRule) bool { return rule.ID == p.Rule })
		if index < 0 {
			index = len(driver.Rules)
			driver.Rules = append(driver.Rules, sarifRule{p.Rule, sarifMessage{strings.ReplaceAll(p.Rule, "-", " ")}, sarifDefault{p.Severity.String()}})
		}
		results = append(results, sarifResult{
			RuleID: p.Rule, RuleIndex: index, Level: p.Severity.String(), Message: sarifMessage{p.Text()}, Locations: []sarifLocation{locationOf(p)},
		})
	}
	return writeJSON(w, sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{Tool: sarifTool{driver}, ColumnKind: "unicodeCodePoints", Results: results}},
	})
}

func locationOf(p toe.Problem) sarifLocation {
	l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{artifactURI(p.Document)}}}
	if p.Line > 0 {
		l.Physical.Region = &sarifRegion{p.Line, p.Column}
	}
	if p.Path != "" {
		l.Logical = []sarifLogical{{p.Path}}
	}
	return l
}

// artifactURI gives a relative reference for a relative path, which is what
// services join with the repository's root, and a whole URI for the rest.
func artifactURI(path string) string {
	switch {
	case strings.HasPrefix(path, "s3://"), strings.HasPrefix(path, "arn:"):
		return path
	case filepath.IsAbs(path):
		return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(path), "/")}).String()
	}
	return (&url.URL{Path: filepath.ToSlash(filepath.Clean(path))}).String()
}
