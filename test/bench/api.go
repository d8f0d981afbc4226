package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/goldsmith-build/goldsmith/internal/datadir"
)

// clients is how many clients send requests at once.
const clients = 16

// side is one server of the comparison: how a create and a get of its nth
// resource look.
type side struct {
	name, url, service string
	creds              aws.Credentials
	create, get        func(n int) (*http.Request, []byte)
	ids                []string // learned from creates
	mu                 sync.Mutex
	learn              func(s *side, body []byte)
}

// load is what one round of requests came to.
type load struct {
	rate float64 // requests a second
	p99  float64 // milliseconds
}

// api compares CreateComponent and GetComponent with the nearest calls of
// moto's server: ssm put-parameter and get-parameter.
func (b *bench) api() error {
	ours, stop, err := b.startGoldsmith()
	if err != nil {
		return err
	}
	defer stop()
	theirs, stopMoto, err := b.startMoto()
	if err != nil {
		return err
	}
	defer stopMoto()
	type row struct{ our, their []load }
	var created, got row
	next := 0
	for round := range b.runs + 1 {
		n, m := 3000, 300
		c1, err := ours.rounds(next, n, ours.create)
		if err != nil {
			return err
		}
		c2, err := theirs.rounds(next, m, theirs.create)
		if err != nil {
			return err
		}
		g1, err := ours.rounds(0, n, ours.get)
		if err != nil {
			return err
		}
		g2, err := theirs.rounds(0, m, theirs.get)
		if err != nil {
			return err
		}
		next += n
		if round == 0 {
			continue // warm-up
		}
		created.our, created.their = append(created.our, c1), append(created.their, c2)
		got.our, got.their = append(got.our, g1), append(got.their, g2)
	}
	fmt.Printf("\n## API: %d clients, medians of %d rounds (%d components stored at the end)\n\n", clients, b.runs, next)
	fmt.Println("| | requests/s | p99 ms | moto's nearest call | requests/s | p99 ms | ratio of requests/s |\n| --- | --- | --- | --- | --- | --- | --- |")
	for _, line := range []struct {
		name, other string
		r           row
	}{{"CreateComponent", "ssm put-parameter", created}, {"GetComponent", "ssm get-parameter", got}} {
		var r1, p1, r2, p2 []float64
		for i := range line.r.our {
			r1, p1 = append(r1, line.r.our[i].rate), append(p1, line.r.our[i].p99)
			r2, p2 = append(r2, line.r.their[i].rate), append(p2, line.r.their[i].p99)
		}
		pairs := ratios(r1, r2)
		fmt.Printf("| %s | %.0f | %.1f | %s | %.0f | %.1f | %.1f |\n", line.name, median(r1), median(p1), line.other, median(r2), median(p2), median(pairs))
	}
	return nil
}

// rounds sends n requests from all clients together. They are made and signed
// before the clock runs: what is measured is the server, on processors that it
// shares with as little else as possible.
func (s *side) rounds(first, n int, build func(int) (*http.Request, []byte)) (load, error) {
	requests := make([][]byte, n)
	for i := range requests {
		var err error
		if requests[i], err = s.prepare(build(first + i)); err != nil {
			return load{}, err
		}
	}
	var next atomic.Int64
	took := make([]float64, n)
	errs := make([]error, clients)
	var wg sync.WaitGroup
	start := time.Now()
	for c := range clients {
		wg.Go(func() {
			conn := &connection{addr: strings.TrimPrefix(s.url, "http://")}
			defer conn.close()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				at := time.Now()
				answer, err := conn.send(requests[i])
				if err != nil {
					errs[c] = fmt.Errorf("%s: %w", s.name, err)
					return
				}
				took[i] = time.Since(at).Seconds() * 1000
				if s.learn != nil {
					s.learn(s, answer)
				}
			}
		})
	}
	wg.Wait()
	seconds := time.Since(start).Seconds()
	median(took) // sorts
	return load{rate: float64(n) / seconds, p99: took[n*99/100]}, errors.Join(errs...)
}

var signer = v4.NewSigner()

// prepare signs a request and gives its bytes.
func (s *side) prepare(req *http.Request, body []byte) ([]byte, error) {
	sum := sha256.Sum256(body)
	if err := signer.SignHTTP(context.Background(), s.creds, req, hex.EncodeToString(sum[:]), s.service, "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	err := req.Write(&buf)
	return buf.Bytes(), err
}

// connection is a client's connection, made anew when the server closes it.
type connection struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

// send sends a request; any answer but 200 is an error.
func (c *connection) send(request []byte) ([]byte, error) {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			return nil, err
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
	}
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if resp.Close {
		c.close()
	}
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d: %.300s", resp.StatusCode, answer)
	}
	return answer, err
}

func (c *connection) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

const document = "name: small\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo hello\n"

// startGoldsmith starts a server and says how its requests look.
func (b *bench) startGoldsmith() (*side, func(), error) {
	dir := filepath.Join(b.tmp, "api-data")
	url, stop, err := b.serve(dir)
	if err != nil {
		return nil, nil, err
	}
	key, err := datadir.Dir(dir).Key()
	if err != nil {
		stop()
		return nil, nil, err
	}
	s := &side{name: "goldsmith", url: url, service: "imagebuilder", creds: aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}}
	s.create = func(n int) (*http.Request, []byte) {
		body, _ := json.Marshal(map[string]any{"name": fmt.Sprintf("component-%d", n), "semanticVersion": "1.0.0", "platform": "Linux", "data": document, "clientToken": fmt.Sprintf("token-%d", n)})
		return request(http.MethodPut, url+"/CreateComponent", body), body
	}
	s.get = func(int) (*http.Request, []byte) {
		s.mu.Lock()
		id := s.ids[rand.IntN(len(s.ids))]
		s.mu.Unlock()
		return request(http.MethodGet, url+"/GetComponent?componentBuildVersionArn="+escape(id), nil), nil
	}
	s.learn = func(s *side, body []byte) {
		var out struct {
			ARN string `json:"componentBuildVersionArn"`
		}
		if json.Unmarshal(body, &out) == nil && out.ARN != "" {
			s.mu.Lock()
			s.ids = append(s.ids, out.ARN)
			s.mu.Unlock()
		}
	}
	return s, stop, nil
}

func escape(s string) string { return url.QueryEscape(s) }

func request(method, url string, body []byte) *http.Request {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	check(err)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// serve starts goldsmith on a folder and waits until it is ready.
func (b *bench) serve(dir string) (url string, stop func(), err error) {
	file := filepath.Join(b.tmp, "goldsmith.yaml")
	if err := os.WriteFile(file, []byte("quotas: {components: -1}\n"), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.Command(filepath.Join(b.bin, "goldsmith"), "serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--config", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		cmd.Process.Signal(interrupt)
		cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		stop()
		return "", nil, fmt.Errorf("the server did not get ready: %q %v", line, err)
	}
	return url, stop, nil
}

// startMoto starts moto's server and says how its requests look.
func (b *bench) startMoto() (*side, func(), error) {
	port := freePort()
	cmd := exec.Command(filepath.Join(b.venv, "moto_server"), "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("starting moto's server (script/setup test installs it): %w", err)
	}
	stop := func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	url := "http://127.0.0.1:" + port
	for range 300 {
		if resp, err := http.Get(url + "/moto-api/"); err == nil {
			resp.Body.Close()
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	call := func(target string, in map[string]any) (*http.Request, []byte) {
		body, _ := json.Marshal(in)
		req := request(http.MethodPost, url+"/", body)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "AmazonSSM."+target)
		return req, body
	}
	s := &side{name: "moto", url: url, service: "ssm", creds: aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "not-a-secret"}}
	s.create = func(n int) (*http.Request, []byte) {
		return call("PutParameter", map[string]any{"Name": fmt.Sprintf("/component/%d", n), "Type": "String", "Value": document})
	}
	s.get = func(n int) (*http.Request, []byte) {
		return call("GetParameter", map[string]any{"Name": fmt.Sprintf("/component/%d", n%300)})
	}
	return s, stop, nil
}
