package wire_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

// everything has a member of every sort that the generator makes.
type everything struct {
	Text   *string               `json:"text,omitzero" form:"Text" element:"text"`
	Flag   *bool                 `json:"flag,omitzero" form:"Flag" element:"flag"`
	Small  *int32                `json:"small,omitzero" form:"Small" element:"small"`
	Large  *int64                `json:"large,omitzero" form:"Large" element:"large"`
	Ratio  *float64              `json:"ratio,omitzero" form:"Ratio" element:"ratio"`
	When   *shape.Time           `json:"when,omitzero" form:"When" element:"when"`
	Blob   []byte                `json:"blob,omitzero" form:"Blob" element:"blob"`
	List   []string              `json:"list,omitzero" form:"List.member" element:"list>member"`
	Flat   []string              `json:"flat,omitzero" form:"Flat" element:"flat"`
	Map    map[string]string     `json:"map,omitzero" form:"Map.entry,Name,Content" element:"map>entry,Name,Content"`
	Deep   []everything          `json:"deep,omitzero" form:"Deep.member" element:"deep>member"`
	Nested *everything           `json:"nested,omitzero" form:"Nested" element:"nested"`
	ByName map[string]everything `json:"byName,omitzero" form:"ByName.entry,key,value" element:"byName>entry,key,value"`
}

// echoed sends a body to an operation that answers what it got.
func echoed(t testing.TB, p shape.Protocol, body string) (answer, *everything) {
	t.Helper()
	var got *everything
	h := handler(t, wire.Config{}, operation("test", p, func(_ context.Context, in *everything) (*everything, error) {
		got = in
		return in, nil
	}))
	header := http.Header{"X-Amz-Target": {"Test.Do"}}
	if p == shape.Query || p == shape.EC2 {
		header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	}
	return ask(t, h, sent(t, wiretest.Request(t, "test", "POST", "http://127.0.0.1/", header, []byte(body)))), got
}

func TestJSONIsEchoedExactly(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`,
		`{"text":"","flag":false,"small":0,"large":0,"ratio":0,"when":0,"blob":"","list":[],"map":{},"nested":{}}`,
		`{"text":"<&>\u2028é😀\\\"\n","flag":true,"small":-2147483648,"large":9223372036854775807,"ratio":1.5,"when":1767225600.123}`,
		`{"deep":[{"text":"a"},{}],"byName":{"x":{"text":"a"},"y":{}}}`,
		`{"list":["","a"],"map":{"":"","k":"v"},"deep":[{},{"list":[]}],"byName":{"x":{"flag":false}}}`,
		`{"when":-1.5}`,
	} {
		for _, p := range []shape.Protocol{shape.JSON, shape.RestJSON} {
			a, got := echoed(t, p, body)
			if a.Status != 200 {
				t.Errorf("%s %s: %d %s %s", p, body, a.Status, a.Code, a.Message)
				continue
			}
			var want, have any
			if err := json.Unmarshal([]byte(body), &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(a.Body), &have); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("%s %s (-sent +echoed):\n%s", p, body, diff)
			}
			stored, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			var restored everything
			if err := json.Unmarshal(stored, &restored); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*got, restored); diff != "" {
				t.Errorf("%s does not survive being stored (-before +after):\n%s", body, diff)
			}
		}
	}
}

func TestJSONThatIsPassedOver(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                            `{}`,
		" {\t} \r\n":                  `{}`,
		`{"text":null}`:               `{}`,
		`{"list":null}`:               `{}`,
		`{"text":"a","text":null}`:    `{}`,
		`{"text":"a","text":"b"}`:     `{"text":"b"}`,
		`{"list":["a"],"list":["b"]}`: `{"list":["b"]}`,
		`{"TEXT":"a","Flag":true}`:    `{}`,
		`{"unknown":{"a":[1,-2.5e+3,true,false,null,"\u00e9",{}]},"text":"a"}`: `{"text":"a"}`,
	} {
		if a, _ := echoed(t, shape.JSON, body); a.Body != want {
			t.Errorf("%s: got %d %s, want %s", body, a.Status, a.Body, want)
		}
	}
}

func TestJSONThatIsRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"text":1}`:                      "NUMBER_VALUE can not be converted to a String (at 'text')",
		`{"text":true}`:                   "TRUE_VALUE can not be converted to a String (at 'text')",
		`{"flag":"true"}`:                 "STRING_VALUE can not be converted to a Boolean (at 'flag')",
		`{"small":"1"}`:                   "STRING_VALUE can not be converted to an Integer (at 'small')",
		`{"small":1.5}`:                   "1.5 is not an Integer of 32 bits (at 'small')",
		`{"small":2147483648}`:            "2147483648 is not an Integer of 32 bits (at 'small')",
		`{"large":1e3}`:                   "1e3 is not an Integer of 64 bits (at 'large')",
		`{"ratio":1e999}`:                 "1e999 is out of a Double's range (at 'ratio')",
		`{"when":"2026-01-01"}`:           "STRING_VALUE can not be converted to a Timestamp (at 'when')",
		`{"when":1e300}`:                  `"1e300" is not a timestamp in epoch seconds (at 'when')`,
		`{"blob":"?"}`:                    "a Blob has to be in base64 (at 'blob')",
		`{"list":"a"}`:                    "STRING_VALUE can not be converted to a List (at 'list')",
		`{"list":["a",null]}`:             "NULL_VALUE can not be converted to a String (at 'list[1]')",
		`{"map":{"k":null}}`:              "NULL_VALUE can not be converted to a String (at 'map.k')",
		`{"map":[]}`:                      "Start of list found where not expected (at 'map')",
		`{"text":{}}`:                     "Start of structure or map found where not expected (at 'text')",
		`{"deep":[{},{"flag":0}]}`:        "NUMBER_VALUE can not be converted to a Boolean (at 'deep[1].flag')",
		`{"nested":null,"deep":[null]}`:   "NULL_VALUE can not be converted to a Structure (at 'deep[0]')",
		`[]`:                              "an object was expected at byte 0",
		`null`:                            "an object was expected at byte 0",
		`{`:                               "a member's name was expected at byte 1",
		`{"text":"a"`:                     "',' was expected at byte 11",
		`{"text":"a",}`:                   "a member's name was expected at byte 12",
		`{"text":"a"}{}`:                  "there is more after the object at byte 12",
		`{"text" "a"}`:                    "':' was expected at byte 8",
		`{text:"a"}`:                      "a member's name was expected at byte 1",
		`{"text":'a'}`:                    "unexpected character at byte 8",
		`{"small":01}`:                    "malformed number at byte 11",
		`{"small":-}`:                     "malformed number at byte 10",
		`{"ratio":1.}`:                    "malformed number at byte 11",
		`{"ratio":1e}`:                    "malformed number at byte 11",
		`{"x":tru}`:                       "unexpected character at byte 5",
		"{\"text\":\"\x01\"}":             "a control character in a string at byte 9",
		"{\"text\":\"\xff\"}":             "a string is not valid UTF-8 at byte 11",
		"{\"text\":\"\\n\xff\"}":          "a string is not valid UTF-8 at byte 13",
		`{"text":"\ud800"}`:               "half of a surrogate pair at byte 15",
		`{"text":"\ud800\u0041"}`:         "half of a surrogate pair at byte 21",
		`{"text":"\udc00\ud800"}`:         "half of a surrogate pair at byte 21",
		`{"text":"\u12g4"}`:               "malformed escape at byte 11",
		`{"text":"\x"}`:                   "an unknown escape at byte 11",
		`{"text":"`:                       "a string without an end at byte 9",
		`{"text":"\`:                      "a string without an end at byte 10",
		"\ufeff{}":                        "an object was expected at byte 0",
		`{"x":` + strings.Repeat("[", 70): "values are nested too deep",
		`{"nested":` + strings.Repeat(`{"nested":`, 70): "values are nested too deep",
	} {
		a, got := echoed(t, shape.JSON, body)
		if a.Status != 400 || a.Code != "SerializationException" || a.Message != want || got != nil {
			t.Errorf("%q:\n got %d %s %q\nwant %q", body, a.Status, a.Code, a.Message, want)
		}
	}
}

func TestFormsAreReadAndAnswered(t *testing.T) {
	t.Parallel()
	when := shape.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)}
	for body, want := range map[string]everything{
		"": {},
		"&Text=&Flag=false&Small=0&Large=-9223372036854775808&Ratio=2.5&Blob=YQ%3D%3D&When=2026-01-02T03%3A04%3A05.678Z": {
			Text: new(""), Flag: new(false), Small: new(int32(0)), Large: new(int64(math.MinInt64)), Ratio: new(2.5), Blob: []byte("a"), When: &when},
		"&List.member.1=a&List.member.2=b":                  {List: []string{"a", "b"}},
		"&List.member.10=c&List.member.2=b":                 {List: []string{"b", "c"}},
		"&List.member.4000000000=a":                         {List: []string{"a"}},
		"&List=":                                            {List: []string{}},
		"&Map=":                                             {Map: map[string]string{}},
		"&Flat.1=%3Ca%3E+%26&Flat.2=":                       {Flat: []string{"<a> &", ""}},
		"&Map.entry.1.Name=k&Map.entry.1.Content=v":         {Map: map[string]string{"k": "v"}},
		"&Deep.member.1.Text=a&Deep.member.2.Flag=true":     {Deep: []everything{{Text: new("a")}, {Flag: new(true)}}},
		"&Nested.Nested.Text=a":                             {Nested: &everything{Nested: &everything{Text: new("a")}}},
		"&ByName.entry.1.key=x&ByName.entry.1.value.Text=y": {ByName: map[string]everything{"x": {Text: new("y")}}},
	} {
		a, got := echoed(t, shape.Query, "Action=Do&Version=2026-01-01"+body)
		if a.Status != 200 {
			t.Errorf("%s: %d %s %s", body, a.Status, a.Code, a.Message)
			continue
		}
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestXMLAnswers(t *testing.T) {
	t.Parallel()
	body := "Action=Do&Text=%3Ca%26b%0D%0A%3E&List.member.1=x&List.member.2=&Flat.1=f&Map.entry.1.Name=k&Map.entry.1.Content=v&Deep=&Nested.Flag=true&When=0&Blob=YQ%3D%3D"
	a, _ := echoed(t, shape.Query, body)
	id := a.Header.Get("X-Amzn-Requestid")
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<DoResponse xmlns="urn:test"><DoResult>` +
		`<text>&lt;a&amp;b&#xD;&#xA;&gt;</text><when>1970-01-01T00:00:00.000Z</when><blob>YQ==</blob>` +
		`<list><member>x</member><member></member></list><flat>f</flat>` +
		`<map><entry><Name>k</Name><Content>v</Content></entry></map><deep></deep><nested><flag>true</flag></nested>` +
		`</DoResult><ResponseMetadata><RequestId>` + id + `</RequestId></ResponseMetadata></DoResponse>`
	if diff := cmp.Diff(want, a.Body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFormsThatAreRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"Text=a":                       "MissingAction",
		"Action=":                      "MissingAction",
		"Action=Other":                 "InvalidAction",
		"Action=Do&Version=2020-01-01": "InvalidAction",
		"Action=Do&Action=Do":          "MalformedQueryString",
		"Action=Do&Text=a&Text=b":      "MalformedQueryString",
		"Action=Do&Text=%zz":           "MalformedQueryString",
		"Action=Do&Text=%ff":           "MalformedQueryString",
		"Action=Do&a" + strings.Repeat(".a", 100) + "=1": "MalformedQueryString",
		strings.Repeat("a=1&", 10_001):                   "MalformedQueryString",
		"Action=Do&Flag=maybe":                           "InvalidParameterValue",
		"Action=Do&Small=2147483648":                     "InvalidParameterValue",
		"Action=Do&Large=x":                              "InvalidParameterValue",
		"Action=Do&Ratio=x":                              "InvalidParameterValue",
		"Action=Do&When=yesterday":                       "InvalidParameterValue",
		"Action=Do&Blob=%3F":                             "InvalidParameterValue",
		"Action=Do&Text.1=a":                             "InvalidParameterValue",
		"Action=Do&Nested=a":                             "InvalidParameterValue",
		"Action=Do&Map.entry.1.Name=a":                   "InvalidParameterValue",
		"Action=Do&Deep.member.1.Small=a":                "InvalidParameterValue",
		"Action=Do&List.member.1.Text=a":                 "InvalidParameterValue",
		"Action=Do&Unknown=1":                            "UnknownParameter",
		"Action=Do&Nested.Unknown=1&Nested.Text=a":       "UnknownParameter",
		"Action=Do&Flat=a":                               "UnknownParameter",
		"Action=Do&Flat.x=a":                             "UnknownParameter",
		"Action=Do&Flat.01=a":                            "UnknownParameter",
		"Action=Do&Flat.1=a&Flat.1.Text=b":               "UnknownParameter",
	} {
		a, got := echoed(t, shape.EC2, body)
		if a.Status != 400 || a.Code != want || got != nil {
			t.Errorf("%.80q: got %d %s %q, want %s", body, a.Status, a.Code, a.Message, want)
		}
	}
	// The query protocol passes over what it does not know.
	if a, _ := echoed(t, shape.Query, "Action=Do&Unknown=1"); a.Status != 200 {
		t.Errorf("%d %s %s", a.Status, a.Code, a.Message)
	}
}

func TestStatusesOfErrors(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{
		imagebuilder.CodeServiceQuotaExceeded:  402,
		imagebuilder.CodeDryRunOperation:       412,
		imagebuilder.CodeCallRateLimitExceeded: 429,
		imagebuilder.CodeServiceUnavailable:    503,
		imagebuilder.CodeResourceInUse:         400,
		"ResourceNotFoundException":            404,
		"SomethingNew":                         400,
	} {
		s := operation("test", shape.RestJSON, func(context.Context, *struct{}) (*struct{}, error) { return nil, fault.New(code, "no <%s>", code) })
		s.Errors = map[string]int{}
		for _, errors := range []map[string]int{nil, imagebuilder.Errors} {
			s.Errors = errors
			a := ask(t, handler(t, wire.Config{}, s), sent(t, do(t, shape.RestJSON, "test")))
			if a.Status != want || a.Code != code || a.Body != `{"message":"no <`+code+`>"}` {
				t.Errorf("%s: %d %s %s", code, a.Status, a.Code, a.Body)
			}
		}
	}
}

func TestAnOutputThatHasNoJSONIsAnInternalError(t *testing.T) {
	t.Parallel()
	h := handler(t, wire.Config{}, operation("test", shape.JSON, func(context.Context, *struct{}) (*everything, error) {
		return &everything{Ratio: new(math.NaN())}, nil
	}))
	if a := ask(t, h, sent(t, do(t, shape.JSON, "test"))); a.Status != 500 || a.Code != "InternalServerException" {
		t.Errorf("%d %s %s", a.Status, a.Code, a.Body)
	}
}

// located has members outside of the body.
type located struct {
	ARN  *string  `json:"arn,omitzero" path:"arn"`
	Max  *int32   `json:"max,omitzero" query:"max"`
	Keys []string `json:"keys,omitzero" query:"keys"`
	Body *string  `json:"body,omitzero"`
}

func TestMembersInPathsAndQueries(t *testing.T) {
	t.Parallel()
	op := shape.Operation{Name: "Do", Method: "POST", Path: "/things/{arn}"}
	h := handler(t, wire.Config{}, &shape.Service{Name: "test", Protocol: shape.RestJSON, Operations: []shape.Operation{
		shape.Bind(op, func(_ context.Context, in *located) (*located, error) { return in, nil }),
	}})
	for _, c := range []struct{ url, body, want string }{
		{"/things/a%2Fb%20c+d", "", `{"arn":"a/b c+d"}`},
		{"/things/a?max=7&keys=x&keys=y%26z&other=1", `{"body":""}`, `{"arn":"a","max":7,"keys":["x","y&z"],"body":""}`},
		{"/things/a?keys=", `{"arn":"b","max":1,"keys":["b"]}`, `{"arn":"a","keys":[""]}`},
		{"/things/a?max=7&max=8", "", `{"message":"the parameter 'max' appears more than once"}`},
		{"/things/a?max=x", "", `{"message":"\"x\" is not an Integer of 32 bits (at 'max')"}`},
		{"/things/a?max=%ff", "", `{"message":"The query string cannot be read: a parameter is not valid UTF-8."}`},
	} {
		a := ask(t, h, sent(t, wiretest.Request(t, "test", "POST", "http://127.0.0.1"+c.url, nil, []byte(c.body))))
		if a.Body != c.want {
			t.Errorf("%s %s:\n got %d %s\nwant %s", c.url, c.body, a.Status, a.Body, c.want)
		}
	}
}
