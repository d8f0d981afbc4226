// Package event tells webhooks what happens to images, in the shape of Amazon
// EventBridge's events.
//
// It stands beside the topics of the cloud. The Image Builder service puts events
// in the transactions that they tell of; package delivery brings them to the
// webhooks that the configuration names, and to buses and topics of AWS.
package event
