package engine

import (
	"context"
	"encoding/base64"
	"net/http"

	"github.com/goldsmith-build/goldsmith/internal/instance"
	"github.com/goldsmith-build/goldsmith/internal/instance/metadata"
	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// Roles gives instances the roles of their instance profiles.
type Roles interface {
	// InstanceRole is the name of a profile's role, "" for none.
	InstanceRole(account, profile string) string
	// InstanceCredentials makes temporary credentials of it for an instance.
	InstanceCredentials(ctx context.Context, account, profile, instance string) (metadata.Credentials, error)
}

// metadata is what an instance finds at 169.254.169.254.
func (r *run) metadata(m *machine, spec instance.Spec, address string) http.Handler {
	p := r.plan
	s := &metadata.Service{TokenRequired: p.Infrastructure.Metadata.TokenRequired, Now: r.engine.Now, Document: metadata.Document{
		Account: p.Image.Account, Region: p.Image.Region, Zone: p.Infrastructure.Zone, InstanceID: m.id, ImageID: m.source.AMI, InstanceType: m.size,
		Architecture: m.source.Architecture, Hostname: spec.Hostname, Address: address, SecurityGroups: p.Infrastructure.SecurityGroups,
		KeyName: p.Infrastructure.KeyName, PublicKey: p.Infrastructure.PublicKey, Launched: r.engine.Now(),
	}}
	d := &s.Document
	if d.Zone == "" {
		d.Zone = d.Region + "a"
	}
	if m.stage == string(workflow.Build) {
		d.UserData, _ = base64.StdEncoding.DecodeString(p.UserData) // runUserData tells what is wrong with it
	}
	profile := p.Infrastructure.InstanceProfile
	if r.engine.Roles == nil || profile == "" {
		return s
	}
	if d.Role = r.engine.Roles.InstanceRole(d.Account, profile); d.Role != "" {
		d.Profile = profile
		s.Credentials = func(ctx context.Context) (metadata.Credentials, error) {
			return r.engine.Roles.InstanceCredentials(ctx, d.Account, profile, m.id)
		}
	}
	return s
}
