package action

import (
	"context"
	"crypto/md5"  //nolint:gosec // the language has it
	"crypto/sha1" //nolint:gosec // the language has it
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// downloadTries is how often a download is tried, and retryPause how long the
// first pause is; it doubles each time (user guide, WebDownload).
const downloadTries = 5

var retryPause = time.Second

func runWebDownload(ctx context.Context, h *Host, in Inputs) (Result, error) {
	var paths []string
	for i, e := range in.Entries {
		path, err := webDownload(ctx, h, e)
		if err != nil {
			if len(in.Entries) > 1 {
				err = fmt.Errorf("entry %d: %w", i, err)
			}
			return Result{Outputs: []Output{{"destination": strings.Join(paths, "\n")}}}, err
		}
		paths = append(paths, path)
	}
	return Result{Outputs: []Output{{"destination": strings.Join(paths, "\n")}}}, nil
}

func webDownload(ctx context.Context, h *Host, e Entry) (string, error) {
	source := e.String("source")
	if err := checkHTTP(source); err != nil {
		return "", fmt.Errorf("source %w", err)
	}
	sum, err := newChecksum(e)
	if err != nil {
		return "", err
	}
	target, err := downloadTarget(h, source, e.String("destination"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(target); err == nil {
		if !e.Bool("overwrite") {
			return "", fmt.Errorf("the file %s exists, and overwrite is false", target)
		}
		if sum.given() && sum.ofFile(target) == nil {
			h.logf("WebDownload: %s is there with the right checksum", target)
			return target, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return "", err
	}
	careless := e.Bool("ignoreCertificateErrors")
	got, err := downloadRetrying(ctx, h, h.HTTP(careless), source, target, sum)
	if err == nil && !sum.given() {
		h.fetched(Fetch{Action: "WebDownload", Source: source, SHA256: got, IgnoreCertificateErrors: careless})
	}
	return target, err
}

// downloadRetrying gets one file, again after failures that may pass, and gives
// its digest.
func downloadRetrying(ctx context.Context, h *Host, client *http.Client, source, target string, sum checksum) (string, error) {
	defer client.CloseIdleConnections()
	client.CheckRedirect = checkRedirect
	pause := retryPause
	for try := 1; ; try++ {
		h.logf("WebDownload: %s to %s", redact(source), target)
		digest, err := download(ctx, client, source, target, sum)
		if err == nil {
			return digest, nil
		}
		var again *retryError
		if try == downloadTries || !errors.As(err, &again) || ctx.Err() != nil {
			return "", fmt.Errorf("downloading %s: %w", redact(source), err)
		}
		h.logf("WebDownload: try %d of %d failed: %v", try, downloadTries, err)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// errRedirect is a redirection that is not followed, now or later.
var errRedirect = errors.New("the server redirects")

// checkRedirect follows a few redirections, and to nowhere but the web.
func checkRedirect(req *http.Request, via []*http.Request) error {
	const most = 10
	if len(via) >= most {
		return fmt.Errorf("%w more than %d times", errRedirect, most)
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return fmt.Errorf("%w to a %s URL; only http and https are followed", errRedirect, abbreviate(req.URL.Scheme))
	}
	return nil
}

// redact drops the user, password and query of a URL: they may be secrets.
func redact(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return "the source"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// downloadTarget takes the file's name from the URL if the destination is a
// folder, which it is if it says so by a separator at its end.
func downloadTarget(h *Host, source, destination string) (string, error) {
	if !strings.HasSuffix(destination, "/") && !strings.HasSuffix(destination, `\`) {
		return h.Path(destination), nil
	}
	u, err := url.Parse(source)
	if err != nil {
		return "", err
	}
	name := path.Base(u.Path)
	if name == "." || name == "/" || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return "", fmt.Errorf("the URL %s names no file to put into %s", redact(source), destination)
	}
	return filepath.Join(h.Path(strings.TrimRight(destination, `\`)), name), nil
}

// retryError is a failure that a later try may not have.
type retryError struct{ err error }

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// download gets one file once. It is written beside the target and put in its
// place when complete and verified, so that the target is never half a file. The
// digest is that of the checksum, or SHA-256 where none was given, in hex.
func download(ctx context.Context, client *http.Client, source, target string, sum checksum) (digest string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		var urlErr *url.Error
		if errors.As(err, &urlErr) {
			err = urlErr.Err // the URL may hold secrets
		}
		if errors.Is(err, errRedirect) {
			return "", err
		}
		return "", &retryError{err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("the server answered %q", resp.Status)
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
			return "", &retryError{err}
		}
		return "", err
	}
	part, err := os.CreateTemp(filepath.Dir(target), ".toe-download-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(part.Name())
	h := sum.new()
	if err := receive(part, h, resp.Body); err != nil {
		part.Close()
		return "", err
	}
	if err := errors.Join(keepMode(part, target), part.Close()); err != nil {
		return "", err
	}
	if err := sum.verify(h); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), os.Rename(part.Name(), target)
}

// receive tells a failure of the network, which may pass, from one of the
// disk, which will not.
func receive(file, h io.Writer, body io.Reader) error {
	var disk error
	w := writerFunc(func(p []byte) (int, error) {
		n, err := file.Write(p)
		disk = err
		return n, err
	})
	_, err := io.Copy(io.MultiWriter(w, h), body)
	if err != nil && disk == nil {
		return &retryError{err}
	}
	return err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// keepMode gives the new file the mode of the one it replaces, else the usual
// one.
func keepMode(part *os.File, target string) error {
	if info, err := os.Stat(target); err == nil && info.Mode().IsRegular() {
		return part.Chmod(info.Mode().Perm())
	}
	return part.Chmod(0o666 &^ umask())
}

// checksum is what a download must have, if both its inputs were given.
type checksum struct {
	want string
	algo string
}

func newChecksum(e Entry) (checksum, error) {
	c := checksum{want: e.String("checksum"), algo: e.String("algorithm")}
	if c.algo != "" && hashes[c.algo] == nil {
		return c, fmt.Errorf("algorithm must be MD5, SHA1, SHA256 or SHA512, not %q", abbreviate(c.algo))
	}
	return c, nil
}

var hashes = map[string]func() hash.Hash{"MD5": md5.New, "SHA1": sha1.New, "SHA256": sha256.New, "SHA512": sha512.New}

func (c checksum) given() bool { return c.want != "" && c.algo != "" }

func (c checksum) new() hash.Hash {
	if c.given() {
		return hashes[c.algo]()
	}
	return sha256.New()
}

func (c checksum) verify(h hash.Hash) error {
	if got := hex.EncodeToString(h.Sum(nil)); c.given() && !strings.EqualFold(got, strings.TrimSpace(c.want)) {
		return fmt.Errorf("the %s checksum is %s, not %s", c.algo, got, abbreviate(c.want))
	}
	return nil
}

func (c checksum) ofFile(path string) error {
	if err := requireFile(path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := c.new()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	return c.verify(h)
}
