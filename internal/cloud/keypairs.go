package cloud

import (
	"context"
	"slices"

	"github.com/goldsmith-build/goldsmith/api/ec2"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

// ImportKeyPair keeps a public key under a name.
func (f face) ImportKeyPair(ctx context.Context, in *ec2.ImportKeyPairInput) (*ec2.ImportKeyPairOutput, error) {
	name := text(in.KeyName)
	ascii := !slices.ContainsFunc([]rune(name), func(r rune) bool { return r < ' ' || r > '~' })
	if name == "" || len(name) > 255 || !ascii {
		return nil, fault.New("InvalidParameterValue", "Value (%.300s) for parameter keyName is invalid. A name of up to 255 ASCII characters is expected.", name)
	}
	kind, fingerprint, line, err := readPublicKey(in.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	tags, err := specifiedTags(in.TagSpecifications, "key-pair")
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	k := KeyPair{Account: caller.Account, Region: caller.Region, Name: name, Type: kind, Fingerprint: fingerprint, Key: line, Tags: tags}
	err = f.world.store.Write(ctx, func(tx *store.Tx) (err error) {
		if k, err = f.world.addKeyPair(tx, k); err != nil {
			return err
		}
		return refuseDryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return &ec2.ImportKeyPairOutput{KeyPairId: &k.ID, KeyName: &k.Name, KeyFingerprint: &k.Fingerprint, Tags: describeTags(k.Tags)}, nil
}

var keyPairAttributes = attributes[KeyPair]{
	"fingerprint": func(k KeyPair) []string { return []string{k.Fingerprint} },
	"key-name":    func(k KeyPair) []string { return []string{k.Name} },
	"key-pair-id": func(k KeyPair) []string { return []string{k.ID} },
}

// DescribeKeyPairs lists key pairs; the keys themselves only if they are asked
// for.
func (f face) DescribeKeyPairs(ctx context.Context, in *ec2.DescribeKeyPairsInput) (*ec2.DescribeKeyPairsOutput, error) {
	if err := refuseDryRun(in.DryRun); err != nil {
		return nil, err
	}
	filters, err := keyPairAttributes.compile(in.Filters, func(k KeyPair) map[string]string { return k.Tags })
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	out := &ec2.DescribeKeyPairsOutput{KeyPairs: []ec2.KeyPairInfo{}}
	err = f.world.store.Read(ctx, func(tx *store.Tx) error {
		for _, name := range in.KeyNames {
			if _, err := f.world.KeyPair(tx, caller.Account, caller.Region, name); err != nil {
				return err
			}
		}
		for _, id := range in.KeyPairIds {
			if _, err := f.world.keyPairByID(tx, caller.Account, caller.Region, id); err != nil {
				return err
			}
		}
		all := len(in.KeyNames)+len(in.KeyPairIds) == 0
		return f.world.eachKeyPair(tx, caller, func(k KeyPair) error {
			if (all || slices.Contains(in.KeyNames, k.Name) || slices.Contains(in.KeyPairIds, k.ID)) && pass(filters, k) {
				out.KeyPairs = append(out.KeyPairs, describeKeyPair(k, in.IncludePublicKey != nil && *in.IncludePublicKey))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func describeKeyPair(k KeyPair, withKey bool) ec2.KeyPairInfo {
	info := ec2.KeyPairInfo{KeyPairId: &k.ID, KeyName: &k.Name, KeyFingerprint: &k.Fingerprint, KeyType: ptr(ec2.KeyType(k.Type)), CreateTime: shape.At(k.Created), Tags: describeTags(k.Tags)}
	if withKey {
		info.PublicKey = ptr(k.Key + " " + k.Name)
	}
	return info
}

// DeleteKeyPair deletes a key pair. As at EC2, one that there is not is no error
// and has no ID in the answer.
func (f face) DeleteKeyPair(ctx context.Context, in *ec2.DeleteKeyPairInput) (*ec2.DeleteKeyPairOutput, error) {
	if (in.KeyName == nil) == (in.KeyPairId == nil) {
		return nil, fault.New("MissingParameter", "The request must contain either the parameter KeyName or the parameter KeyPairId, and not both")
	}
	caller := identity.From(ctx)
	out := &ec2.DeleteKeyPairOutput{Return: ptr(true)}
	err := f.world.store.Write(ctx, func(tx *store.Tx) (err error) {
		var k KeyPair
		if in.KeyName != nil {
			k, err = f.world.KeyPair(tx, caller.Account, caller.Region, *in.KeyName)
		} else {
			k, err = f.world.keyPairByID(tx, caller.Account, caller.Region, *in.KeyPairId)
		}
		if err == nil {
			out.KeyPairId = &k.ID
			err = tx.Delete(keyPairARN(k.Account, k.Region, k.ID))
		}
		if err != nil && fault.Code(err) != "InvalidKeyPair.NotFound" {
			return err
		}
		return refuseDryRun(in.DryRun)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
