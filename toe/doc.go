// Package toe reads, checks and runs component documents: the YAML in which
// golden images are described as phases of steps.
//
// It is the executor that rides into an instance, and a library: [Parse] finds
// everything that is wrong with a document at once, with lines and columns;
// [Document.Check] adds what depends on the platform; [Run] runs documents and
// streams events. The service uses Parse to refuse bad components, the command
// toe is a thin layer over Run, and nothing here knows of either.
//
// What the language is follows the user guide of EC2 Image Builder
// (toe-use-documents.html and the pages beside it); docs/executor.md lists the
// decisions where the guide is silent.
package toe
