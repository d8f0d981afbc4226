package awscloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// call is one signed request with a JSON answer. Two operations are needed of
// two services whose generated clients would make half of the executor's size.
type call struct {
	service string // in the signature and the host name
	method  string
	path    string
	query   url.Values
	target  string // of the JSON protocol, "" for REST
	body    []byte

	endpoint string // "" for the service's own
	region   string // "" for the configured one
}

// maxAnswer is far more than any answer has: a component has at most 64 KiB.
const maxAnswer = 4 << 20

// callTries is how often a call is made that fails by the network or the
// server.
const callTries = 3

var callPause = 200 * time.Millisecond

// do makes the call and reads the answer into out, unless that is nil.
func (c call) do(ctx context.Context, cfg aws.Config, out any) error {
	if c.region == "" {
		c.region = cfg.Region
	}
	for try := 1; ; try++ {
		again, err := c.once(ctx, cfg, out)
		if err == nil || !again || try == callTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(callPause << try):
		}
	}
}

func (c call) once(ctx context.Context, cfg aws.Config, out any) (again bool, err error) {
	req, err := c.request(ctx, cfg)
	if err != nil {
		return false, err
	}
	client := cfg.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return true, err
	}
	if resp.StatusCode != http.StatusOK {
		err := answerError(resp, b)
		return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 || isCode(err, "ThrottlingException"), err
	}
	if out == nil {
		return false, nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return false, fmt.Errorf("the answer is not the expected JSON: %w", err)
	}
	return false, nil
}

// request makes a request with a fresh signature.
func (c call) request(ctx context.Context, cfg aws.Config) (*http.Request, error) {
	location := strings.TrimRight(c.base(cfg), "/") + c.path
	if len(c.query) > 0 {
		location += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, location, bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	if c.target != "" {
		req.Header.Set("X-Amz-Target", c.target)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	if cfg.Credentials == nil {
		return nil, errors.New("there are no AWS credentials")
	}
	credentials, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(c.body)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), c.service, c.region, time.Now()); err != nil {
		return nil, fmt.Errorf("signing the request: %w", err)
	}
	return req, nil
}

// base is the endpoint: the one given, that of the environment or shared
// configuration, or the service's own in the region.
func (c call) base(cfg aws.Config) string {
	for _, endpoint := range []string{c.endpoint, os.Getenv("AWS_ENDPOINT_URL_" + strings.ToUpper(c.service)), aws.ToString(cfg.BaseEndpoint)} {
		if endpoint != "" {
			return endpoint
		}
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(c.region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return "https://" + c.service + "." + c.region + "." + domain
}

// answerError reads the code and message of an AWS error, in either case of
// their names.
func answerError(resp *http.Response, b []byte) error {
	var body struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(b, &body) // an answer without JSON has its status
	code := body.Type
	if header := resp.Header.Get("X-Amzn-Errortype"); header != "" {
		code, _, _ = strings.Cut(header, ":")
	}
	if i := strings.LastIndexByte(code, '#'); i >= 0 {
		code = code[i+1:]
	}
	if code == "" {
		code = body.Code
	}
	if code == "" {
		code = resp.Status
	}
	if body.Message == "" {
		return errors.New(code)
	}
	return fmt.Errorf("%s: %s", code, body.Message)
}
