package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goldsmith-build/goldsmith/internal/store"
)

// Kept is what 'goldsmith shell' needs to know of an instance that was kept
// after a failure. It lies as kept.json in the instance's folder.
type Kept struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"` // "sandbox" or "vm"
	Image  string   `json:"image"`
	Dir    string   `json:"dir"`
	Volume string   `json:"volume,omitempty"` // "" for an overlay, which is gone with its VM
	Enter  []string `json:"enter,omitempty"`  // while it runs: the command line that enters it
	PID    int      `json:"pid,omitempty"`    // of the server that runs it

	// Shell is the program in the guest that begins a shell where the failed step
	// ran; none if no program of a step failed.
	Shell []string `json:"shell,omitempty"`
}

const keptFile = "kept.json"

// keptOf is what the ledger says of a kept instance: one that does not run.
func keptOf(row store.Instance) Kept {
	return Kept{ID: row.ID, Kind: row.Kind, Image: row.ImageARN, Dir: row.Dir, Volume: row.Volume}
}

// write puts k into its folder, whole or not at all.
func (k Kept) write() error {
	data, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(k.Dir, keptFile)
	if err := os.WriteFile(file+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// readKept reads the note of an instance's folder.
func readKept(dir string) (Kept, error) {
	var k Kept
	data, err := os.ReadFile(filepath.Join(dir, keptFile))
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(data, &k)
}

// FindKept finds the kept instance of an image in a data folder.
func FindKept(dataDir, imageARN string) (Kept, error) {
	entries, err := os.ReadDir(filepath.Join(dataDir, "instances"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Kept{}, fmt.Errorf("looking for kept instances: %w", err)
	}
	for _, entry := range entries {
		if k, err := readKept(filepath.Join(dataDir, "instances", entry.Name())); err == nil && k.Image == imageARN {
			return k, nil
		}
	}
	return Kept{}, fmt.Errorf("no instance of %s was kept (an infrastructure configuration with terminateInstanceOnFailure=false keeps it when the image fails)", imageARN)
}
