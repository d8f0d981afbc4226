package sts

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	api "github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/session"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

const (
	defaultDuration = time.Hour
	chainedDuration = time.Hour // the longest session that another session may assume
	maxPolicy       = 2048      // characters of an inline session policy
	maxPolicyARNs   = 10
)

var roleARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`)

func invalid(format string, args ...any) error { return fault.New("ValidationError", format, args...) }

func malformed(format string, args ...any) error {
	return fault.New(api.CodeMalformedPolicyDocument, format, args...)
}

// assuming is one request to assume a role.
type assuming struct {
	caller identity.Caller
	who    *access.Principal
	in     *api.AssumeRoleInput
	role   *access.Role // nil if there is none
	ticket session.Ticket
	given  map[string]string // tags in the request
	now    time.Time
}

// AssumeRole gives temporary credentials of a role to whom its trust policy
// names.
func (s *Service) AssumeRole(ctx context.Context, in *api.AssumeRoleInput) (*api.AssumeRoleOutput, error) {
	caller := identity.From(ctx)
	now := s.now().UTC().Truncate(time.Second)
	directory := s.directory()
	a := &assuming{caller: caller, who: access.Of(caller), in: in, now: now, ticket: session.Ticket{Role: *in.RoleArn, Name: *in.RoleSessionName, Issued: now}}
	if !roleARN.MatchString(*in.RoleArn) {
		return nil, invalid("Request ARN is invalid")
	}
	a.role, _ = directory.Role(*in.RoleArn)
	if err := a.checkForm(); err != nil {
		return nil, err
	}
	if err := a.authorize(); err != nil {
		return nil, err
	}
	if err := a.policies(directory); err != nil {
		return nil, err
	}
	if err := a.duration(); err != nil {
		return nil, err
	}
	size, err := a.ticket.PackedSize()
	if err != nil {
		return nil, err
	}
	if size > 100 {
		return nil, fault.New(api.CodePackedPolicyTooLarge, "Packed size of session tags and policies consumes %d%% of allotted space, please use smaller policies or tags", size)
	}
	return s.issue(ctx, a, size)
}

// issue seals the session.
func (s *Service) issue(ctx context.Context, a *assuming, size int) (*api.AssumeRoleOutput, error) {
	minimum := 0
	if a.in.MinimumSessionTokenSize != nil {
		minimum = int(*a.in.MinimumSessionTokenSize)
	}
	c, err := s.sessions.Seal(ctx, a.ticket, minimum)
	if err != nil {
		return nil, fmt.Errorf("making a session of %s: %w", a.ticket.Role, err)
	}
	p := a.role.Assume(access.Session{Name: a.ticket.Name}, nil)
	out := &api.AssumeRoleOutput{
		Credentials: &api.Credentials{
			AccessKeyId: ptr(c.AccessKeyID), SecretAccessKey: ptr(string(c.Secret)), SessionToken: ptr(c.Token), Expiration: shape.At(a.ticket.Expires),
		},
		AssumedRoleUser:  &api.AssumedRoleUser{Arn: ptr(p.ARN), AssumedRoleId: ptr(p.ID)},
		SessionTokenSize: ptr(int32(len(c.Token))),
	}
	if size > 0 {
		out.PackedPolicySize = ptr(int32(size))
	}
	if a.ticket.Source != "" {
		out.SourceIdentity = ptr(a.ticket.Source)
	}
	return out, nil
}

// checkForm holds the request to the rules that need no look at the role, and
// gives the ticket its tags and its source identity.
func (a *assuming) checkForm() error {
	if a.in.SerialNumber != nil || a.in.TokenCode != nil {
		return fault.New("AccessDenied", "MultiFactorAuthentication failed: this server knows no MFA devices.")
	}
	if len(a.in.ProvidedContexts) > 0 {
		return invalid("ProvidedContexts: this server knows no context providers.")
	}
	if utf8.RuneCountInString(text(a.in.Policy)) > maxPolicy {
		return invalid("1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to %d", maxPolicy)
	}
	if len(a.in.PolicyArns) > maxPolicyARNs {
		return invalid("1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to %d", maxPolicyARNs)
	}
	if err := a.tags(); err != nil {
		return err
	}
	return a.source()
}

// tags reads the session's tags, those that the caller's own session passes on
// among them. Tag keys are the same whatever their case.
func (a *assuming) tags() error {
	a.given, a.ticket.Tags = map[string]string{}, map[string]string{}
	seen := map[string]string{}
	if s := a.who.Session; s != nil {
		for _, key := range s.Transitive {
			seen[strings.ToLower(key)] = "inherited"
			a.ticket.Tags[key] = a.who.Tags[key]
			a.ticket.Transitive = append(a.ticket.Transitive, key)
		}
	}
	for _, t := range a.in.Tags {
		key := *t.Key
		switch seen[strings.ToLower(key)] {
		case "inherited":
			return fault.New("InvalidParameterValue", "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		case "given":
			return fault.New("InvalidParameterValue", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalid("1 validation error detected: Tag keys must not begin with 'aws:', which is reserved: '%s'", key)
		}
		seen[strings.ToLower(key)] = "given"
		a.given[key], a.ticket.Tags[key] = *t.Value, *t.Value
	}
	for _, key := range a.in.TransitiveTagKeys {
		i := slices.IndexFunc(a.in.Tags, func(t api.Tag) bool { return strings.EqualFold(*t.Key, key) })
		if i < 0 {
			return fault.New("InvalidParameterValue", "The specified transitive tag key must be included in the requested tags.")
		}
		if name := *a.in.Tags[i].Key; !slices.Contains(a.ticket.Transitive, name) {
			a.ticket.Transitive = append(a.ticket.Transitive, name)
		}
	}
	if len(a.ticket.Tags) > 50 {
		return invalid("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50")
	}
	return nil
}

// source reads the source identity, which lasts through a chain of roles.
func (a *assuming) source() error {
	a.ticket.Source = text(a.in.SourceIdentity)
	if strings.HasPrefix(strings.ToLower(a.ticket.Source), "aws:") {
		return invalid("1 validation error detected: Value at 'sourceIdentity' must not begin with 'aws:'")
	}
	if s := a.who.Session; s != nil && s.Source != "" {
		if a.ticket.Source != "" && a.ticket.Source != s.Source {
			return fault.New("AccessDenied", "The source identity of a session cannot be changed by the sessions that it assumes.")
		}
		a.ticket.Source = s.Source
	}
	return nil
}

// authorize asks the caller's policies and the role's trust policy. That a role
// does not exist is said in the same words as that it is not for the caller.
func (a *assuming) authorize() error {
	actions := []string{"sts:AssumeRole"}
	if len(a.given) > 0 || len(a.in.TransitiveTagKeys) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if a.in.SourceIdentity != nil {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	values := access.Global(a.caller, a.now)
	values.Set("sts:externalid", text(a.in.ExternalId))
	values.Set("sts:rolesessionname", a.ticket.Name)
	values.Set("sts:sourceidentity", text(a.in.SourceIdentity))
	values.Tags("aws:requesttag", a.given)
	for key := range a.given {
		values["aws:tagkeys"] = append(values["aws:tagkeys"], key)
	}
	if len(a.ticket.Transitive) > 0 {
		values["sts:transitivetagkeys"] = a.ticket.Transitive
	}
	if a.role != nil {
		values.Tags("aws:resourcetag", a.role.Tags)
		values.Tags("iam:resourcetag", a.role.Tags)
		values.Set("aws:resourceaccount", a.role.Account())
	}
	for _, action := range actions {
		r := access.Request{Principal: a.who, Action: action, Resource: a.ticket.Role, Context: values.Lookup, Role: true}
		if a.role != nil {
			r.Policy = a.role.Trust
		}
		if d := access.Decide(r); !d.Allowed {
			return fault.New("AccessDenied", "%s", access.Denial(r, d))
		}
	}
	return nil
}

// policies reads the session policies. A managed one has to be of the role's
// account or Amazon's.
func (a *assuming) policies(directory *access.Directory) error {
	if a.in.Policy != nil {
		if _, err := access.Parse(access.IdentityBased, *a.in.Policy); err != nil {
			return malformed("Syntax errors in policy: %v.", err)
		}
		a.ticket.Policy = *a.in.Policy
	}
	for _, p := range a.in.PolicyArns {
		arn := text(p.Arn)
		_, ok := directory.Managed(arn)
		if !ok || !strings.HasPrefix(arn, "arn:aws:iam::aws:") && !strings.HasPrefix(arn, "arn:aws:iam::"+a.role.Account()+":") {
			return malformed("Policy ARN '%s' does not exist or is of another account than the role.", arn)
		}
		a.ticket.PolicyARNs = append(a.ticket.PolicyARNs, arn)
	}
	return nil
}

// duration reads how long the session lasts.
func (a *assuming) duration() error {
	d := defaultDuration
	if a.in.DurationSeconds != nil {
		d = time.Duration(*a.in.DurationSeconds) * time.Second
	}
	switch {
	case a.who.Session != nil && d > chainedDuration:
		return invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	case d > a.role.MaxSession:
		return invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	a.ticket.Expires = a.now.Add(d)
	return nil
}
