// Package schema describes component documents as a JSON Schema (draft
// 2020-12), for editors. It is made from the registry of actions and the table
// of operators that the parser itself reads by; package toe has the tests that
// hold both to the same documents.
package schema
