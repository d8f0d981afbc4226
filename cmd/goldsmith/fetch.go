package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/spf13/cobra"

	"github.com/goldsmith-build/goldsmith/internal/cloud/download"
	"github.com/goldsmith-build/goldsmith/internal/disk/format"
)

// remote is a server that disks are fetched from, as an AWS client sees it.
type remote struct {
	endpoint string
	region   string
	keys     aws.CredentialsProvider
}

// remoteOf finds the server: --endpoint-url or the settings of AWS clients
// (environment, shared files), or that of the data folder.
func remoteOf(cmd *cobra.Command) (remote, error) {
	given, _ := cmd.Flags().GetString("endpoint-url")
	region, _ := cmd.Flags().GetString("region")
	_, data, err := existingData(cmd)
	if err == nil && given == "" {
		endpoint, err := data.Endpoint()
		if err != nil {
			return remote{}, fmt.Errorf("%w (has a server been started on this data folder?)", err)
		}
		key, err := data.Key()
		if region == "" {
			region = "us-east-1"
		}
		return remote{endpoint, region, credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")}, err
	}
	loaded, err := awsconfig.LoadDefaultConfig(cmd.Context())
	if err != nil {
		return remote{}, fmt.Errorf("reading the settings of AWS clients: %w", err)
	}
	r := remote{endpoint: given, region: region, keys: loaded.Credentials}
	if r.endpoint == "" && loaded.BaseEndpoint != nil {
		r.endpoint = *loaded.BaseEndpoint
	}
	if r.region == "" {
		r.region = loaded.Region
	}
	switch {
	case r.endpoint == "":
		return r, usageError{errors.New("there is no data folder here, and no server is named: give --endpoint-url, or set AWS_ENDPOINT_URL")}
	case r.region == "":
		return r, usageError{errors.New("no region is named: give --region, or set AWS_REGION")}
	}
	return r, nil
}

// url is where a disk is.
func (r remote) url(ami string, as format.Format) string {
	return strings.TrimSuffix(r.endpoint, "/") + download.Path + url.PathEscape(ami) + "?format=" + string(as)
}

// noBody is the hash of an empty body.
var noBody = func() string {
	sum := sha256.Sum256(nil)
	return hex.EncodeToString(sum[:])
}()

// presign gives a URL that fetches a disk without further permission.
func (r remote) presign(ctx context.Context, ami string, as format.Format, life time.Duration) (string, error) {
	keys, err := r.keys.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("finding an access key: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(ami, as)+"&X-Amz-Expires="+strconv.Itoa(int(life.Seconds())), nil)
	if err != nil {
		return "", err
	}
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, keys, req, noBody, "ec2", r.region, time.Now())
	return signed, err
}

// The tries of a fetch whose connection breaks: each that brought something
// counts anew.
const (
	tries      = 5
	betweenTry = time.Second
)

// fetch brings a disk into the new file out. What a fetch that was cut short left
// in out.part is gone on with, if the disk is still the same.
func (r remote) fetch(ctx context.Context, ami string, as format.Format, out string) error {
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s is there already", out)
	}
	p := partial{name: out + ".part", tag: out + ".part.etag"}
	for left, wait := tries, betweenTry; ; left, wait = left-1, 2*wait {
		before := p.length()
		err := r.attempt(ctx, ami, as, p)
		if err == nil {
			if err := os.Rename(p.name, out); err != nil {
				return err
			}
			return os.Remove(p.tag)
		}
		if p.length() > before {
			left, wait = tries, betweenTry
		}
		var final refusedError
		if left <= 1 || ctx.Err() != nil || errors.As(err, &final) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// refusedError is an answer that another try does not change.
type refusedError struct{ text string }

func (e refusedError) Error() string { return e.text }

// partial is a file that is not whole yet, and beside it what disk it is of.
type partial struct{ name, tag string }

func (p partial) length() int64 {
	st, err := os.Stat(p.name)
	if err != nil {
		return 0
	}
	return st.Size()
}

// attempt fetches what is missing.
func (r remote) attempt(ctx context.Context, ami string, as format.Format, p partial) (err error) {
	keys, err := r.keys.Retrieve(ctx)
	if err != nil {
		return refusedError{"finding an access key: " + err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(ami, as), nil)
	if err != nil {
		return refusedError{err.Error()}
	}
	if err := v4.NewSigner().SignHTTP(ctx, keys, req, noBody, "ec2", r.region, time.Now()); err != nil {
		return refusedError{err.Error()}
	}
	at := p.length()
	if tag, err := os.ReadFile(p.tag); err == nil && at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
		req.Header.Set("If-Range", string(tag))
	} else {
		at = 0
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		at = 0
	case http.StatusRequestedRangeNotSatisfiable:
		if answer.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", at) {
			return nil // all of it was there
		}
		return errors.Join(fmt.Errorf("%s is longer than the disk: it is begun anew", p.name), os.Remove(p.tag))
	default:
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		err := fmt.Errorf("the server answers %s: %s", answer.Status, reason(text))
		if answer.StatusCode < 500 {
			return refusedError{err.Error()}
		}
		return err
	}
	return p.write(answer, at)
}

// reason is what an error of the server says, or what else came instead of one.
func reason(text []byte) string {
	var e struct {
		Code    string `xml:"Errors>Error>Code"`
		Message string `xml:"Errors>Error>Message"`
	}
	if xml.Unmarshal(text, &e) != nil || e.Code == "" {
		return string(bytes.TrimSpace(text))
	}
	return e.Code + ": " + e.Message
}

// write puts an answer's bytes into the file from a place on.
func (p partial) write(answer *http.Response, at int64) (err error) {
	f, err := os.OpenFile(p.name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return refusedError{err.Error()}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(at); err != nil {
		return refusedError{err.Error()}
	}
	if err := os.WriteFile(p.tag, []byte(answer.Header.Get("Etag")), 0o600); err != nil {
		return refusedError{err.Error()}
	}
	w := &holes{file: f, at: at}
	_, err = io.CopyBuffer(w, struct{ io.Reader }{answer.Body}, make([]byte, 1<<20))
	// What came counts, also behind zeros that were not written.
	if truncated := f.Truncate(w.at); truncated != nil {
		return refusedError{truncated.Error()}
	}
	if w.failed != nil {
		return refusedError{w.failed.Error()}
	}
	return err
}

// holes writes a file without its zeros.
type holes struct {
	file   *os.File
	at     int64
	failed error
}

var zeroPage [4096]byte

// Write implements io.Writer.
func (h *holes) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		// Up to the next page of the file, so that whole pages are left out.
		part := p[n:min(len(p), n+len(zeroPage)-int(h.at%int64(len(zeroPage))))]
		if !bytes.Equal(part, zeroPage[:len(part)]) {
			if _, err := h.file.WriteAt(part, h.at); err != nil {
				h.failed = err
				return n, err
			}
		}
		n, h.at = n+len(part), h.at+int64(len(part))
	}
	return len(p), nil
}

// imageURLCommand is 'goldsmith image url AMI'.
func imageURLCommand() *cobra.Command {
	var name string
	var life time.Duration
	cmd := &cobra.Command{
		Use:   "url AMI",
		Short: "Print a URL that fetches the disk of an AMI from its server, for a time",
		Long: "Print a URL that fetches the disk of an AMI from its server, for a time, without further permission:\n" +
			"curl -C - -o FILE URL goes on where it was cut off.",
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			as, err := format.Parse(name)
			if err != nil {
				return usageError{fmt.Errorf("--format: %w", err)}
			}
			if life < time.Second || life > 7*24*time.Hour {
				return usageError{fmt.Errorf("--expires %s: it is from 1s to 168h", life)}
			}
			r, err := remoteOf(cmd)
			if err != nil {
				return err
			}
			signed, err := r.presign(cmd.Context(), args[0], as, life)
			if err != nil {
				return err
			}
			return printResult(cmd, map[string]any{"url": signed}, signed)
		},
	}
	cmd.Flags().StringVar(&name, "format", "raw", "raw, qcow2, vmdk or vhd")
	cmd.Flags().DurationVar(&life, "expires", time.Hour, "how long the URL is good")
	remoteFlags(cmd)
	return cmd
}

// remoteFlags are those of commands that ask a server.
func remoteFlags(cmd *cobra.Command) {
	cmd.Flags().String("endpoint-url", "", "the server, if there is no data folder here (default: that of AWS clients' settings)")
	cmd.Flags().String("region", "", "the region of the AMI (default: that of AWS clients' settings, or us-east-1)")
}
