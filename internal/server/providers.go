package server

import (
	"cmp"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws"
	"github.com/goldsmith-build/goldsmith/internal/cloud/event"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
)

// provide lets the accounts of the configuration that are AWS's have their AMIs
// there.
func (s *Server) provide(cfg *config.Config, world *cloud.World) {
	var accounts []aws.Account
	for _, a := range cfg.Accounts {
		if a.Provider == config.ProviderAWS {
			accounts = append(accounts, awsAccount(a.ID, *a.AWS))
		}
	}
	provider := aws.New(aws.Config{Accounts: accounts, Store: s.store, World: world, Blocks: s.disks, Outbox: s.outbox, Log: s.log})
	// Without such accounts it still drops what is left to be done in them.
	s.outbox.HandleBy(aws.Scheme, provider)
	if len(accounts) > 0 {
		world.Provide(provider)
	}
}

// openEvents makes the receivers of the configuration get the events of images.
func (s *Server) openEvents(cfg *config.Config) {
	var hooks []event.Webhook
	var receivers []aws.Receiver
	for _, e := range cfg.Events {
		if e.URL != "" {
			hooks = append(hooks, event.Webhook{URL: e.URL, Secret: string(e.Secret)})
			continue
		}
		arn := cmp.Or(e.Bus, e.Topic)
		receivers = append(receivers, aws.Receiver{ARN: arn, Source: cmp.Or(e.Source, config.DefaultSource), Access: accessTo(cfg, arn, e.AWS)})
	}
	s.events = event.New(s.outbox, hooks, faultpoint.Now)
	s.outbox.HandleBy(aws.EventScheme, aws.NewEvents(receivers))
	for _, r := range receivers {
		s.events.Also(r.Target())
	}
}

// accessTo is how to get to what an ARN names: as it is said there, or as its
// account is reached.
func accessTo(cfg *config.Config, arn string, own *config.Access) aws.Account {
	id := strings.Split(arn, ":")[4]
	if own != nil {
		return awsAccount(id, *own)
	}
	for _, a := range cfg.Accounts {
		if a.ID == id && a.Provider == config.ProviderAWS {
			return awsAccount(id, *a.AWS)
		}
	}
	return aws.Account{ID: id}
}

func awsAccount(id string, a config.Access) aws.Account {
	return aws.Account{ID: id, Profile: a.Profile, Role: a.RoleARN, ExternalID: a.ExternalID, Endpoint: a.Endpoint, Regions: a.Regions}
}
