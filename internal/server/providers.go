package server

import (
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/aws"
	"github.com/goldsmith-build/goldsmith/internal/config"
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
	provider := aws.New(aws.Config{Accounts: accounts, Store: s.store, World: world, Blocks: s.disks.Store, Outbox: s.outbox, Log: s.log})
	// Without such accounts it still drops what is left to be done in them.
	s.outbox.HandleBy(aws.Scheme, provider)
	if len(accounts) > 0 {
		world.Provide(provider)
	}
}

func awsAccount(id string, a config.Access) aws.Account {
	return aws.Account{ID: id, Profile: a.Profile, Role: a.RoleARN, ExternalID: a.ExternalID, Endpoint: a.Endpoint, Regions: a.Regions}
}
