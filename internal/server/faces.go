package server

import (
	"strings"

	apiec2 "github.com/goldsmith-build/goldsmith/api/ec2"
	apisns "github.com/goldsmith-build/goldsmith/api/sns"
	apissm "github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/delivery"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/cloud/topic"
	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/faultpoint"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// openCloud puts together what accounts and regions have beside AMIs.
func (s *Server) openCloud(cfg *config.Config, world *cloud.World) error {
	world.Keep(s.disks.keys, s.disks)
	key, err := s.dir.Secret("parameters", parameter.KeySize)
	if err != nil {
		return err
	}
	seal, err := parameter.NewSeal(key)
	if err != nil {
		return err
	}
	s.params = parameter.New(s.store, world, seal, faultpoint.Now)
	signs, err := s.dir.KeyFile("sns.pem", topic.NewKey)
	if err != nil {
		return err
	}
	signer, err := topic.NewSigner(signs)
	if err != nil {
		return err
	}
	s.outbox = delivery.New(delivery.Config{Store: s.store, Client: delivery.NewClient(cfg.Notifications.Allowed()), Log: s.log, Now: faultpoint.Now})
	s.topics = topic.New(topic.Config{Store: s.store, Outbox: s.outbox, Signer: signer, Now: faultpoint.Now})
	s.topics.ServeAt(func() string {
		if cfg.PublicURL != "" {
			return strings.TrimSuffix(cfg.PublicURL, "/")
		}
		return s.URL
	})
	s.openEvents(cfg)
	return nil
}

// deliveries is how many receivers are sent to at once: one that hangs takes one
// of these for 15 seconds at a time.
const deliveries = 64

// copies is how many AMIs are copied at once for CopyImage.
const copies = 4

// faces are the services of the cloud that clients look at outputs through.
func (s *Server) faces(world *cloud.World) []*shape.Service {
	return []*shape.Service{apiec2.Serve(s.exports.EC2(world.EC2())), apisns.Serve(s.topics.SNS()), apissm.Serve(s.params.SSM())}
}
