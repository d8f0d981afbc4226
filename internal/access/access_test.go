package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/identity"
)

const (
	alice = "111111111111"
	bob   = "222222222222"
	web   = "arn:aws:imagebuilder:us-east-1:111111111111:component/web/1.0.0/1"
)

func parse(t testing.TB, kind access.Kind, document string) *access.Policy {
	t.Helper()
	p, err := access.Parse(kind, document)
	if err != nil {
		t.Fatalf("%v\n%s", err, document)
	}
	return p
}

// allow is a policy with one statement.
func allow(t testing.TB, members string) *access.Policy {
	t.Helper()
	return parse(t, access.IdentityBased, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", `+members+`}}`)
}

func user(policies ...*access.Policy) *access.Principal {
	return &access.Principal{Account: alice, ARN: "arn:aws:iam::" + alice + ":user/ci", ID: "AIDAX", User: "ci", Tags: map[string]string{"team": "web"}, Policies: policies}
}

// values is the context of a user's request.
func values(p *access.Principal, more access.Values) access.Values {
	v := access.Global(identity.Caller{Account: p.Account, Region: "us-east-1", SourceIP: "203.0.113.7", UserAgent: "aws-cli/2", Principal: p}, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	for key, value := range more {
		v[key] = value
	}
	return v
}

func decide(p *access.Principal, action, resource string, more access.Values) access.Decision {
	return access.Decide(access.Request{Principal: p, Action: action, Resource: resource, Context: values(p, more).Lookup})
}

func TestActionsAndResources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		members, action, resource string
		want                      bool
	}{
		{`"Action": "*", "Resource": "*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "imagebuilder:*", "Resource": "*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "imagebuilder:*", "Resource": "*"`, "ec2:DescribeImages", "*", false},
		{`"Action": "IMAGEBUILDER:getCOMPONENT", "Resource": "*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "imagebuilder:Get?omponent", "Resource": "*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": ["imagebuilder:List*", "imagebuilder:Get*"], "Resource": "*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "imagebuilder:Get", "Resource": "*"`, "imagebuilder:GetComponent", web, false},
		{`"NotAction": "ec2:*", "Resource": "*"`, "imagebuilder:GetComponent", web, true},
		{`"NotAction": ["ec2:*", "imagebuilder:get*"], "Resource": "*"`, "imagebuilder:GetComponent", web, false},
		{`"Action": "*", "Resource": "` + web + `"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/web/*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/WEB/*"`, "imagebuilder:GetComponent", web, false},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/we?/?.?.?/1"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:*/1"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:us-east-1:222222222222:*"`, "imagebuilder:GetComponent", web, false},
		{`"Action": "*", "NotResource": "arn:aws:imagebuilder:*:*:image/*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "NotResource": "arn:aws:imagebuilder:*:*:component/*"`, "imagebuilder:GetComponent", web, false},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:*"`, "imagebuilder:ListComponents", "*", false},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:${aws:PrincipalAccount}:component/${aws:PrincipalTag/team}/*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/${aws:username}/*"`, "imagebuilder:GetComponent", web, false},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/${aws:PrincipalTag/none, 'web'}/*"`, "imagebuilder:GetComponent", web, true},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/${aws:PrincipalTag/none}*"`, "imagebuilder:GetComponent", web, false},
		{`"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:component/${*}/*"`, "imagebuilder:GetComponent", web, false},
	} {
		if got := decide(user(allow(t, c.members)), c.action, c.resource, nil).Allowed; got != c.want {
			t.Errorf("%s\n%s on %s: %v, want %v", c.members, c.action, c.resource, got, c.want)
		}
	}
}

// What stands in the place of a wildcard or a variable must not reach into
// another part of an ARN, and must not become a wildcard itself.
func TestPatternAttacks(t *testing.T) {
	t.Parallel()
	starred := user(allow(t, `"Action": "*", "Resource": "arn:aws:imagebuilder:*:111111111111:component/${aws:PrincipalTag/team}/*"`))
	starred.Tags = map[string]string{"team": "*"}
	if decide(starred, "imagebuilder:GetComponent", web, nil).Allowed {
		t.Error(`a tag with the value "*" is a wildcard`)
	}
	for name, c := range map[string]struct{ resource, request string }{
		"a region that holds an account":   {"arn:aws:imagebuilder:*:111111111111:component/*", "arn:aws:imagebuilder:us-east-1:222222222222:component/x:111111111111:component/y"},
		"a question mark for a colon":      {"arn:aws:imagebuilder:us-east-1?111111111111:x:component/*", web},
		"too few parts":                    {"arn:aws:imagebuilder:*:*:component/*", "arn:aws:imagebuilder"},
		"no part at all":                   {"arn:aws:imagebuilder:*:*:component/*", ""},
		"another letter that looks like k": {"arn:aws:imagebuilder:*:*:component/k/*", "arn:aws:imagebuilder:us-east-1:111111111111:component/\u212a/1"},
		"composed and decomposed letters":  {"arn:aws:imagebuilder:*:*:component/\u00e9/*", "arn:aws:imagebuilder:us-east-1:111111111111:component/e\u0301/1"},
		"one character is not two":         {"arn:aws:imagebuilder:*:*:component/?", "arn:aws:imagebuilder:us-east-1:111111111111:component/e\u0301"},
	} {
		p := user(allow(t, `"Action": "*", "Resource": "`+c.resource+`"`))
		if decide(p, "imagebuilder:GetComponent", c.request, nil).Allowed {
			t.Errorf("%s: %s matches %s", name, c.resource, c.request)
		}
	}
	// U+212A folds to "k" for strings.EqualFold.
	p := user(allow(t, `"Action": "x:k*", "Resource": "*"`))
	if decide(p, "x:\u212aelvin", "*", nil).Allowed {
		t.Error("an action beyond ASCII was folded")
	}
	// A match that tried every "*" again for every other would not end.
	long := user(allow(t, `"Action": "*", "Resource": "arn:aws:imagebuilder:*:*:`+strings.Repeat("*a", 2000)+`b"`))
	if decide(long, "imagebuilder:GetComponent", "arn:aws:imagebuilder:us-east-1:111111111111:"+strings.Repeat("a", 20_000), nil).Allowed {
		t.Error("it matched")
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	request := access.Values{
		"aws:requesttag/team": {"web"}, "aws:tagkeys": {"team", "cost"}, "x:n": {"10"}, "x:date": {"2026-11-22T10:00:00Z"}, "x:bool": {"true"}, "x:arn": {web}, "x:b": {"aGk="},
		"x:notnumber": {"ten"}, "x:six": {"2001:db8::1"}, "x:mapped": {"::ffff:203.0.113.9"},
	}
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{`"StringEquals": {"aws:RequestTag/team": "web"}`, true},
		{`"StringEquals": {"AWS:requesttag/TEAM": "web"}`, true},
		{`"StringEquals": {"aws:RequestTag/team": "Web"}`, false},
		{`"StringEquals": {"aws:RequestTag/team": ["ops", "web"]}`, true},
		{`"StringEquals": {"aws:RequestTag/team": "w*"}`, false},
		{`"StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}`, true},
		{`"StringEquals": {"aws:RequestTag/none": "web"}`, false},
		{`"StringNotEquals": {"aws:RequestTag/team": ["ops", "web"]}`, false},
		{`"StringNotEquals": {"aws:RequestTag/team": ["ops", "db"]}`, true},
		{`"StringNotEquals": {"aws:RequestTag/none": "web"}`, true},
		{`"StringNotEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/none}"}`, false},
		{`"StringEqualsIgnoreCase": {"aws:RequestTag/team": "WEB"}`, true},
		{`"StringNotEqualsIgnoreCase": {"aws:RequestTag/team": "WEB"}`, false},
		{`"StringLike": {"aws:RequestTag/team": "w*"}`, true},
		{`"StringLike": {"aws:RequestTag/team": "w?"}`, false},
		{`"StringNotLike": {"aws:RequestTag/team": "w*"}`, false},
		{`"StringEqualsIfExists": {"aws:RequestTag/none": "web"}`, true},
		{`"StringEqualsIfExists": {"aws:RequestTag/team": "ops"}`, false},
		{`"StringEquals": {"aws:username": "ci", "aws:RequestTag/team": "web"}`, true},
		{`"StringEquals": {"aws:username": "ci", "aws:RequestTag/team": "ops"}`, false},
		{`"StringEquals": {"aws:username": "ci"}, "StringLike": {"aws:RequestTag/team": "x"}`, false},
		{`"NumericEquals": {"x:n": 10}`, true},
		{`"NumericEquals": {"x:n": "10.0"}`, true},
		{`"NumericNotEquals": {"x:n": 10}`, false},
		{`"NumericLessThan": {"x:n": 10}`, false},
		{`"NumericLessThanEquals": {"x:n": 10}`, true},
		{`"NumericGreaterThan": {"x:n": 9.5}`, true},
		{`"NumericGreaterThanEquals": {"x:n": 10}`, true},
		{`"NumericLessThan": {"x:notnumber": 100}`, false},
		{`"DateEquals": {"x:date": "2026-11-22T11:00:00+01:00"}`, true},
		{`"DateLessThan": {"x:date": "2026-11-23"}`, true},
		{`"DateGreaterThan": {"aws:CurrentTime": "2026-11-22T10:00:01Z"}`, false},
		{`"DateGreaterThanEquals": {"aws:EpochTime": "1795341600"}`, true},
		{`"Bool": {"x:bool": true}`, true},
		{`"Bool": {"x:bool": "False"}`, false},
		{`"Bool": {"aws:SecureTransport": "false"}`, true},
		{`"BinaryEquals": {"x:b": "aGk="}`, true},
		{`"BinaryEquals": {"x:b": "aGo="}`, false},
		{`"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}`, true},
		{`"IpAddress": {"aws:SourceIp": "203.0.113.7"}`, true},
		{`"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}`, false},
		{`"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "203.0.113.0/24"]}`, false},
		{`"IpAddress": {"x:six": "2001:db8::/32"}`, true},
		{`"IpAddress": {"x:mapped": "203.0.113.0/24"}`, true},
		{`"ArnLike": {"x:arn": "arn:aws:imagebuilder:*:*:component/web/*"}`, true},
		{`"ArnEquals": {"x:arn": "arn:aws:imagebuilder:*:*:component/db/*"}`, false},
		{`"ArnNotLike": {"x:arn": "arn:aws:imagebuilder:*:*:component/web/*"}`, false},
		{`"ArnLike": {"x:bool": "arn:aws:*:*:*:*"}`, false},
		{`"Null": {"aws:RequestTag/team": "false"}`, true},
		{`"Null": {"aws:RequestTag/none": true}`, true},
		{`"Null": {"aws:RequestTag/team": "true"}`, false},
		{`"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "env"]}`, true},
		{`"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}`, false},
		{`"ForAllValues:StringEquals": {"x:none": ["team"]}`, true},
		{`"ForAnyValue:StringEquals": {"aws:TagKeys": ["cost"]}`, true},
		{`"ForAnyValue:StringEquals": {"aws:TagKeys": ["env"]}`, false},
		{`"ForAnyValue:StringEquals": {"x:none": ["env"]}`, false},
		{`"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["team"]}`, true},
		{`"ForAllValues:StringNotEquals": {"aws:TagKeys": ["team"]}`, false},
		{`"ForAllValues:StringNotLike": {"aws:TagKeys": ["x*"]}`, true},
		{`"ForAnyValue:StringLikeIfExists": {"x:none": ["x*"]}`, true},
	} {
		p := user(allow(t, `"Action": "*", "Resource": "*", "Condition": {`+c.condition+`}`))
		if got := decide(p, "imagebuilder:GetComponent", web, request).Allowed; got != c.want {
			t.Errorf("%s: %v, want %v", c.condition, got, c.want)
		}
	}
}

// Policies of the language's first version have no variables: "${…}" is text.
func TestTheFirstVersionHasNoVariables(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"2012-10-17": true, "2008-10-17": false} {
		p := user(parse(t, access.IdentityBased, `{"Version": "`+version+`", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:username": "${aws:username}"}}}}`))
		if got := decide(p, "a:B", "*", nil).Allowed; got != want {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	t.Parallel()
	statement := func(members string) string { return `{"Version": "2012-10-17", "Statement": [{` + members + `}]}` }
	const ok = `"Effect": "Allow", "Action": "a:B", "Resource": "*"`
	for name, c := range map[string]struct {
		kind           access.Kind
		document, want string
	}{
		"empty":                    {access.IdentityBased, "", "not valid JSON"},
		"not JSON":                 {access.IdentityBased, "{", "not valid JSON"},
		"two documents":            {access.IdentityBased, `{"Statement": [{` + ok + `}]} {}`, "after its end"},
		"a list":                   {access.IdentityBased, "[]", "JSON object"},
		"not UTF-8":                {access.IdentityBased, "{\"Id\": \"\xff\"}", "UTF-8"},
		"deep":                     {access.IdentityBased, strings.Repeat(`{"Statement":`, 50), "too deeply"},
		"long":                     {access.IdentityBased, strings.Repeat(" ", access.MaxDocument+1), "longer"},
		"no statement":             {access.IdentityBased, `{"Version": "2012-10-17"}`, "Statement"},
		"version":                  {access.IdentityBased, `{"Version": "2020-01-01", "Statement": {` + ok + `}}`, "Version"},
		"unknown member":           {access.IdentityBased, statement(ok + `, "Resources": "*"`), `"Resources"`},
		"another case":             {access.IdentityBased, statement(`"effect": "Deny", ` + ok), `"effect"`},
		"a member twice":           {access.IdentityBased, statement(`"Effect": "Deny", ` + ok), `"Effect" is there twice`},
		"a condition key twice":    {access.IdentityBased, statement(ok + `, "Condition": {"Bool": {"a:b": true, "a:b": false}}`), "twice"},
		"effect":                   {access.IdentityBased, statement(`"Effect": "allow", "Action": "a:B", "Resource": "*"`), "Effect"},
		"no effect":                {access.IdentityBased, statement(`"Action": "a:B", "Resource": "*"`), "Effect is missing"},
		"no action":                {access.IdentityBased, statement(`"Effect": "Allow", "Resource": "*"`), "Action is missing"},
		"action and its opposite":  {access.IdentityBased, statement(ok + `, "NotAction": "c:D"`), "only one of Action"},
		"no action in the list":    {access.IdentityBased, statement(`"Effect": "Allow", "Action": [], "Resource": "*"`), "not empty"},
		"an action without prefix": {access.IdentityBased, statement(`"Effect": "Allow", "Action": "GetComponent", "Resource": "*"`), "not an action"},
		"no resource":              {access.IdentityBased, statement(`"Effect": "Allow", "Action": "a:B"`), "Resource is missing"},
		"half an ARN":              {access.IdentityBased, statement(`"Effect": "Deny", "Action": "a:B", "Resource": "arn:aws:s3:*"`), "not a resource"},
		"an open variable":         {access.IdentityBased, statement(`"Effect": "Deny", "Action": "a:B", "Resource": "arn:aws:s3:::${aws:username"`), "not a resource"},
		"a user's principal":       {access.IdentityBased, statement(ok + `, "Principal": "*"`), "no Principal"},
		"null":                     {access.IdentityBased, statement(ok + `, "Condition": null`), "null"},
		"unknown operator":         {access.IdentityBased, statement(ok + `, "Condition": {"StringSame": {"a:b": "c"}}`), `"StringSame"`},
		"null if it exists":        {access.IdentityBased, statement(ok + `, "Condition": {"NullIfExists": {"a:b": "true"}}`), `"NullIfExists"`},
		"no number":                {access.IdentityBased, statement(ok + `, "Condition": {"NumericEquals": {"a:b": "NaN"}}`), "NaN"},
		"no date":                  {access.IdentityBased, statement(ok + `, "Condition": {"DateEquals": {"a:b": "yesterday"}}`), "yesterday"},
		"no network":               {access.IdentityBased, statement(ok + `, "Condition": {"IpAddress": {"a:b": "10.0.0.0/33"}}`), "10.0.0.0/33"},
		"no key":                   {access.IdentityBased, statement(ok + `, "Condition": {"Bool": {"b": true}}`), `"b"`},
		"two statements, one Sid":  {access.IdentityBased, `{"Statement": [{"Sid": "a", ` + ok + `}, {"Sid": "a", ` + ok + `}]}`, "Sid"},
		"nobody":                   {access.ResourceBased, statement(ok), "Principal is missing"},
		"a principal's wildcard":   {access.ResourceBased, statement(ok + `, "Principal": {"AWS": "arn:aws:iam::111111111111:user/*"}`), "wildcards"},
		"half an account":          {access.ResourceBased, statement(ok + `, "Principal": {"AWS": "11111111111"}`), "not an account"},
		"an unknown kind":          {access.ResourceBased, statement(ok + `, "Principal": {"Aws": "111111111111"}`), `"Aws"`},
		"all but some":             {access.ResourceBased, statement(ok + `, "NotPrincipal": {"AWS": "111111111111"}`), "NotPrincipal"},
		"a trust's resource":       {access.Trust, statement(`"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Resource": "*"`), "no Resource"},
		"a trust's action":         {access.Trust, statement(`"Effect": "Allow", "Action": "s3:*", "Principal": "*"`), "trust policy"},
	} {
		_, err := access.Parse(c.kind, c.document)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.want)
		}
	}
}
