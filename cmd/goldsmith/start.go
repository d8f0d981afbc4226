package main

import "github.com/spf13/cobra"

// startFlags say how a start of a pipeline is to differ from others: the API has
// no members for that, so that they travel as tags of the image.
type startFlags struct {
	noCache bool
}

// add adds the flags to a command.
func (f *startFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.noCache, "no-cache", false, "run every component, also those whose results were kept, and keep none")
}

// tags are those that say so.
func (f *startFlags) tags() (map[string]string, error) {
	cache := "on"
	if f.noCache {
		cache = "off"
	}
	return map[string]string{"goldsmith:cache": cache}, nil
}
