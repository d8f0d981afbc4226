package wire_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

type accepting struct{ imagebuilder.Unimplemented }

func (accepting) CreateComponent(_ context.Context, in *imagebuilder.CreateComponentInput) (*imagebuilder.CreateComponentOutput, error) {
	return &imagebuilder.CreateComponentOutput{ClientToken: in.ClientToken}, nil
}

func TestTheCallerAndTheEventAreTheRequests(t *testing.T) {
	t.Parallel()
	var caller identity.Caller
	var events []wire.Event
	h := handler(t, wire.Config{Observe: func(_ context.Context, e wire.Event) { events = append(events, e) }},
		operation("test", shape.JSON, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			caller = identity.From(ctx)
			return nil, nil
		}))
	r := sent(t, do(t, shape.JSON, "test"))
	r.RemoteAddr = "192.0.2.1:40000"
	r.Header.Set("X-Forwarded-For", "10.0.0.1") // what anyone can say
	a := ask(t, h, r)
	if a.Status != 200 || a.Body != "{}" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id := a.Header.Get("X-Amzn-Requestid")
	want := identity.Caller{
		Account: wiretest.Key.Account, Region: "us-east-1", AccessKeyID: wiretest.Key.AccessKeyID,
		ARN: wiretest.Key.ARN, UserID: wiretest.Key.UserID, RequestID: id, SourceIP: "192.0.2.1", UserAgent: "Go-http-client/1.1",
	}
	if diff := cmp.Diff(want, caller); diff != "" {
		t.Errorf("caller (-want +got):\n%s", diff)
	}

	unknown := sent(t, do(t, shape.JSON, "test"))
	unknown.Header.Del("Authorization")
	ask(t, h, unknown)
	wantEvents := []wire.Event{
		{RequestID: id, Service: "test", Operation: "Do", Account: want.Account, Region: "us-east-1", AccessKeyID: want.AccessKeyID, Status: 200, Bytes: 2},
		{Status: 403, Code: "MissingAuthenticationTokenException", Bytes: 89},
	}
	ignore := cmpopts.IgnoreFields(wire.Event{}, "Duration", "Remote")
	events[1].RequestID = ""
	if diff := cmp.Diff(wantEvents, events, ignore); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if events[0].Duration <= 0 {
		t.Errorf("no duration: %v", events[0].Duration)
	}
}

func TestRequestIDsAreInTheBodyWhereModelled(t *testing.T) {
	t.Parallel()
	body := `{"name":"web","semanticVersion":"1.0.0","platform":"Linux","clientToken":"t"}`
	h := handler(t, wire.Config{}, imagebuilder.Serve(accepting{}))
	a := ask(t, h, sent(t, wiretest.Request(t, "imagebuilder", "PUT", "http://127.0.0.1/CreateComponent", nil, []byte(body))))
	want := `{"requestId":"` + a.Header.Get("X-Amzn-Requestid") + `","clientToken":"t"}`
	if a.Status != 200 || a.Body != want {
		t.Errorf("%d %s, want %s", a.Status, a.Body, want)
	}
}

// constrained has a constraint, so that its wording in every protocol shows.
type constrained struct {
	Name *string `json:"name,omitzero" form:"Name" element:"name"`
}

var lower = shape.Text{Min: 1, Max: 3, Pattern: &shape.Pattern{Source: "^[a-z]+$"}}

func (c *constrained) Validate() error {
	return shape.Check(func(k *shape.Checker) {
		k.Need("name", c.Name != nil)
		shape.CheckText(k, "name", c.Name, &lower)
	})
}

func TestBrokenConstraintsInEveryProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		protocol   shape.Protocol
		invalid    string
		value      string
		code, text string
	}{
		{shape.RestJSON, "InvalidParameterValueException", "A", "InvalidParameterValueException", "The value supplied for parameter 'name' is not valid. 'name' must match pattern ^[a-z]+$"},
		{shape.RestJSON, "InvalidParameterValueException", "", "InvalidParameterValueException", "The value supplied for parameter 'name' is not valid. 'name' must not be null"},
		{shape.RestJSON, "InvalidParameterValueException", "abcd", "InvalidParameterValueException", "The value supplied for parameter 'name' is not valid. 'name' must have length less than or equal to 3"},
		{shape.JSON, "", "A", "ValidationException", "1 validation error detected: Value 'A' at 'name' failed to satisfy constraint: Member must match pattern ^[a-z]+$"},
		{shape.JSON, "", "", "ValidationException", "1 validation error detected: Value null at 'name' failed to satisfy constraint: Member must not be null"},
		{shape.Query, "", "A", "ValidationError", "1 validation error detected: Value 'A' at 'name' failed to satisfy constraint: Member must match pattern ^[a-z]+$"},
		{shape.EC2, "", "A", "InvalidParameterValue", "Value (A) for parameter name is invalid. The value must match pattern ^[a-z]+$"},
		{shape.EC2, "", "", "MissingParameter", "The request must contain the parameter name"},
	} {
		s := operation("test", c.protocol, func(_ context.Context, in *constrained) (*struct{}, error) {
			t.Errorf("%s: %q reached the service", c.protocol, *in.Name)
			return nil, nil
		})
		s.Invalid = c.invalid
		header, body := http.Header{"X-Amz-Target": {"Test.Do"}}, `{"name":"`+c.value+`"}`
		if c.value == "" {
			body = `{}`
		}
		if c.protocol == shape.Query || c.protocol == shape.EC2 {
			header, body = nil, "Action=Do&Name="+c.value
			if c.value == "" {
				body = "Action=Do"
			}
		}
		a := ask(t, handler(t, wire.Config{}, s), sent(t, wiretest.Request(t, "test", "POST", "http://127.0.0.1/", header, []byte(body))))
		if a.Status != 400 || a.Code != c.code || a.Message != c.text {
			t.Errorf("%s %q:\n got %d %s %q\nwant %s %q", c.protocol, c.value, a.Status, a.Code, a.Message, c.code, c.text)
		}
	}
}

func TestHandlersThatCannotBe(t *testing.T) {
	t.Parallel()
	good := func() *shape.Service { return imagebuilder.Serve(imagebuilder.Unimplemented{}) }
	twice := good()
	twice.Operations = append(twice.Operations, twice.Operations[0])
	clash := good()
	clash.Operations[0].Method, clash.Operations[0].Path = clash.Operations[1].Method, clash.Operations[1].Path
	label := good()
	label.Operations[0].Path = "/{nothing}"
	for name, c := range map[string]struct {
		config   wire.Config
		services []*shape.Service
	}{
		"without keys":             {wire.Config{Gate: wiretest.Open{}}, nil},
		"without a gate":           {wire.Config{Keys: wiretest.Known()}, nil},
		"two of a name":            {wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}}, []*shape.Service{good(), good()}},
		"nameless":                 {wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}}, []*shape.Service{{Protocol: shape.JSON}}},
		"unknown protocol":         {wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}}, []*shape.Service{{Name: "x", Protocol: "smoke"}}},
		"operation twice":          {wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}}, []*shape.Service{twice}},
		"two on a route":           {wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}}, []*shape.Service{clash}},
		"a label without a member": {wire.Config{Keys: wiretest.Known(), Gate: wiretest.Open{}}, []*shape.Service{label}},
	} {
		if _, err := wire.New(c.config, c.services...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestErrorsBeforeAServiceIsKnownAreInTheClientsProtocol(t *testing.T) {
	t.Parallel()
	h := handler(t, wire.Config{})
	for _, c := range []struct {
		request *http.Request
		kind    string
	}{
		{httptest.NewRequest("GET", "/", nil), "application/json"},
		{httptest.NewRequest("GET", "/?Action=GetCallerIdentity", nil), "text/xml;charset=UTF-8"},
		{form(httptest.NewRequest("POST", "/", strings.NewReader("Action=X"))), "text/xml;charset=UTF-8"},
		{target(httptest.NewRequest("POST", "/", strings.NewReader("{}"))), "application/x-amz-json-1.1"},
	} {
		if a := ask(t, h, c.request); a.Status != 403 || a.Header.Get("Content-Type") != c.kind {
			t.Errorf("%d %s, want %s", a.Status, a.Header.Get("Content-Type"), c.kind)
		}
	}
}

func form(r *http.Request) *http.Request {
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r
}

func target(r *http.Request) *http.Request {
	r.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter")
	return r
}
