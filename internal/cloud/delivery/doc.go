// Package delivery brings messages to receivers over HTTP: at least once, in the
// order of their lanes, over restarts.
//
// A message is a row for each of its receivers, written in the transaction that
// it tells of. A receiver has one job in the queue as long as it has rows; the
// job works through them, some lanes at once, so that a receiver that hangs
// takes one worker and holds up nobody else. What a receiver does not take is
// tried again as its policy says and then kept as a dead letter.
//
// It stands beside the topics and events of the cloud, which say what a row
// means: how it becomes a request.
package delivery
