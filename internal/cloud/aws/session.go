package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// session has the clients of an account in a region.
type session struct {
	account, region string

	ec2 *ec2.Client
	ebs *ebs.Client
	ssm *ssm.Client
	sts *sts.Client
}

const (
	answering = 30 * time.Second // how long a service may take to begin an answer
	attempts  = 10               // of every request; the pauses between them grow
	longest   = 20 * time.Second // pause between attempts
	roleName  = "goldsmith"      // of the sessions of a role, as logs of the account show them
	atOnce    = 64               // blocks under way (EBS User Guide, "Optimize performance")
)

// Load configures access to an account in a region. A request that is throttled
// or fails at the other end is tried again, whoever else is; the endpoint is
// never left waiting for.
func (a Account) Load(ctx context.Context, region string) (sdk.Config, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout, t.MaxIdleConnsPerHost = answering, atOnce
	}).WithTimeout(4 * answering)
	retryer := func() sdk.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			// Many requests at once would use up the attempts of each other.
			o.MaxAttempts, o.MaxBackoff, o.RateLimiter = attempts, longest, ratelimit.None
		})
	}
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(region), awsconfig.WithHTTPClient(client), awsconfig.WithRetryer(retryer)}
	if a.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(a.Profile))
	}
	if a.Endpoint != "" {
		options = append(options, awsconfig.WithBaseEndpoint(a.Endpoint))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return sdk.Config{}, fmt.Errorf("configuring access to the account %s: %w", a.ID, err)
	}
	if a.Role != "" {
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), a.Role, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = roleName
			if a.ExternalID != "" {
				o.ExternalID = &a.ExternalID
			}
		})
		loaded.Credentials = sdk.NewCredentialsCache(role)
	}
	return loaded, nil
}

// in gives the clients of an account in a region. The first time it makes sure
// that the credentials are the account's: a wrong profile must not publish
// somewhere else.
func (a *Accounts) in(ctx context.Context, account, region string) (*session, error) {
	a.mu.Lock()
	s := a.sessions[account+" "+region]
	a.mu.Unlock()
	if s != nil {
		return s, nil
	}
	found, ok := a.account(account)
	if !ok {
		return nil, fmt.Errorf("the account %s is not one of AWS in the configuration", account)
	}
	loaded, err := found.Load(ctx, region)
	if err != nil {
		return nil, err
	}
	s = &session{account: account, region: region, ec2: ec2.NewFromConfig(loaded), ebs: ebs.NewFromConfig(loaded), ssm: ssm.NewFromConfig(loaded), sts: sts.NewFromConfig(loaded)}
	if err := a.identify(ctx, s); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[account+" "+region] = s
	return s, nil
}

// identify refuses credentials that are another account's.
func (a *Accounts) identify(ctx context.Context, s *session) error {
	a.mu.Lock()
	known := a.known[s.account]
	a.mu.Unlock()
	if known {
		return nil
	}
	who, err := s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("asking AWS who the credentials for the account %s are: %w", s.account, err)
	}
	if sdk.ToString(who.Account) != s.account {
		return fault.New("AuthFailure", "The credentials that are configured for the account %s are those of the account %s", s.account, sdk.ToString(who.Account))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[s.account] = true
	return nil
}

// failed is an error of a step: what AWS said, for people to read. The end of
// ctx stays what it is.
func failed(ctx context.Context, step, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, errors.Join(context.Cause(ctx), err))
	}
	var known *cloud.Failure
	if errors.As(err, &known) {
		return err
	}
	var own *fault.Error
	var said smithy.APIError
	switch {
	case errors.As(err, &own):
	case errors.As(err, &said):
		err = fault.New(said.ErrorCode(), "%s: %s (%s)", doing, said.ErrorMessage(), said.ErrorCode()).Because(err)
	default:
		err = fmt.Errorf("%s: %w", doing, err)
	}
	return &cloud.Failure{Step: step, Cause: err}
}

// code gives the code of what AWS said, or "".
func code(err error) string {
	var said smithy.APIError
	if errors.As(err, &said) {
		return said.ErrorCode()
	}
	return ""
}
