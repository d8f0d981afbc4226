package action

import (
	"errors"
	"os"
)

type ownership struct{}

func lookupOwnership(owner, group string) (ownership, error) {
	if owner != "" || group != "" {
		return ownership{}, errors.New("owner and group cannot be set on Windows")
	}
	return ownership{}, nil
}

func (ownership) apply(string) error { return nil }

func (ownership) applyIn(*os.Root, string) error { return nil }

func lookupOwner(e Entry) (ownership, error) {
	return lookupOwnership(e.String("owner"), e.String("group"))
}
