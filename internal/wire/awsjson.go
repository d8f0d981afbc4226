package wire

import (
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// awsJSON is awsJson1.1: POST to "/", X-Amz-Target names the operation, the
// body is the input.
type awsJSON struct {
	prefix string
	ops    map[string]*shape.Operation
}

func newAWSJSON(s *shape.Service) *awsJSON {
	return &awsJSON{prefix: s.TargetPrefix + ".", ops: byName(s)}
}

func (c *awsJSON) decode(req *request) (*shape.Operation, any, error) {
	name, ok := strings.CutPrefix(req.r.Header.Get("X-Amz-Target"), c.prefix)
	op := c.ops[name]
	if !ok || op == nil || req.path != "/" {
		return nil, nil, fault.New("UnknownOperationException", "The service has no operation of this name.")
	}
	if req.r.Method != "POST" {
		return op, nil, fault.New("MethodNotAllowedException", "The method %.16s is not allowed here.", req.r.Method)
	}
	in := op.NewInput()
	if len(req.body) == 0 {
		return op, in, nil
	}
	if err := decodeJSON(req.body, in); err != nil {
		return op, nil, fault.New("SerializationException", "%s", err)
	}
	return op, in, nil
}

func (c *awsJSON) encode(_ *shape.Operation, out any, _ string) ([]byte, error) {
	return encodeJSON(out)
}
