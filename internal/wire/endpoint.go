package wire

import (
	"fmt"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// endpoint is a service with what its protocol needs to serve it.
type endpoint struct {
	service *shape.Service
	dialect *dialect
	codec   codec
}

// codec turns requests into inputs and outputs into bodies.
type codec interface {
	// decode finds the operation and reads its input. The operation is given
	// even when its input cannot be read. Its errors are faults.
	decode(r *request) (*shape.Operation, any, error)
	// encode writes the body of an answer.
	encode(op *shape.Operation, out any, requestID string) ([]byte, error)
}

func newEndpoint(s *shape.Service) (*endpoint, error) {
	d, ok := dialects[s.Protocol]
	if !ok {
		return nil, fmt.Errorf("unknown protocol %q", s.Protocol)
	}
	e := &endpoint{service: s, dialect: d}
	names := make([]string, 0, len(s.Operations))
	for _, op := range s.Operations {
		names = append(names, op.Name)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(s.Operations) {
		return nil, fmt.Errorf("an operation is there twice")
	}
	var err error
	switch s.Protocol {
	case shape.RestJSON:
		e.codec, err = newRestJSON(s)
	case shape.JSON:
		e.codec = newAWSJSON(s)
	case shape.Query, shape.EC2:
		e.codec = newForm(s)
	}
	return e, err
}

// byName indexes operations for the protocols that name them in the request.
func byName(s *shape.Service) map[string]*shape.Operation {
	ops := make(map[string]*shape.Operation, len(s.Operations))
	for i := range s.Operations {
		ops[s.Operations[i].Name] = &s.Operations[i]
	}
	return ops
}
