package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Config is api/apigen.json.
type Config struct {
	Botocore string          `json:"botocore"` // release that the models come from
	SHA256   string          `json:"sha256"`   // of its wheel; read by fetch-models.sh
	Services []ServiceConfig `json:"services"`
}

// ServiceConfig says what to generate of one service.
type ServiceConfig struct {
	Package    string   `json:"package"`    // Go package, and folder below the output folder
	Model      string   `json:"model"`      // "imagebuilder/2019-12-02", below the data folder
	Operations []string `json:"operations"` // ["*"] for all
	Internal   string   `json:"internal"`   // error code of an internal error
	Invalid    string   `json:"invalid"`    // error code of a broken constraint; "": the protocol's usual one
}

func main() {
	models := flag.String("model", "", "the `folder` with the service models (botocore/data)")
	config := flag.String("config", "api/apigen.json", "what to generate")
	out := flag.String("out", "api", "the `folder` to write packages to")
	verify := flag.Bool("verify", false, "write nothing; fail if the packages are not what would be written")
	flag.Parse()
	if *models == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*models, *config, *out, *verify); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(models, config, out string, verify bool) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	var c Config
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return fmt.Errorf("%s: %w", config, err)
	}
	for _, s := range c.Services {
		files, err := generate(models, s)
		if err != nil {
			return fmt.Errorf("generating %s: %w", s.Package, err)
		}
		put := write
		if verify {
			put = compare
		}
		if err := put(filepath.Join(out, s.Package), files); err != nil {
			return err
		}
	}
	return nil
}

func generate(models string, c ServiceConfig) (map[string][]byte, error) {
	m, err := Load(filepath.Join(models, c.Model, "service-2.json"))
	if err != nil {
		return nil, err
	}
	p, err := Resolve(m, c)
	if err != nil {
		return nil, err
	}
	return Emit(p)
}

// write replaces the generated files of a package and removes those that are
// no longer generated. Files without the generated mark are left alone.
func write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	stale, err := leftOver(dir, files)
	if err != nil {
		return err
	}
	for _, name := range stale {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare fails if write would change anything.
func compare(dir string, files map[string][]byte) error {
	changed, err := leftOver(dir, files)
	if err != nil {
		return err
	}
	for name, text := range files {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !bytes.Equal(have, text) {
			changed = append(changed, name)
		}
	}
	if len(changed) > 0 {
		slices.Sort(changed)
		return fmt.Errorf("%s is not current: %s", dir, strings.Join(changed, ", "))
	}
	return nil
}

// leftOver names the files that carry the generated mark and are not among
// files.
func leftOver(dir string, files map[string][]byte) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		if _, keep := files[name]; !keep && bytes.HasPrefix(text, []byte(generatedMark)) {
			names = append(names, name)
		}
	}
	return names, nil
}
