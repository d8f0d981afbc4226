package server

import (
	apiec2 "github.com/goldsmith-build/goldsmith/api/ec2"
	apissm "github.com/goldsmith-build/goldsmith/api/ssm"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/cloud/parameter"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// openCloud puts together what accounts and regions have beside AMIs.
func (s *Server) openCloud(world *cloud.World) error {
	key, err := s.dir.Secret("parameters", parameter.KeySize)
	if err != nil {
		return err
	}
	seal, err := parameter.NewSeal(key)
	if err != nil {
		return err
	}
	s.params = parameter.New(s.store, world, seal, nil)
	return nil
}

// faces are the services of the cloud that clients look at outputs through.
func (s *Server) faces(world *cloud.World) []*shape.Service {
	return []*shape.Service{apiec2.Serve(world.EC2()), apissm.Serve(s.params.SSM())}
}
