package imagebuilder_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
)

// whenCodes say when the service answers with each code of the model.
var whenCodes = map[string]string{
	api.CodeAccessDenied:                "The caller may not do this, or the resource is another account's or Amazon's.",
	api.CodeCallRateLimitExceeded:       "Never: requests are not throttled.",
	api.CodeClient:                      "The request is right in itself, and this server cannot do it. A build that is refused before its first step has this wording as its reason.",
	api.CodeDryRunOperation:             "A dry run succeeded.",
	api.CodeForbidden:                   "The account lacks a subscription.",
	api.CodeIdempotentParameterMismatch: "A client token is used again with other parameters.",
	api.CodeInvalidPaginationToken:      "`nextToken` is not one that this list gave for the same parameters.",
	api.CodeInvalidParameterCombination: "Members that exclude or need each other.",
	api.CodeInvalidParameter:            "Tag operations: a bad ARN, too many tags.",
	api.CodeInvalidParameterValue:       "A bad value, with the path of the member. Constraints of the model have the same form: `'MEMBER' must match pattern …`, `must have length less than or equal to …` and so on.",
	api.CodeInvalidRequest:              "The resource is not in a state for this.",
	api.CodeInvalidVersionNumber:        "A bad semantic version.",
	api.CodeResourceAlreadyExists:       "The name, or the name and version with the same content, is taken.",
	api.CodeResourceDependency:          "Something would have nothing to point to. The message lists it.",
	api.CodeResourceInUse:               "The resource is busy.",
	api.CodeResourceNotFound:            "No such resource, also where the operation's model does not list the code.",
	api.CodeService:                     "An error of the server. Its log has the details under the request ID.",
	api.CodeServiceQuotaExceeded:        "A quota of the account in the region; all can be set in the configuration file.",
	api.CodeServiceUnavailable:          "The server is stopping, its disk is full, or it does not build.",
	api.CodeTooManyRequests:             "Never: requests are not throttled.",
}

// codesOf are the functions of this package that make errors of one code.
var codesOf = map[string]string{
	"invalid": api.CodeInvalidParameterValue, "combination": api.CodeInvalidParameterCombination, "inUse": api.CodeResourceInUse, "errVersion": api.CodeInvalidVersionNumber,
	"quotaExceeded": api.CodeServiceQuotaExceeded,
}

// TestErrorCatalogue holds docs/errors.md to the code: every wording is in it.
func TestErrorCatalogue(t *testing.T) {
	t.Parallel()
	wordings := make(map[string]map[string]bool)
	for _, folder := range []string{".", "../engine"} {
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if f, ok := n.(*ast.FuncDecl); ok && codesOf[f.Name.Name] != "" {
					return false // its callers have the wordings
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if code, wording, ok := errorOf(call); ok {
					if api.Errors[code] == 0 {
						t.Errorf("%s: the code %q is not one of the model", name, code)
					}
					if wordings[code] == nil {
						wordings[code] = make(map[string]bool)
					}
					wordings[code][wording] = true
				}
				return true
			})
		}
	}
	got := renderCatalogue(t, wordings)
	const golden = "../../docs/errors.md"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/errors.md is not what the code says; run this test with -update (-have +want):\n%s", diff)
	}
}

// errorOf reads a call that makes an error.
func errorOf(call *ast.CallExpr) (code, wording string, ok bool) {
	args := call.Args
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		if code, ok = codesOf[fun.Name]; !ok || len(args) == 0 {
			return "", "", false
		}
		switch fun.Name {
		case "invalid":
			return code, fmt.Sprintf("The value supplied for parameter '%s' is not valid. %s", words(args[0]), words(args[1])), literal(args[1])
		case "errVersion":
			return code, "The supplied semantic version does not follow the required format. " + words(args[0]), literal(args[0])
		case "quotaExceeded":
			return code, "You have exceeded the number of permitted resources or operations for this service: the quota of " + words(args[0]) + " is …", true
		}
		return code, words(args[0]), literal(args[0])
	case *ast.SelectorExpr:
		if x, isName := fun.X.(*ast.Ident); !isName || x.Name != "fault" || fun.Sel.Name != "New" || len(args) < 2 {
			return "", "", false
		}
		switch c := args[0].(type) {
		case *ast.SelectorExpr:
			code = constants[c.Sel.Name]
		case *ast.BasicLit:
			code, _ = strconv.Unquote(c.Value)
		}
		return code, words(args[1]), code != "" && literal(args[1])
	}
	return "", "", false
}

// constants are the codes by the names of their constants.
var constants = func() map[string]string {
	all := make(map[string]string)
	for code := range api.Errors {
		all["Code"+strings.TrimSuffix(code, "Exception")] = code
	}
	return all
}()

// literal reports whether an expression has some text that is written out.
func literal(e ast.Expr) bool {
	return strings.Trim(words(e), "… '") != ""
}

var verbs = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`)

// words gives the text of an expression, with "…" for what is not known before.
func words(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil {
			return "…"
		}
		return strings.ReplaceAll(verbs.ReplaceAllString(text, "…"), "%%", "%")
	case *ast.BinaryExpr:
		return words(e.X) + words(e.Y)
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Sprintf" && len(e.Args) > 0 {
			return words(e.Args[0])
		}
	}
	return "…"
}

func renderCatalogue(t *testing.T, wordings map[string]map[string]bool) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(`# Errors

What Image Builder's operations answer when they refuse, made from the code by a test. "…" stands for what the
request says. The code is in the header ` + "`X-Amzn-ErrorType`" + `, the wording in the body's ` + "`message`" + `.

## Before the service is reached

| code | status | when |
| --- | --- | --- |
| MissingAuthenticationTokenException | 403 | the request is not signed |
| IncompleteSignatureException | 400 | the signature lacks something, or has it twice |
| UnrecognizedClientException | 403 | the access key or the session token is not known |
| InvalidSignatureException | 403 | the signature does not match, or its time is more than 5 minutes off |
| ExpiredTokenException | 403 | the session has ended |
| AccessDeniedException | 403 | no policy allows the action on the resource, or one denies it |
| UnknownOperationException | 404 | there is no such operation |
| MethodNotAllowedException | 405 | the path is right and the method is not |
| RequestTimeoutException | 408 | the body did not arrive in time |
| RequestEntityTooLargeException | 413 | the body is too long |
| IncompleteBodyException | 400 | the body ended early |
| SerializationException | 400 | the body is not JSON, or a member is of the wrong type |
`)
	for _, code := range slices.Sorted(maps.Keys(api.Errors)) {
		when, ok := whenCodes[code]
		if !ok {
			t.Errorf("when does the service answer with %s?", code)
		}
		fmt.Fprintf(&b, "\n## %s (%d)\n\n%s\n", code, api.Errors[code], when)
		if len(wordings[code]) > 0 {
			b.WriteByte('\n')
		}
		for _, wording := range slices.Sorted(maps.Keys(wordings[code])) {
			fmt.Fprintf(&b, "- %s\n", strings.ReplaceAll(wording, "\n", " "))
		}
	}
	return b.Bytes()
}
