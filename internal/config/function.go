package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"github.com/goldsmith-build/goldsmith/internal/identity"
)

// Function stands for a Lambda function or a state machine that workflows call:
// a program of the machine, or a web service.
type Function struct {
	Name    string          `yaml:"name"`    // an ARN, or the name in one, for any account and region
	Command []string        `yaml:"command"` // a program by its absolute path, and its arguments
	URL     string          `yaml:"url"`     // or where the input is posted to
	Secret  identity.Secret `yaml:"secret"`  // signs the requests
}

// functionName is that of Lambda and Step Functions, also within an ARN.
var functionName = regexp.MustCompile(`^(arn:[a-z-]+:(lambda|states):[a-z0-9-]+:[0-9]{12}:(function|stateMachine):)?[A-Za-z0-9_-]{1,80}$`)

func (c *Config) checkFunctions() error {
	seen := map[string]bool{}
	for i, f := range c.Functions {
		if err := f.check(); err != nil {
			return fmt.Errorf("functions[%d].%w", i, err)
		}
		if seen[f.Name] {
			return fmt.Errorf("functions[%d].name: %s is there twice", i, f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

func (f Function) check() error {
	switch {
	case !functionName.MatchString(f.Name):
		return fmt.Errorf("name: must be the ARN of a Lambda function or a state machine, or the name in one, not %q", f.Name)
	case (len(f.Command) == 0) == (f.URL == ""):
		return errors.New("command: there must be either a command or a url")
	case f.URL != "" && !isHTTP(f.URL):
		return errors.New("url: must be an http or https URL")
	case f.URL == "" && f.Secret != "":
		return errors.New("secret: is for a url; a command gets no requests that could be signed")
	case f.URL == "" && !filepath.IsAbs(f.Command[0]):
		return fmt.Errorf("command: the program must be given by its absolute path, not as %q", f.Command[0])
	}
	return nil
}
