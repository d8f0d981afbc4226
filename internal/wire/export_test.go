package wire

import "time"

// SetBodyTime shortens how long a body may take, for tests.
func SetBodyTime(h *Handler, d time.Duration) { h.bodyTime = d }

// DecodeJSON is for tests of what it refuses.
var DecodeJSON = decodeJSON
