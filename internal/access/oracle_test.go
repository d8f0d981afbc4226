package access_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/goldsmith-build/goldsmith/internal/access"
)

// The oracle evaluates policies the slow way: documents as encoding/json reads
// them, wildcards as regular expressions, every rule as the User Guide tells it.

func asList(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, fmt.Sprint(item))
		}
		return all
	}
	return nil
}

func like(pattern, s string) bool {
	quoted := regexp.QuoteMeta(pattern)
	quoted = strings.ReplaceAll(strings.ReplaceAll(quoted, `\*`, "(?s:.*)"), `\?`, "(?s:.)")
	return regexp.MustCompile("^" + quoted + "$").MatchString(s)
}

func likeARN(pattern, arn string) bool {
	if pattern == "*" {
		return true
	}
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(a) != 6 {
		return false
	}
	for i := range p {
		if !like(p[i], a[i]) {
			return false
		}
	}
	return true
}

// oracleAsk gives denied and allowed of one policy.
func oracleAsk(document, action, resource string, v access.Values) (denied, allowed bool) {
	var doc struct{ Statement []map[string]any }
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		panic(err)
	}
	for _, s := range doc.Statement {
		has := func(name string, match func(string) bool) bool {
			for _, p := range asList(s[name]) {
				if match(p) {
					return true
				}
			}
			return false
		}
		act := func(p string) bool { return like(strings.ToLower(p), strings.ToLower(action)) }
		res := func(p string) bool { return likeARN(p, resource) }
		if s["Action"] != nil && !has("Action", act) || s["NotAction"] != nil && has("NotAction", act) ||
			s["Resource"] != nil && !has("Resource", res) || s["NotResource"] != nil && has("NotResource", res) || !oracleConditions(s["Condition"], v) {
			continue
		}
		if s["Effect"] == "Deny" {
			denied = true
		} else {
			allowed = true
		}
	}
	return denied, allowed
}

func oracleConditions(all any, v access.Values) bool {
	conditions, _ := all.(map[string]any)
	for operator, keys := range conditions {
		for key, want := range keys.(map[string]any) {
			have := v[strings.ToLower(key)]
			set, base, _ := strings.Cut(operator, ":")
			if base == "" {
				set, base = "", operator
			}
			base, optional := strings.CutSuffix(base, "IfExists")
			negated := strings.Contains(base, "Not")
			matches := 0 // of the request's values, that match none or one of the policy's, as the operator wants
			for _, h := range have {
				found := false
				for _, w := range asList(want) {
					switch strings.Replace(base, "Not", "", 1) {
					case "StringEquals":
						found = found || w == h
					case "StringLike":
						found = found || like(w, h)
					}
				}
				if found != negated {
					matches++
				}
			}
			ok := matches > 0
			switch {
			case len(have) == 0 && (optional || set == "ForAllValues"):
				ok = true
			case len(have) == 0:
				ok = negated && set == ""
			case set == "ForAllValues", set == "" && negated:
				ok = matches == len(have)
			}
			if !ok {
				return false
			}
		}
	}
	return true
}

func oneOf[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// randomStatement draws from few names, so that statements often speak of the
// same things and disagree.
func randomStatement(r *rand.Rand) map[string]any {
	word := func() string { return oneOf(r, "*", "a", "b", "a*", "?", "*b", "ab", "a?", "**") }
	action := func() any {
		return oneOf[any](r, "*", "s:"+word(), "S:A", []string{"s:" + word(), "t:" + word()})
	}
	resource := func() any {
		arn := func() string { return "arn:aws:s:" + word() + ":" + oneOf(r, alice, "*") + ":" + word() + "/" + word() }
		return oneOf[any](r, "*", arn(), []string{arn(), arn()})
	}
	s := map[string]any{"Effect": oneOf(r, "Allow", "Allow", "Deny"), oneOf(r, "Action", "Action", "NotAction"): action(), oneOf(r, "Resource", "Resource", "NotResource"): resource()}
	if r.IntN(2) == 0 {
		operator := oneOf(r, "", "", "ForAnyValue:", "ForAllValues:") + oneOf(r, "StringEquals", "StringNotEquals", "StringLike", "StringNotLike") + oneOf(r, "", "IfExists")
		s["Condition"] = map[string]any{operator: map[string]any{oneOf(r, "k:One", "K:many", "k:none"): oneOf[any](r, word(), []string{word(), word()})}}
	}
	return s
}

func TestEvaluationAgreesWithTheOracle(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2026, 11))
	outcomes := map[bool]int{}
	for range 5_000 {
		var policies []*access.Policy
		var denied, allowed bool
		action, resource := "s:"+oneOf(r, "a", "b", "ab", "A"), oneOf(r, "*", "arn:aws:s:a:"+alice+":a/b", "arn:aws:s:ab:"+alice+":b/a", "arn:aws:s:b:"+alice+":ab/a/b:a")
		v := access.Values{"k:one": {oneOf(r, "a", "b", "ab")}}
		if r.IntN(2) == 0 {
			v["k:many"] = []string{"a", oneOf(r, "b", "ab")}
		}
		var documents []string
		for range 1 + r.IntN(2) {
			var statements []any
			for range 1 + r.IntN(3) {
				statements = append(statements, randomStatement(r))
			}
			encoded, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, string(encoded))
			policies = append(policies, parse(t, access.IdentityBased, string(encoded)))
			d, a := oracleAsk(string(encoded), action, resource, v)
			denied, allowed = denied || d, allowed || a
		}
		p := user(policies...)
		got := access.Decide(access.Request{Principal: p, Action: action, Resource: resource, Context: v.Lookup})
		want := access.Decision{Allowed: allowed && !denied, Explicit: denied}
		if !want.Allowed {
			want.By = access.ByIdentity
		}
		if got != want {
			t.Fatalf("%s on %s with %v: %+v, the oracle says %+v\n%s", action, resource, v, got, want, strings.Join(documents, "\n"))
		}
		outcomes[got.Allowed]++
	}
	if outcomes[true] < 500 || outcomes[false] < 500 {
		t.Errorf("the policies were not varied: %v", outcomes)
	}
}

// FuzzParse reads anything as a policy of every kind: nothing panics, and what
// is accepted can be asked, and is JSON that says what it said.
func FuzzParse(f *testing.F) {
	f.Add(`{"Version": "2012-10-17", "Statement": {"Sid": "a", "Effect": "Allow", "Action": ["a:B*"], "Resource": "arn:aws:s:${aws:username, 'x'}:*:a?b:c"}}`)
	f.Add(`{"Statement": [{"Effect": "Deny", "NotPrincipal": {"AWS": ["111111111111", "*"], "Service": "x"}, "NotAction": "*", "NotResource": "*", "Condition": {"ForAnyValue:StringLikeIfExists": {"a:b": [1, true, "${*}"]}, "Null": {"a:b": true}}}]}`)
	f.Add(`{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-01-01"}, "IpAddress": {"aws:SourceIp": "::/0"}, "BinaryEquals": {"a:b": ""}}}}`)
	f.Fuzz(func(t *testing.T, document string) {
		for _, kind := range []access.Kind{access.IdentityBased, access.ResourceBased, access.Trust} {
			p, err := access.Parse(kind, document)
			if err != nil {
				continue
			}
			if !json.Valid([]byte(document)) {
				t.Errorf("not JSON, and accepted: %q", document)
			}
			p.Grantees()
			who := user(p)
			access.Decide(access.Request{Principal: who, Action: "a:B", Resource: web, Context: values(who, nil).Lookup, Policy: p})
		}
	})
}

// FuzzLike compares the wildcards with regular expressions.
func FuzzLike(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("***a", "")
	f.Add("*é?", "aéé")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		quoted, err := json.Marshal(pattern)
		if err != nil || strings.Contains(pattern, "$") || strings.Contains(pattern, "\ufffd") || strings.ToValidUTF8(pattern, "") != pattern || strings.ToValidUTF8(s, "") != s {
			return
		}
		p := user(allow(t, `"Action": "*", "Resource": "*", "Condition": {"StringLike": {"x:y": `+string(quoted)+`}}`))
		if got, want := decide(p, "a:B", "*", access.Values{"x:y": {s}}).Allowed, like(pattern, s); got != want {
			t.Errorf("%q like %q: %v, want %v", s, pattern, got, want)
		}
	})
}
