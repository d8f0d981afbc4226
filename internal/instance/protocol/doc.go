// Package protocol is the language that the host and the guest agent speak:
// one JSON object a line over a byte stream, with a window for every stream of
// bytes so that neither side holds more of them than it granted.
//
// It is shared by agent (the guest's end) and guest (the host's end) and knows
// neither. docs/guest-protocol.md describes it for people.
package protocol
