// Package store keeps the rows of Goldsmith: resources of the API, the
// references between them, client tokens, executions (which are the engine's
// checkpoints), AMIs, snapshots and the ledger of instances. They lie in a
// SQLite file that one process has, or in a PostgreSQL database that many share.
//
// It is the floor of the picture: the service, the engine and the cloud stand
// on it, and it knows none of them. Rows carry names, versions, states and
// references as columns, because they are searched and sorted by them, and the
// rest as a JSON document that only its owner understands.
//
// What a failure can take:
//   - A process that dies (kill -9, panic, out of memory) loses nothing that
//     Write returned nil for, and leaves nothing of a Write that it was in.
//   - Writes that wait for each other are committed together; one that fails takes
//     back its own changes only.
//   - A power cut or a kernel crash never damages a SQLite file, and can take
//     only the writes of about the last SyncInterval, the newest first. Sync
//     makes everything up to now safe from that as well. PostgreSQL has written
//     what it has committed.
//   - A full disk fails the Write with ErrNoSpace and leaves the rows as they
//     were.
//   - A PostgreSQL server that is gone or hangs fails with ErrUnavailable what
//     was under way; the same Store goes on when the server does.
package store
