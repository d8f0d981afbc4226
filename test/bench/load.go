package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// clients is how many clients send requests at once.
const clients = 16

// side is one server of a comparison, and how its requests look. The resources
// are numbered from 0.
type side struct {
	name, url, service string
	creds              aws.Credentials
	forgiven           bool                  // an answer that is an error counts as an answer
	failures           atomic.Int64          // how many of them there were
	stored             int                   // how many resources it has been given
	processes          func() ([]int, error) // the server's, and those it stores with
	create, get        func(n int) (*http.Request, []byte)
	change             func(n int) (*http.Request, []byte) // sets a tag
	list               func() (*http.Request, []byte)      // a page of 25
}

// kind is a sort of request. known is how many resources there were before the
// round.
type kind func(s *side, known int) (*http.Request, []byte)

func creates(s *side, _ int) (*http.Request, []byte) {
	s.stored++
	return s.create(s.stored - 1)
}

func gets(s *side, known int) (*http.Request, []byte)    { return s.get(rand.IntN(known)) }
func changes(s *side, known int) (*http.Request, []byte) { return s.change(rand.IntN(known)) }
func lists(s *side, _ int) (*http.Request, []byte)       { return s.list() }

// mixture is 70 % reads: 60 % of single resources and 10 % of pages; 20 % creates
// and 10 % changes.
func mixture(s *side, known int) (*http.Request, []byte) {
	switch n := rand.IntN(10); {
	case n < 6:
		return gets(s, known)
	case n < 7:
		return lists(s, known)
	case n < 9:
		return creates(s, known)
	}
	return changes(s, known)
}

// mixtureWithoutLists is the mixture with single resources in place of pages.
func mixtureWithoutLists(s *side, known int) (*http.Request, []byte) {
	switch n := rand.IntN(10); {
	case n < 7:
		return gets(s, known)
	case n < 9:
		return creates(s, known)
	}
	return changes(s, known)
}

// load is what one round of requests came to.
type load struct {
	rate     float64 // requests a second
	p50, p99 float64 // milliseconds
}

// round sends n requests from all clients together. They are made and signed
// before the clock runs: what is measured is the server, on processors that it
// shares with as little else as possible.
func (s *side) round(n int, of kind) (load, error) {
	requests := make([][]byte, n)
	known := s.stored
	for i := range requests {
		var err error
		if requests[i], err = s.prepare(of(s, known)); err != nil {
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
				switch _, err := conn.send(requests[i]); {
				case err == nil:
				case s.forgiven && errors.Is(err, errStatus):
					s.failures.Add(1)
				default:
					errs[c] = fmt.Errorf("%s: %w", s.name, err)
					return
				}
				took[i] = time.Since(at).Seconds() * 1000
			}
		})
	}
	wg.Wait()
	seconds := time.Since(start).Seconds()
	p50 := median(took) // sorts
	return load{rate: float64(n) / seconds, p50: p50, p99: took[n*99/100]}, errors.Join(errs...)
}

// fill creates resources until there are n.
func (s *side) fill(n int) error {
	for s.stored < n {
		if _, err := s.round(min(2000, n-s.stored), creates); err != nil {
			return err
		}
	}
	return nil
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

var errStatus = errors.New("answered")

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
		err = fmt.Errorf("%w %d: %.300s", errStatus, resp.StatusCode, answer)
	}
	return answer, err
}

func (c *connection) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
