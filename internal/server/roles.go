package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/instance/metadata"
	"github.com/goldsmith-build/goldsmith/internal/session"
)

// instanceService is who assumes the roles of instances.
const instanceService = "ec2.amazonaws.com"

// instanceSession is how long credentials of an instance last.
const instanceSession = time.Hour

// InstanceRole gives the name of the role that an instance profile stands for:
// there are no profiles here, so it is the role of the same name, if the
// configuration has it and its trust policy lets EC2 assume it. "" says that
// there is none.
func (p *principals) InstanceRole(account, profile string) string {
	name := profile[strings.LastIndexByte(profile, '/')+1:]
	role, ok := p.Directory().RoleNamed(account, name)
	if !ok || !role.Trust.LetsService(instanceService, "sts:AssumeRole", access.Values{}.Lookup) {
		return ""
	}
	return role.Name
}

// InstanceCredentials makes a session of an instance's role. Who took the role
// away meanwhile gives no new ones.
func (p *principals) InstanceCredentials(ctx context.Context, account, profile, instance string) (metadata.Credentials, error) {
	name := p.InstanceRole(account, profile)
	role, ok := p.Directory().RoleNamed(account, name)
	if !ok {
		return metadata.Credentials{}, fmt.Errorf("the role of the instance profile %s is not there any more", profile)
	}
	now := time.Now().UTC().Truncate(time.Second)
	ends := now.Add(instanceSession)
	c, err := p.sessions.Seal(ctx, session.Ticket{Role: role.ARN(), Name: instance, Issued: now, Expires: ends}, 0)
	if err != nil {
		return metadata.Credentials{}, err
	}
	return metadata.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: string(c.Secret), Token: c.Token, Expiration: ends}, nil
}
