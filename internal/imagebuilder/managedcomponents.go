package imagebuilder

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/toe"
)

// The documents of Amazon's components that recipes name, written anew:
// managed/NAME.yaml is version 1.0.0, build 1, of aws:component/NAME.
//
//go:embed managed/*.yaml
var managedFiles embed.FS

// managedVersion is the version of all managed components.
var managedVersion = store.Version{Major: 1, Minor: 0, Patch: 0, Build: 1}

type managedDocument struct {
	name string
	text string
	doc  *toe.Document
}

var managedDocuments = readManaged()

func readManaged() []managedDocument {
	entries, err := managedFiles.ReadDir("managed")
	if err != nil {
		panic("imagebuilder: the embedded components: " + err.Error())
	}
	var all []managedDocument
	for _, entry := range entries {
		data, err := managedFiles.ReadFile("managed/" + entry.Name())
		if err != nil {
			panic("imagebuilder: the embedded components: " + err.Error())
		}
		doc, err := checkDocument(entry.Name(), data, api.PlatformLinux)
		if err != nil {
			panic(fmt.Sprintf("imagebuilder: the embedded component %s: %v", entry.Name(), err))
		}
		all = append(all, managedDocument{strings.TrimSuffix(entry.Name(), ".yaml"), string(data), doc})
	}
	return all
}

// managedSince is the date of everything that is part of the program.
var managedSince = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// managedComponents gives Amazon's components as they are in a region, by name:
// those with documents, and those that are only known.
func managedComponents(region string) []entry[api.Component] {
	all := make([]entry[api.Component], 0, 128)
	for _, m := range managedDocuments {
		all = append(all, m.describe(region))
	}
	for name, kind := range knownComponents {
		all = append(all, describeKnown(name, kind, region))
	}
	slices.SortFunc(all, func(a, b entry[api.Component]) int { return strings.Compare(a.row.Name, b.row.Name) })
	return all
}

func (m managedDocument) describe(region string) entry[api.Component] {
	a := newARN(store.Key{Kind: component, Account: amazon, Region: region, Name: m.name}, buildForm, managedVersion)
	shape := &api.Component{
		Arn: ptr(a.String()), Name: ptr(m.name), Version: ptr(versionText(managedVersion)), Description: some(m.doc.Description), Type: ptr(documentType(m.doc)), Platform: ptr(api.PlatformLinux),
		State: &api.ComponentState{Status: ptr(api.ComponentStatusActive)}, Parameters: documentParameters(m.doc), Owner: ptr("Amazon"), Data: ptr(m.text), Encrypted: ptr(true),
		DateCreated: date(managedSince),
	}
	return entry[api.Component]{store.Resource{Key: a.Key, Version: a.version, ARN: a.String()}, shape}
}

// managedComponent finds the one that an ARN selects.
func managedComponent(a arn) (entry[api.Component], error) {
	pattern := a.version
	if a.form != buildForm {
		pattern.Build = store.Any
	}
	if !managedVersion.Matches(pattern) {
		return entry[api.Component]{}, notFound(a.String())
	}
	if i := slices.IndexFunc(managedDocuments, func(m managedDocument) bool { return m.name == a.Name }); i >= 0 {
		return managedDocuments[i].describe(a.Region), nil
	}
	if kind, ok := knownComponents[a.Name]; ok {
		return describeKnown(a.Name, kind, a.Region), nil
	}
	return entry[api.Component]{}, notFound(a.String())
}
