// Package topic is the notification service of every account and region: topics,
// subscriptions of HTTP endpoints, and messages to them, signed as those of
// Amazon SNS are. It has the face that SNS's clients see.
//
// It stands beside the AMIs of package cloud; the Image Builder service publishes
// the end of an image here, in the transaction that records it. Package delivery
// brings the messages to their receivers.
package topic
