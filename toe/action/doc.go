// Package action holds the modules of the component language: what inputs each
// one takes (for the parser) and what it does (for the executor). There is one
// file per module, or per family of modules that share their work.
//
// Package toe reads documents with the schemas here, resolves references, and
// runs a module once per attempt and loop iteration. A module knows nothing of
// steps, retries or documents.
package action
