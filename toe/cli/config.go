package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe"
	"github.com/goldsmith-build/goldsmith/toe/awscloud"
)

// config is the JSON file of --config. All but documents is optional.
type config struct {
	CWIgnoreFailures      bool             `json:"cwIgnoreFailures"`
	CWLogGroup            string           `json:"cwLogGroup"`
	CWLogRegion           string           `json:"cwLogRegion"`
	CWLogStream           string           `json:"cwLogStream"`
	DocumentS3BucketOwner string           `json:"documentS3BucketOwner"`
	Documents             []configDocument `json:"documents"`
	ExecutionID           string           `json:"executionId"`
	LogDirectory          string           `json:"logDirectory"`
	LogS3BucketName       string           `json:"logS3BucketName"`
	LogS3BucketOwner      string           `json:"logS3BucketOwner"`
	LogS3KeyPrefix        string           `json:"logS3KeyPrefix"`
	Parameters            []configValue    `json:"parameters"`
	Phases                string           `json:"phases"`
	StateDirectory        string           `json:"stateDirectory"`
	Trace                 bool             `json:"trace"`
}

type configDocument struct {
	Path       string        `json:"path"`
	Parameters []configValue `json:"parameters"`

	// ComponentArn is an extension: it stands for the document in logs, events
	// and failures.
	ComponentArn string `json:"componentArn"`
}

type configValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// readConfig reads a config file. Keys that it does not know are ignored, as
// the original does, but not in silence.
func readConfig(ctx context.Context, path string, stderr io.Writer) (*config, error) {
	b, err := readConfigText(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("reading the config file: %w", err)
	}
	c := &config{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("reading the config file %s: %s", path, describeJSON(b, err))
	}
	strict := json.NewDecoder(bytes.NewReader(b))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&config{}); err != nil {
		fmt.Fprintf(stderr, "toe: warning: the config file %s has an %s\n", path, strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(c.Documents) == 0 {
		return nil, fmt.Errorf("the config file %s has no documents", path)
	}
	for i, d := range c.Documents {
		if d.Path == "" {
			return nil, fmt.Errorf("the config file %s: documents[%d] has no path", path, i)
		}
	}
	return c, nil
}

func readConfigText(ctx context.Context, path string) ([]byte, error) {
	if strings.HasPrefix(path, "s3://") {
		return toe.Fetch(ctx, awscloud.New(), path, "")
	}
	return os.ReadFile(path)
}

// describeJSON adds the line to an error, and names fields as the file does.
func describeJSON(b []byte, err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("line %d: %v", bytes.Count(b[:min(int(syntax.Offset), len(b))], []byte("\n"))+1, err)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Sprintf("line %d: %s cannot be a %s", bytes.Count(b[:min(int(kind.Offset), len(b))], []byte("\n"))+1, kind.Field, kind.Value)
	}
	return err.Error()
}

func (c *config) sources() []toe.Source {
	sources := make([]toe.Source, len(c.Documents))
	for i, d := range c.Documents {
		sources[i] = toe.Source{Path: d.Path, ComponentArn: d.ComponentArn, Parameters: valueMap(d.Parameters)}
	}
	return sources
}

func (c *config) values() map[string]string { return valueMap(c.Parameters) }

func valueMap(list []configValue) map[string]string {
	m := make(map[string]string, len(list))
	for _, v := range list {
		m[v.Name] = v.Value
	}
	return m
}

// merge takes what the command line did not give from the config file.
func (f *runFlags) merge(c *config, changed func(string) bool) {
	for _, m := range []struct {
		flag string
		to   *string
		from string
	}{
		{"phases", &f.phases, c.Phases},
		{"execution-id", &f.executionID, c.ExecutionID},
		{"log-directory", &f.logDirectory, c.LogDirectory},
		{"state-directory", &f.stateDirectory, c.StateDirectory},
		{"log-s3-bucket-name", &f.remote.logBucket, c.LogS3BucketName},
		{"log-s3-bucket-owner", &f.remote.logBucketOwner, c.LogS3BucketOwner},
		{"log-s3-key-prefix", &f.remote.logPrefix, c.LogS3KeyPrefix},
		{"document-s3-bucket-owner", &f.remote.documentBucketOwner, c.DocumentS3BucketOwner},
		{"cw-log-group", &f.remote.cwGroup, c.CWLogGroup},
		{"cw-log-stream", &f.remote.cwStream, c.CWLogStream},
		{"cw-log-region", &f.remote.cwRegion, c.CWLogRegion},
	} {
		if !changed(m.flag) {
			*m.to = m.from
		}
	}
	if !changed("trace") {
		f.trace = c.Trace
	}
	if !changed("cw-ignore-failures") {
		f.remote.cwIgnoreFailures = c.CWIgnoreFailures
	}
}
