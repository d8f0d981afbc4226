package shape

import "context"

// Protocol is how a service's requests and answers look on the wire.
type Protocol string

// The protocols, by the names that service models use.
const (
	RestJSON Protocol = "rest-json" // restJson1: a route per operation, JSON bodies
	JSON     Protocol = "json"      // awsJson1.1: X-Amz-Target names the operation
	Query    Protocol = "query"     // form in, XML out
	EC2      Protocol = "ec2"       // as query, with EC2's naming and errors
)

// Service describes a service and holds its handlers. Generated packages make
// one from an implementation; the wire serves it.
type Service struct {
	Name         string // of the signature's scope, such as "imagebuilder"
	Title        string // for people, such as "EC2 Image Builder"
	Protocol     Protocol
	APIVersion   string // such as "2019-12-02"
	Namespace    string // of the XML answers
	TargetPrefix string // of X-Amz-Target, without the dot

	Operations []Operation
	Errors     map[string]int // error code to HTTP status, as modelled

	Internal string // the code of an internal error
	Invalid  string // the code of a broken constraint; "": the protocol's usual one
}

// Operation is one operation and the function that answers it.
type Operation struct {
	Name          string
	Method        string // of HTTP
	Path          string // a template such as "/tags/{resourceArn}"
	ResultWrapper string // query: the element around the answer's members
	Invalid       string // the code of a broken constraint, "": the service's

	NewInput func() any                                             // a pointer to an empty input
	Validate func(in any) error                                     // the model's constraints; nil: none. A *Violation
	Call     func(ctx context.Context, in any) (out any, err error) // out is never nil without an error
	Output   any                                                    // a nil pointer of the output's type
}

// Bind fills in op's functions for an implementation's method.
func Bind[I, O any](op Operation, call func(context.Context, *I) (*O, error)) Operation {
	op.NewInput = func() any { return new(I) }
	op.Output = (*O)(nil)
	if _, ok := any(new(I)).(interface{ Validate() error }); ok {
		op.Validate = func(in any) error { return in.(interface{ Validate() error }).Validate() }
	}
	op.Call = func(ctx context.Context, in any) (any, error) {
		out, err := call(ctx, in.(*I))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = new(O)
		}
		return out, nil
	}
	return op
}
