package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Model is a service model (service-2.json) as AWS publishes it.
type Model struct {
	Metadata   Metadata           `json:"metadata"`
	Operations Ordered[Operation] `json:"operations"`
	Shapes     Ordered[Shape]     `json:"shapes"`
}

// Metadata describes the service as a whole.
type Metadata struct {
	APIVersion      string `json:"apiVersion"`
	EndpointPrefix  string `json:"endpointPrefix"`
	Protocol        string `json:"protocol"`
	ServiceFullName string `json:"serviceFullName"`
	SigningName     string `json:"signingName"`
	TargetPrefix    string `json:"targetPrefix"`
	XMLNamespace    string `json:"xmlNamespace"`
}

// Operation is one operation.
type Operation struct {
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input  *Ref  `json:"input"`
	Output *Ref  `json:"output"`
	Errors []Ref `json:"errors"`
}

// Ref is a use of a shape, with the traits of the use.
type Ref struct {
	Shape           string          `json:"shape"`
	Location        string          `json:"location"`
	LocationName    string          `json:"locationName"`
	QueryName       string          `json:"queryName"`
	ResultWrapper   string          `json:"resultWrapper"`
	Flattened       bool            `json:"flattened"`
	Streaming       bool            `json:"streaming"`
	TimestampFormat string          `json:"timestampFormat"`
	XMLAttribute    bool            `json:"xmlAttribute"`
	JSONValue       bool            `json:"jsonvalue"`
	HostLabel       bool            `json:"hostLabel"`
	EventPayload    json.RawMessage `json:"eventpayload"`
}

// Shape is a type of the model.
type Shape struct {
	Type            string       `json:"type"`
	Members         Ordered[Ref] `json:"members"`
	Required        []string     `json:"required"`
	Member          *Ref         `json:"member"`
	Key             *Ref         `json:"key"`
	Value           *Ref         `json:"value"`
	Enum            []string     `json:"enum"`
	Pattern         string       `json:"pattern"`
	Min             *json.Number `json:"min"`
	Max             *json.Number `json:"max"`
	Flattened       bool         `json:"flattened"`
	Sensitive       bool         `json:"sensitive"`
	Exception       bool         `json:"exception"`
	Union           bool         `json:"union"`
	Document        bool         `json:"document"`
	EventStream     bool         `json:"eventstream"`
	Payload         string       `json:"payload"`
	TimestampFormat string       `json:"timestampFormat"`
	Error           struct {
		Code           string `json:"code"`
		HTTPStatusCode int    `json:"httpStatusCode"`
	} `json:"error"`
}

// Ordered is a JSON object that keeps the order of its members.
type Ordered[T any] struct {
	Names []string
	ByKey map[string]T
}

// UnmarshalJSON reads an object.
func (o *Ordered[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("not a JSON object: %w", errors.Join(err))
	}
	o.Names, o.ByKey = nil, map[string]T{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%v: %w", key, err)
		}
		o.Names = append(o.Names, key.(string))
		o.ByKey[key.(string)] = v
	}
	return nil
}

// Load reads a model file, or the same file with .gz behind its name.
func Load(name string) (*Model, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = readGzip(name + ".gz")
	}
	if err != nil {
		return nil, err
	}
	var m Model
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &m, nil
}

func readGzip(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return io.ReadAll(z)
}
