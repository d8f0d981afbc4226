package sts_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/session"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/sts"
)

const (
	alice  = "111111111111"
	bob    = "222222222222"
	deploy = "arn:aws:iam::222222222222:role/ops/deploy"
	next   = "arn:aws:iam::222222222222:role/next"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

type fixture struct {
	*sts.Service
	directory *access.Directory
	sessions  *session.Sealer
}

func parse(t testing.TB, kind access.Kind, document string) *access.Policy {
	t.Helper()
	p, err := access.Parse(kind, document)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// open has alice, an administrator, and powerless, who may do nothing; bob's
// role deploy, which alice's account may assume with the external id 42, and his
// role next, which sessions of deploy may assume.
func open(t testing.TB) *fixture {
	t.Helper()
	trust := func(principal, conditions string) *access.Policy {
		return parse(t, access.Trust, `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "`+principal+`"}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], "Condition": {`+conditions+`}}}`)
	}
	everything := []*access.Policy{access.Administrator}
	d, err := access.NewDirectory([]access.Account{
		{ID: alice, Users: []access.User{
			{Name: "alice", Keys: []access.AccessKey{{ID: "AKIAALICE"}}, Policies: everything},
			{Name: "powerless", Keys: []access.AccessKey{{ID: "AKIAPOWERLESS"}}},
		}},
		{
			ID: bob, Roles: []access.Role{
				{Name: "deploy", Path: "/ops/", MaxSession: 4 * time.Hour, Policies: everything, Trust: trust(alice, `"StringEquals": {"sts:ExternalId": "42"}`)},
				{Name: "next", MaxSession: 12 * time.Hour, Trust: trust(deploy, `"StringLikeIfExists": {"aws:RequestTag/team": "w*"}`)},
			},
			Managed: map[string]*access.Policy{"small": access.Administrator},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "rows.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	clock := func() time.Time { return noon }
	f := &fixture{directory: d, sessions: session.New(rows, clock)}
	f.Service = sts.New(func() *access.Directory { return f.directory }, f.sessions, clock)
	return f
}

func (f *fixture) user(t testing.TB, key string) context.Context {
	t.Helper()
	k, ok := f.directory.Key(key)
	if !ok {
		t.Fatalf("there is no key %s", key)
	}
	return identity.With(t.Context(), identity.Caller{Account: k.Account, Region: "us-east-1", ARN: k.ARN, UserID: k.UserID, Principal: k.Principal})
}

// session is a request of a session that a ticket describes.
func (f *fixture) session(t testing.TB, s session.Ticket) context.Context {
	t.Helper()
	r, ok := f.directory.Role(s.Role)
	if !ok {
		t.Fatalf("there is no role %s", s.Role)
	}
	p := r.Assume(access.Session{Name: s.Name, Issued: s.Issued, Source: s.Source, Transitive: s.Transitive}, s.Tags)
	return identity.With(t.Context(), identity.Caller{Account: p.Account, Region: "us-east-1", ARN: p.ARN, UserID: p.ID, Principal: p})
}

func ptr[T any](v T) *T { return &v }

func input(role string, change ...func(*api.AssumeRoleInput)) *api.AssumeRoleInput {
	in := &api.AssumeRoleInput{RoleArn: &role, RoleSessionName: ptr("run")}
	for _, c := range change {
		c(in)
	}
	return in
}

func externalID(in *api.AssumeRoleInput) { in.ExternalId = ptr("42") }

// ticket reads what was sealed.
func (f *fixture) ticket(t testing.TB, out *api.AssumeRoleOutput) session.Ticket {
	t.Helper()
	c := out.Credentials
	got, secret, ok, err := f.sessions.Open(t.Context(), *c.AccessKeyId, *c.SessionToken)
	if err != nil || !ok || string(secret) != *c.SecretAccessKey {
		t.Fatalf("the credentials are not good: %v, %v", ok, err)
	}
	return got
}

func TestAssumeRole(t *testing.T) {
	t.Parallel()
	f := open(t)
	out, err := f.AssumeRole(f.user(t, "AKIAALICE"), input(deploy, externalID, func(in *api.AssumeRoleInput) {
		in.DurationSeconds = ptr[int32](14400)
		in.Policy = ptr(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}`)
		in.PolicyArns = []api.PolicyDescriptorType{{Arn: ptr("arn:aws:iam::222222222222:policy/small")}, {Arn: ptr("arn:aws:iam::aws:policy/ReadOnlyAccess")}}
		in.Tags = []api.Tag{{Key: ptr("team"), Value: ptr("web")}, {Key: ptr("cost"), Value: ptr("1")}}
		in.TransitiveTagKeys = []string{"TEAM"}
		in.SourceIdentity = ptr("alice")
		in.MinimumSessionTokenSize = ptr[int32](2000)
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := session.Ticket{
		Role: deploy, Name: "run", Issued: noon, Expires: noon.Add(4 * time.Hour), Policy: `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}`,
		PolicyARNs: []string{"arn:aws:iam::222222222222:policy/small", "arn:aws:iam::aws:policy/ReadOnlyAccess"},
		Tags:       map[string]string{"team": "web", "cost": "1"}, Transitive: []string{"team"}, Source: "alice",
	}
	if diff := cmp.Diff(want, f.ticket(t, out)); diff != "" {
		t.Error(diff)
	}
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::222222222222:assumed-role/deploy/run" || !strings.HasPrefix(*out.AssumedRoleUser.AssumedRoleId, "AROA") || !strings.HasSuffix(*out.AssumedRoleUser.AssumedRoleId, ":run") {
		t.Errorf("user %+v", *out.AssumedRoleUser)
	}
	if !out.Credentials.Expiration.Equal(want.Expires) || out.PackedPolicySize == nil || *out.PackedPolicySize < 1 || *out.SessionTokenSize < 2000 || *out.SourceIdentity != "alice" {
		t.Errorf("output %+v", out)
	}
}

func TestTheDefaultIsAnHour(t *testing.T) {
	t.Parallel()
	f := open(t)
	out, err := f.AssumeRole(f.user(t, "AKIAALICE"), input(deploy, externalID))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.ticket(t, out); !got.Expires.Equal(noon.Add(time.Hour)) || got.Limited() || out.PackedPolicySize != nil || out.SourceIdentity != nil {
		t.Errorf("ticket %+v, output %+v", got, out)
	}
}

func TestRolesThatAreNotForTheCaller(t *testing.T) {
	t.Parallel()
	f := open(t)
	with := func(change func(*api.AssumeRoleInput)) *api.AssumeRoleInput {
		return input(deploy, externalID, change)
	}
	member := func(n int) []api.PolicyDescriptorType {
		var all []api.PolicyDescriptorType
		for range n {
			all = append(all, api.PolicyDescriptorType{Arn: ptr("arn:aws:iam::aws:policy/ReadOnlyAccess")})
		}
		return all
	}
	const who = "User: arn:aws:iam::111111111111:user/alice is not authorized to perform: "
	for name, c := range map[string]struct {
		key        string
		in         *api.AssumeRoleInput
		code, says string
	}{
		"no external id":      {"AKIAALICE", input(deploy), "AccessDenied", who + "sts:AssumeRole on resource: " + deploy},
		"another external id": {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.ExternalId = ptr("43") }), "AccessDenied", who + "sts:AssumeRole"},
		"no permission":       {"AKIAPOWERLESS", input(deploy, externalID), "AccessDenied", "sts:AssumeRole on resource: " + deploy},
		"no such role":        {"AKIAALICE", input("arn:aws:iam::222222222222:role/none"), "AccessDenied", who + "sts:AssumeRole on resource: arn:aws:iam::222222222222:role/none"},
		"no trust":            {"AKIAALICE", input(next), "AccessDenied", who + "sts:AssumeRole"},
		"a user's ARN":        {"AKIAALICE", input("arn:aws:iam::222222222222:user/deploy"), "ValidationError", "Request ARN is invalid"},
		"without its path":    {"AKIAALICE", input("arn:aws:iam::222222222222:role/deploy", externalID), "AccessDenied", "sts:AssumeRole"},
		"another case":        {"AKIAALICE", input("arn:aws:iam::222222222222:role/ops/Deploy", externalID), "AccessDenied", "sts:AssumeRole"},
		"long":                {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.DurationSeconds = ptr[int32](14401) }), "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		"no policy":           {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.Policy = ptr("{}") }), "MalformedPolicyDocument", "Statement"},
		"a principal": {"AKIAALICE", with(func(in *api.AssumeRoleInput) {
			in.Policy = ptr(`{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}`)
		}), "MalformedPolicyDocument", "Principal"},
		"a long policy": {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.Policy = ptr(strings.Repeat(" ", 2049)) }), "ValidationError", "2048"},
		"an unknown policy": {"AKIAALICE", with(func(in *api.AssumeRoleInput) {
			in.PolicyArns = []api.PolicyDescriptorType{{Arn: ptr("arn:aws:iam::222222222222:policy/none")}}
		}), "MalformedPolicyDocument", "policy/none"},
		"too many policies": {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.PolicyArns = member(11) }), "ValidationError", "policyArns"},
		"a tag twice": {"AKIAALICE", with(func(in *api.AssumeRoleInput) {
			in.Tags = []api.Tag{{Key: ptr("a"), Value: ptr("1")}, {Key: ptr("A"), Value: ptr("2")}}
		}), "InvalidParameterValue", "Duplicate tag keys"},
		"a reserved tag":       {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.Tags = []api.Tag{{Key: ptr("AWS:a"), Value: ptr("1")}} }), "ValidationError", "aws:"},
		"transitive, no tag":   {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.TransitiveTagKeys = []string{"a"} }), "InvalidParameterValue", "transitive"},
		"a reserved source":    {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.SourceIdentity = ptr("aws:x") }), "ValidationError", "sourceIdentity"},
		"a device":             {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.SerialNumber = ptr("arn:aws:iam::111111111111:mfa/alice") }), "AccessDenied", "MultiFactorAuthentication"},
		"a context":            {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.ProvidedContexts = []api.ProvidedContext{{}} }), "ValidationError", "ProvidedContexts"},
		"policies of too much": {"AKIAALICE", with(func(in *api.AssumeRoleInput) { in.Tags = much() }), "PackedPolicyTooLarge", "Packed size"},
	} {
		out, err := f.AssumeRole(f.user(t, c.key), c.in)
		if out != nil || fault.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s that says %q", name, err, c.code, c.says)
		}
	}
}

// much is 50 tags that do not pack.
func much() []api.Tag {
	var all []api.Tag
	seed := uint64(1)
	for i := range 50 {
		var b strings.Builder
		for range 250 {
			seed = seed*6364136223846793005 + 1442695040888963407
			b.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[seed>>58])
		}
		all = append(all, api.Tag{Key: ptr("k" + string(rune('A'+i/26)) + string(rune('a'+i%26))), Value: ptr(b.String())})
	}
	return all
}

// A session may go on to another role for an hour at most, and takes its
// transitive tags and its source identity with it.
func TestChains(t *testing.T) {
	t.Parallel()
	f := open(t)
	first := session.Ticket{Role: deploy, Name: "run", Issued: noon, Tags: map[string]string{"team": "web", "cost": "1"}, Transitive: []string{"team"}, Source: "alice"}
	ctx := f.session(t, first)
	out, err := f.AssumeRole(ctx, input(next, func(in *api.AssumeRoleInput) { in.Tags = []api.Tag{{Key: ptr("env"), Value: ptr("prod")}} }))
	if err != nil {
		t.Fatal(err)
	}
	want := session.Ticket{Role: next, Name: "run", Issued: noon, Expires: noon.Add(time.Hour), Tags: map[string]string{"team": "web", "env": "prod"}, Transitive: []string{"team"}, Source: "alice"}
	if diff := cmp.Diff(want, f.ticket(t, out)); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		change     func(*api.AssumeRoleInput)
		code, says string
	}{
		"long":            {func(in *api.AssumeRoleInput) { in.DurationSeconds = ptr[int32](3601) }, "ValidationError", "exceeds the 1 hour session limit for roles assumed by role chaining"},
		"a tag of before": {func(in *api.AssumeRoleInput) { in.Tags = []api.Tag{{Key: ptr("Team"), Value: ptr("web2")}} }, "InvalidParameterValue", "transitive"},
		"another source":  {func(in *api.AssumeRoleInput) { in.SourceIdentity = ptr("bob") }, "AccessDenied", "source identity"},
	} {
		if _, err := f.AssumeRole(ctx, input(next, c.change)); fault.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s that says %q", name, err, c.code, c.says)
		}
	}
	// The trust policy sees the request's tags.
	plain := f.session(t, session.Ticket{Role: deploy, Name: "run", Issued: noon})
	if _, err := f.AssumeRole(plain, input(next, func(in *api.AssumeRoleInput) { in.Tags = []api.Tag{{Key: ptr("team"), Value: ptr("db")}} })); fault.Code(err) != "AccessDenied" {
		t.Errorf("a tag that the role does not trust: %v", err)
	}
	if _, err := f.AssumeRole(plain, input(deploy, externalID)); fault.Code(err) != "AccessDenied" {
		t.Errorf("a session of bob's got a role that trusts alice: %v", err)
	}
}

func TestGetCallerIdentity(t *testing.T) {
	t.Parallel()
	f := open(t)
	out, err := f.GetCallerIdentity(f.session(t, session.Ticket{Role: deploy, Name: "run"}), &api.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if *out.Account != bob || *out.Arn != "arn:aws:sts::222222222222:assumed-role/deploy/run" || !strings.HasSuffix(*out.UserId, ":run") {
		t.Errorf("%s %s %s", *out.Account, *out.Arn, *out.UserId)
	}
}
