// Command simulation runs the real store, service, schedules, queue and engine
// with instances that do nothing, on a PostgreSQL server of its own and in
// processes that are killed at random, and checks that every pipeline that was due
// was built once: none lost, none twice.
//
//	go run ./test/simulation [-pipelines 100000] [-due 100000] [-accounts 100] [-workers 8] [-builds 125] [-deaths 10]
//
// It prints what it found and how long it took as Markdown, and ends with status 1
// if something is not as it should be. Its test is a small one of the kind.
package main
