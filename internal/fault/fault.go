package fault

import (
	"errors"
	"fmt"
)

// Error is a failure with a code that clients test for, such as
// "ResourceNotFoundException", and a message written for a person.
type Error struct {
	Code    string
	Message string
	Cause   error // logged, never sent
}

// New returns an Error with a formatted message.
func New(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because returns a copy of e that keeps cause for the log.
func (e *Error) Because(cause error) *Error {
	return &Error{Code: e.Code, Message: e.Message, Cause: cause}
}

// Error gives the code, the message and, where there is one, the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Code + ": " + e.Message + ": " + e.Cause.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Code gives the code of the first Error in err's chain, or "".
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// InvalidParameter is Image Builder's wording for a bad member: path is the
// member as a client writes it ("distributions[0].region"), why a sentence.
func InvalidParameter(path, why string, args ...any) *Error {
	return New("InvalidParameterValueException", "The value supplied for parameter '%s' is not valid. %s", path, fmt.Sprintf(why, args...))
}
