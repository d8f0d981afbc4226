package server

import (
	"reflect"
	"slices"

	"github.com/goldsmith-build/goldsmith/internal/config"
)

// Reload takes the accounts and organisations of a configuration that was read
// again, with their keys, users, roles and policies, and the keys that disks are
// encrypted under: they hold for the next request. Everything else waits for the next start, and Reload logs what does.
// On an error nothing changes.
func (s *Server) Reload(cfg *config.Config) error {
	if cfg.Accounts[0].ID != s.config.Accounts[0].ID {
		s.log.Warn("the first account of the configuration has changed: the key of the data folder is now that account's", "account", cfg.Accounts[0].ID)
	}
	keys, err := keysOf(cfg, s.dir)
	if err != nil {
		return err
	}
	if err := s.who.replace(cfg); err != nil {
		return err
	}
	if err := s.disks.keys.Replace(keys); err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		s.log.Warn(w)
	}
	if waiting := changed(s.config, cfg); len(waiting) > 0 {
		s.log.Warn("these changes of the configuration wait for the next start", "members", waiting)
	}
	s.log.Info("accounts, permissions and keys were read again")
	return nil
}

// changed names the members that differ and that a running server does not take.
func changed(before, after *config.Config) []string {
	var names []string
	a, b := reflect.ValueOf(*before), reflect.ValueOf(*after)
	for i := range a.NumField() {
		name := a.Type().Field(i).Tag.Get("yaml")
		if slices.Contains([]string{"accounts", "organizations", "keys", "-"}, name) || reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			continue
		}
		names = append(names, name)
	}
	if !reflect.DeepEqual(provided(before), provided(after)) {
		names = append(names, "accounts.provider", "accounts.aws")
	}
	return names
}

// provided gives the accounts that a provider has, and how to get there.
func provided(c *config.Config) map[string]config.Access {
	all := map[string]config.Access{}
	for _, a := range c.Accounts {
		if a.Provider != "" {
			all[a.ID] = *a.AWS
		}
	}
	return all
}
