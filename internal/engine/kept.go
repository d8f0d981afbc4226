package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
}

const keptFile = "kept.json"

// write puts k into its folder.
func (k Kept) write() error {
	data, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(k.Dir, keptFile), append(data, '\n'), 0o600)
}

// stopped notes that nothing runs any more.
func (k Kept) stopped() error {
	k.Enter, k.PID = nil, 0
	return k.write()
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
