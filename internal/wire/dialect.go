package wire

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"mime"
	"net/http"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// dialect is how a protocol says what every protocol has to say: the codes of
// the wire's own errors, and the shape of an error.
type dialect struct {
	contentType string
	auth        [6]string // error codes by reason
	noService   string
	noOperation string
	noMethod    string
	malformed   string // input that cannot be read
	tooLarge    string
	slow        string
	broken      string // a body that ended early
	internal    string // unless the service has its own
	writeError  func(h http.Header, e *fault.Error, status int, requestID string) []byte
}

var jsonErrors = dialect{
	auth: [...]string{
		missing:    "MissingAuthenticationTokenException",
		incomplete: "IncompleteSignatureException",
		unknownKey: "UnrecognizedClientException",
		mismatch:   "InvalidSignatureException",
		expired:    "InvalidSignatureException",

		expiredToken: "ExpiredTokenException",
	},
	noService:   "UnknownServiceException",
	noOperation: "UnknownOperationException",
	noMethod:    "MethodNotAllowedException",
	malformed:   "SerializationException",
	tooLarge:    "RequestEntityTooLargeException",
	slow:        "RequestTimeoutException",
	broken:      "IncompleteBodyException",
	internal:    "InternalServerException",
}

var formErrors = dialect{
	contentType: "text/xml;charset=UTF-8",
	auth: [...]string{
		missing:    "MissingAuthenticationToken",
		incomplete: "IncompleteSignature",
		unknownKey: "InvalidClientTokenId",
		mismatch:   "SignatureDoesNotMatch",
		expired:    "SignatureDoesNotMatch",

		expiredToken: "ExpiredToken",
	},
	noService:   "UnknownService",
	noOperation: "InvalidAction",
	noMethod:    "MethodNotAllowed",
	malformed:   "MalformedQueryString",
	tooLarge:    "RequestEntityTooLarge",
	slow:        "RequestTimeout",
	broken:      "IncompleteBody",
	internal:    "InternalFailure",
}

var dialects = makeDialects()

func makeDialects() map[shape.Protocol]*dialect {
	rest, rpc, query, ec2 := jsonErrors, jsonErrors, formErrors, formErrors
	rest.contentType, rest.writeError = "application/json", restJSONError
	rpc.contentType, rpc.writeError = "application/x-amz-json-1.1", awsJSONError
	query.writeError = queryError
	ec2.writeError = ec2Error
	ec2.internal = "InternalError"
	ec2.auth = [...]string{missing: "AuthFailure", incomplete: "IncompleteSignature", unknownKey: "AuthFailure", mismatch: "AuthFailure", expired: "RequestExpired", expiredToken: "RequestExpired"}
	return map[shape.Protocol]*dialect{shape.RestJSON: &rest, shape.JSON: &rpc, shape.Query: &query, shape.EC2: &ec2}
}

// statuses of codes that a service's model does not declare. AWS sends such
// codes too, and clients test for the code.
var statuses = map[string]int{
	"MissingAuthenticationTokenException": 403,
	"MissingAuthenticationToken":          403,
	"UnrecognizedClientException":         403,
	"InvalidClientTokenId":                403,
	"InvalidSignatureException":           403,
	"SignatureDoesNotMatch":               403,
	"ExpiredTokenException":               403,
	"ExpiredToken":                        403,
	"AuthFailure":                         401,
	"AccessDeniedException":               403,
	"AccessDenied":                        403,
	"ForbiddenException":                  403,
	"UnauthorizedOperation":               403,
	"UnknownServiceException":             404,
	"UnknownService":                      404,
	"UnknownOperationException":           404,
	"ResourceNotFoundException":           404,
	"MethodNotAllowedException":           405,
	"MethodNotAllowed":                    405,
	"RequestTimeoutException":             408,
	"RequestTimeout":                      408,
	"DryRunOperation":                     412,
	"DryRunOperationException":            412,
	"RequestEntityTooLargeException":      413,
	"RequestEntityTooLarge":               413,
	"ServiceQuotaExceededException":       402,
	"ThrottlingException":                 429,
	"TooManyRequestsException":            429,
	"CallRateLimitExceededException":      429,
	"RequestLimitExceeded":                503,
	"InternalServerException":             500,
	"InternalServerError":                 500,
	"InternalFailure":                     500,
	"InternalError":                       500,
	"ServiceException":                    500,
	"ServiceUnavailableException":         503,
	"ServiceUnavailable":                  503,
	"Unavailable":                         503,
}

// guessDialect is for what goes wrong before the signature's scope has named
// a service: it looks only at what is free to look at.
func guessDialect(r *http.Request) *dialect {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	query := r.URL.RawQuery
	switch {
	case r.URL.Path != "/" && r.URL.Path != "": // the others have one address for everything
		return dialects[shape.RestJSON]
	case r.Header.Get("X-Amz-Target") != "":
		return dialects[shape.JSON]
	case media == "application/x-www-form-urlencoded", strings.HasPrefix(query, "Action="), strings.Contains(query, "&Action="):
		return dialects[shape.Query]
	}
	return dialects[shape.RestJSON]
}

func restJSONError(h http.Header, e *fault.Error, _ int, _ string) []byte {
	h.Set("X-Amzn-Errortype", e.Code)
	return jsonBody(struct {
		Message string `json:"message"`
	}{e.Message})
}

func awsJSONError(h http.Header, e *fault.Error, _ int, _ string) []byte {
	h.Set("X-Amzn-Errortype", e.Code)
	return jsonBody(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Code, e.Message})
}

func jsonBody(v any) []byte {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(v); err != nil {
		panic(err) // two strings always have a JSON form
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func queryError(_ http.Header, e *fault.Error, status int, requestID string) []byte {
	who := "Sender"
	if status >= 500 {
		who = "Receiver"
	}
	return xmlBody("<ErrorResponse><Error><Type>", who, "</Type><Code>", e.Code, "</Code><Message>", e.Message,
		"</Message></Error><RequestId>", requestID, "</RequestId></ErrorResponse>")
}

func ec2Error(_ http.Header, e *fault.Error, _ int, requestID string) []byte {
	return xmlBody("<Response><Errors><Error><Code>", e.Code, "</Code><Message>", e.Message,
		"</Message></Error></Errors><RequestID>", requestID, "</RequestID></Response>")
}

// xmlBody joins markup and text, which take turns; the text is escaped.
func xmlBody(parts ...string) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	for i, p := range parts {
		if i%2 == 0 {
			b.WriteString(p)
		} else {
			xml.EscapeText(&b, []byte(p)) // a bytes.Buffer takes everything
		}
	}
	return b.Bytes()
}
