package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/goldsmith-build/goldsmith/internal/workflow"
)

// keyVersion goes into every key: states of another way to make them are others.
const keyVersion = 1

// CachedStep says of a component whether the state of the volume after it is
// there already.
type CachedStep struct {
	Key    string `json:"key,omitempty"` // of the state; "" if there can be none
	Cached bool   `json:"cached"`        // the component is not run: a kept state holds what it did
	Why    string `json:"why,omitempty"` // why its state is, or was, not kept
}

// stateKeys gives for each component of the build stage the key of the state
// after it (docs/decisions/0080). Each holds that of the component before it, so
// that behind a component without a key there is none either.
func (p *Plan) stateKeys(kind, executor string) []CachedStep {
	docs := p.documents(string(workflow.Build))
	keys := make([]CachedStep, len(docs))
	before := p.origin(kind, executor)
	why := ""
	for i, doc := range docs {
		if why == "" {
			if reason := uncacheable(&doc); reason != "" {
				why = reason
				keys[i].Why = reason
				continue
			}
		} else {
			keys[i].Why = "a component before it is not kept"
			continue
		}
		before = digestOf(struct {
			Before      string            `json:"before"`
			Document    string            `json:"document"`
			Parameters  []Parameter       `json:"parameters"`
			Phases      string            `json:"phases"`
			Environment map[string]string `json:"environment,omitempty"`
		}{before, digestText(doc.Data), doc.Parameters, strings.Join(phasesOf[string(workflow.Build)], ","), p.mentioned(&doc)})
		keys[i].Key = before
	}
	return keys
}

// origin is the digest of all that the first component finds. What does not
// matter to it is taken out of the plan, and the rest counts: a member that is
// new here makes other keys, which is slow and not wrong.
func (p *Plan) origin(kind, executor string) string {
	rest := *p
	rest.Image = Image{Account: p.Image.Account, Region: p.Image.Region}
	rest.Parent = Parent{Snapshot: p.Parent.Snapshot, Platform: p.Parent.Platform, Architecture: p.Parent.Architecture}
	rest.Components, rest.Workflows, rest.Destinations, rest.Omitted, rest.AMITags, rest.Given = nil, nil, nil, nil, nil, nil
	rest.Volume = Volume{SizeGiB: max(p.Volume.SizeGiB, p.Parent.SizeGiB)}
	if len(p.Volume.Devices) > 0 { // states are sealed under the key of the root volume
		root := p.Volume.Devices[0]
		rest.Volume.Devices = []BlockDevice{{Encrypted: root.Encrypted, KMSKeyID: root.KMSKeyID}}
	}
	rest.Tests, rest.Metadata, rest.Scan, rest.LogGroup, rest.Cache = false, false, false, "", false
	infra := &rest.Infrastructure
	infra.ARN, infra.TerminateOnFailure, infra.LogBucket, infra.LogPrefix, infra.TopicARN = "", false, "", "", ""
	return digestOf(struct {
		Version  int    `json:"version"`
		Kind     string `json:"kind"`
		Executor string `json:"executor"`
		Plan     Plan   `json:"plan"`
	}{keyVersion, kind, executor, rest})
}

// perBuild are the ways in which a document can speak of what is another thing
// in every build, and what to call them.
var perBuild = []struct {
	form *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`\bIMAGE_(BUILD_VERSION|BUILD_VERSION_ARN|WORKFLOW_EXECUTION_ID|STEP_EXECUTION_ID)\b`), "the number or the executions of the build"},
	{regexp.MustCompile(`context:(executionId|date|dateTime|uuid|hostname)\b`), "the time, a new UUID, the execution or the host's name"},
	{regexp.MustCompile(`aws:ssm:`), "SSM parameters, whose values may change"},
	{regexp.MustCompile(`aws:imds:|169\.254\.169\.254`), "instance metadata, whose values may change"},
	{regexp.MustCompile(`\bS3Upload\b`), "S3Upload, which is of use only when it runs"},
	{regexp.MustCompile(`(?s)\bExecuteDocument\b.*(s3://|arn:aws)`), "documents from elsewhere, which may change"},
}

// uncacheable says why the state after a component is not kept, or nothing.
func uncacheable(c *Component) string {
	for _, p := range perBuild {
		if p.form.MatchString(c.Data) {
			return "its document speaks of " + p.what
		}
	}
	return ""
}

// mentioned are the variables of the environment that a document names and that
// are not the same for all pipelines, with their values.
func (p *Plan) mentioned(c *Component) map[string]string {
	values := map[string]string{"IMAGE_PIPELINE_ARN": p.Image.Pipeline, "IMAGE_VERSION": p.Image.Version}
	for name := range values {
		if !strings.Contains(c.Data, name) {
			delete(values, name)
		}
	}
	return values
}

// digestOf is the SHA-256 of a value's JSON, hex.
func digestOf(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("engine: what makes a key is plain data and always marshals: " + err.Error())
	}
	return digestText(string(data))
}

func digestText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// fileDigest is the SHA-256 of a file, hex.
func fileDigest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading the executor: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading the executor: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
