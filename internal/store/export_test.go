package store

import "time"

// ListQueries gives the text of every query that reads a page.
func ListQueries() map[string]string {
	queries := make(map[string]string)
	for name, st := range map[string]statement{
		"builds": listBuilds, "versions": listVersions, "names": listNames, "pattern": listPatternBuilds, "children": listChildren, "last child": lastChild,
		"match": matchResource, "due": selectDue, "count of a status": countStatus, "references": selectReferences,
		"workflows": selectWorkflows, "steps": selectSteps, "AMIs": listAMIs, "snapshots": listSnapshots,
		"old tokens": oldestTokens, "latest": setLatest, "newest": setNewest, "clear latest": clearLatest, "clear newest": clearNewest, "the latest": selectLatest, "the highest": selectTops,
	} {
		queries[name] = texts[st]
	}
	return queries
}

// History reads and checks the order of the migrations.
var History = history

// Hurry makes a store on PostgreSQL give up waiting after d. Call it before use.
func Hurry(s *Store, d time.Duration) { s.db.(*postgres).patience = d }

// Number writes a statement in PostgreSQL's way.
var Number = number

// Redacted is an address without its password.
var Redacted = redacted

// FailLater queues a statement that fails when it is sent.
func FailLater(tx *Tx) error { return tx.later(failing) }

var failing = define(`INSERT INTO client_token (account, region, operation, token, digest, response, created) VALUES (NULL, '', '', '', '', '', 0)`)
