package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// succeed sends an output.
func (x *exchange) succeed(h *Handler, out any) error {
	if o, ok := out.(interface{ SetRequestID(string) }); ok {
		o.SetRequestID(x.event.RequestID)
	}
	body, err := h.services[x.service.Name].codec.encode(x.op, out, x.event.RequestID)
	if err != nil {
		return fmt.Errorf("encoding the output of %s: %w", x.op.Name, err)
	}
	x.send(http.StatusOK, body)
	return nil
}

// fail sends an error.
func (x *exchange) fail(e *fault.Error) {
	status := x.status(e.Code)
	x.event.Code = e.Code
	if status == http.StatusRequestEntityTooLarge || status == http.StatusRequestTimeout {
		// What is left of the body must not be taken for a next request.
		x.w.Header().Set("Connection", "close")
	}
	x.send(status, x.dialect.writeError(x.w.Header(), e, status, x.event.RequestID))
}

func (x *exchange) send(status int, body []byte) {
	header := x.w.Header()
	header.Set("X-Amzn-Requestid", x.event.RequestID)
	header.Set("Content-Type", x.dialect.contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	control := http.NewResponseController(x.w)
	if control.SetWriteDeadline(time.Now().Add(answerTime)) == nil {
		defer control.SetWriteDeadline(time.Time{})
	}
	x.event.Status, x.event.Bytes = status, len(body)
	x.w.WriteHeader(status)
	x.w.Write(body) // a client that is gone misses its answer; nobody else does
}

// status gives the HTTP status of an error code: the model's, else the usual.
func (x *exchange) status(code string) int {
	if x.missing {
		return http.StatusNotFound
	}
	if x.service != nil {
		if s, ok := x.service.Errors[code]; ok {
			return s
		}
	}
	return cmp.Or(statuses[code], http.StatusBadRequest)
}

// internal is all that a client learns of an internal error.
func (x *exchange) internal() *fault.Error {
	code := x.dialect.internal
	if x.service != nil {
		code = cmp.Or(x.service.Internal, code)
	}
	return fault.New(code, "An internal error occurred. The server's log has the details under the request id %s.", x.event.RequestID)
}

// refusal makes any error into one that may be sent, and logs what must not.
func (h *Handler) refusal(x *exchange, err error) *fault.Error {
	var auth *authError
	var known *fault.Error
	switch {
	case errors.As(err, &auth):
		return fault.New(x.dialect.auth[auth.reason], "%s", auth.message)
	case errors.Is(err, errTooLarge):
		return fault.New(x.dialect.tooLarge, "The request's body exceeds the limit of %d bytes.", maxBody)
	case errors.Is(err, errSlow):
		return fault.New(x.dialect.slow, "The request's body did not arrive within %v.", h.bodyTime)
	case errors.Is(err, errBroken):
		return fault.New(x.dialect.broken, "The request's body did not arrive whole.")
	case errors.As(err, &known):
		if known.Cause != nil || x.status(known.Code) >= 500 {
			h.log.WarnContext(x.r.Context(), "request failed", "request", x.event.RequestID, "operation", x.event.Operation, "error", err)
		}
		return known
	case errors.Is(err, context.Canceled) && x.r.Context().Err() != nil:
		h.log.DebugContext(x.r.Context(), "client went away", "request", x.event.RequestID, "operation", x.event.Operation)
		return x.internal()
	}
	h.log.ErrorContext(x.r.Context(), "internal error", "request", x.event.RequestID, "operation", x.event.Operation, "error", err)
	return x.internal()
}

// violation words a broken constraint as the service does.
func (d *dialect) violation(s *shape.Service, op *shape.Operation, err error) error {
	var v *shape.Violation
	if !errors.As(err, &v) {
		return err
	}
	must := v.Must()
	switch {
	case s.Invalid != "":
		return fault.New(cmp.Or(op.Invalid, s.Invalid), "The value supplied for parameter '%s' is not valid. '%s' %s", v.Path, v.Path, must)
	case s.Protocol == shape.EC2 && v.Rule == shape.Required:
		return fault.New("MissingParameter", "The request must contain the parameter %s", v.Path)
	case s.Protocol == shape.EC2:
		return fault.New("InvalidParameterValue", "Value (%s) for parameter %s is invalid. The value %s", v.Value, v.Path, must)
	}
	code, value := "ValidationException", "Value"
	if s.Protocol == shape.Query {
		code = "ValidationError"
	}
	if v.Rule == shape.Required {
		value = "Value null"
	} else if v.Value != "" {
		value = "Value '" + v.Value + "'"
	}
	return fault.New(code, "1 validation error detected: %s at '%s' failed to satisfy constraint: Member %s", value, v.Path, must)
}
