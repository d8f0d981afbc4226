package imagebuilder

import (
	"errors"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/engine"
	"github.com/goldsmith-build/goldsmith/internal/fault"
)

// planKeys puts the ARNs of keys in the place of the names that a recipe gives
// them, and refuses those that the account, or a target account, cannot use: a
// build should not run for an hour to find that out. What starts from an
// encrypted snapshot stays encrypted.
func (s *Service) planKeys(r request, volume *engine.Volume, inherited []cloud.BlockDevice, destinations []engine.Destination) error {
	for i := range volume.Devices {
		if s.world.Provider(r.Account, r.Region) != nil {
			break // the keys are the provider's, which says what it thinks of them
		}
		d := &volume.Devices[i]
		if !d.Encrypted {
			if i == 0 && encryptedRoot(d.DeviceName, inherited) {
				return fault.New(api.CodeClient, "The recipe asks for a volume for %s that is not encrypted, and the parent image's snapshot is: what is encrypted cannot become unencrypted.", d.DeviceName)
			}
			if d.KMSKeyID == "" {
				continue
			}
		}
		key, err := s.world.Key(r.Account, r.Region, d.KMSKeyID)
		if err != nil {
			return unusableKey(err, "The recipe's volume for "+d.DeviceName)
		}
		d.KMSKeyID, d.Encrypted = key, true
	}
	for _, d := range destinations {
		if d.KMSKeyID == "" {
			continue
		}
		for _, account := range append([]string{r.Account}, d.TargetAccounts...) {
			if s.world.Provider(account, d.Region) != nil {
				continue
			}
			if _, err := s.world.Key(account, d.Region, d.KMSKeyID); err != nil {
				return unusableKey(err, "The distribution configuration for "+d.Region+" and the account "+account)
			}
		}
	}
	return nil
}

func encryptedRoot(device string, inherited []cloud.BlockDevice) bool {
	for _, d := range inherited {
		if d.DeviceName == device && d.Encrypted && d.Manifest != "" {
			return true
		}
	}
	return false
}

// unusableKey says in whose place a key was named.
func unusableKey(err error, what string) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	return fault.New(api.CodeClient, "%s cannot be encrypted: %s", what, f.Message).Because(err)
}

// mayBuildOn refuses an AMI that is encrypted with a key that the account may not
// use.
func (s *Service) mayBuildOn(r request, a cloud.AMI) error {
	err := s.world.MayRead(r.Account, a)
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	return fault.New(api.CodeClient, "The parent image '%s' cannot be read: %s", a.ID, f.Message).Because(err)
}
