// Package session makes and reads temporary credentials. A session is not
// stored: all that there is to know of it is sealed in its token, with a key
// that lies in the database, so that credentials survive a restart, hold on
// every server that shares the database, and cost nothing until they are used.
//
// It stands on the store, below the services: internal/sts hands sessions out,
// and the server's key ring opens the tokens that come with requests.
package session
