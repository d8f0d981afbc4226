package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/goldsmith-build/goldsmith/internal/config"
	"github.com/goldsmith-build/goldsmith/internal/datadir"
	"github.com/goldsmith-build/goldsmith/internal/store/pgserver"
)

const document = "name: small\nschemaVersion: 1.0\nphases:\n  - name: build\n    steps:\n      - name: Hello\n        action: ExecuteBash\n        inputs:\n          commands:\n            - echo hello\n"

// goldsmithSide starts a server, on SQLite or on a database server, and says how
// its requests look.
func (b *bench) goldsmithSide(name string, database *pgserver.Server) (*side, func(), error) {
	address := ""
	if database != nil {
		var err error
		if address, err = database.Database(); err != nil {
			return nil, nil, err
		}
	}
	return b.goldsmithOn(name, database, address, filepath.Join(b.tmp, "api-"+strings.ToLower(name)))
}

// goldsmithOn is goldsmithSide on a data folder, and a database of the server if
// address is not "".
func (b *bench) goldsmithOn(name string, database *pgserver.Server, address, dir string) (*side, func(), error) {
	settings := "quotas: {components: -1}\n"
	if address != "" {
		settings += fmt.Sprintf("database: %q\n", address)
	}
	url, pid, stop, err := b.serve(dir, settings)
	if err != nil {
		return nil, nil, err
	}
	key, err := datadir.Dir(dir).Key()
	if err != nil {
		stop()
		return nil, nil, err
	}
	s := &side{name: name, url: url, service: "imagebuilder", creds: aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}}
	s.processes = func() ([]int, error) {
		if database == nil {
			return []int{pid}, nil
		}
		pids, err := database.Processes()
		return append(pids, pid), err
	}
	arn := func(n int) string {
		return fmt.Sprintf("arn:aws:imagebuilder:us-east-1:%s:component/component-%d/1.0.0/1", config.DefaultAccount, n)
	}
	s.create = func(n int) (*http.Request, []byte) {
		return send(http.MethodPut, url+"/CreateComponent", map[string]any{
			"name": fmt.Sprintf("component-%d", n), "semanticVersion": "1.0.0", "platform": "Linux", "data": document, "clientToken": fmt.Sprintf("token-%d", n),
		})
	}
	s.get = func(n int) (*http.Request, []byte) {
		return request(http.MethodGet, url+"/GetComponent?componentBuildVersionArn="+escape(arn(n)), nil), nil
	}
	s.change = func(n int) (*http.Request, []byte) {
		return send(http.MethodPost, url+"/tags/"+escape(arn(n)), map[string]any{"tags": map[string]string{"stage": "test"}})
	}
	s.list = func() (*http.Request, []byte) { return page(url, "") }
	return s, stop, nil
}

// page is a ListComponents of 25, from a place.
func page(url, token string) (*http.Request, []byte) {
	in := map[string]any{"maxResults": 25}
	if token != "" {
		in["nextToken"] = token
	}
	return send(http.MethodPost, url+"/ListComponents", in)
}

func escape(s string) string { return url.QueryEscape(s) }

func send(method, url string, in map[string]any) (*http.Request, []byte) {
	body, err := json.Marshal(in)
	check(err)
	return request(method, url, body), body
}

func request(method, url string, body []byte) *http.Request {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	check(err)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// serve starts goldsmith on a folder and waits until it is ready.
func (b *bench) serve(dir, settings string) (url string, pid int, stop func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", 0, nil, err
	}
	file := filepath.Join(dir, "goldsmith.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		return "", 0, nil, err
	}
	cmd := exec.Command(filepath.Join(b.bin, "goldsmith"), "serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--config", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", 0, nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", 0, nil, err
	}
	stop = func() {
		cmd.Process.Signal(interrupt)
		cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		stop()
		return "", 0, nil, fmt.Errorf("the server did not get ready: %q %v", line, err)
	}
	return url, cmd.Process.Pid, stop, nil
}

// motoSide starts moto's server and says how the nearest requests look there:
// parameters of SSM.
func (b *bench) motoSide() (*side, func(), error) {
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
		req, body := send(http.MethodPost, url+"/", in)
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "AmazonSSM."+target)
		return req, body
	}
	s := &side{name: "moto", forgiven: true, url: url, service: "ssm", creds: aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "not-a-secret"}}
	s.processes = func() ([]int, error) { return []int{cmd.Process.Pid}, nil }
	name := func(n int) string { return fmt.Sprintf("/component/%d", n) }
	s.create = func(n int) (*http.Request, []byte) {
		return call("PutParameter", map[string]any{"Name": name(n), "Type": "String", "Value": document})
	}
	s.get = func(n int) (*http.Request, []byte) { return call("GetParameter", map[string]any{"Name": name(n)}) }
	s.change = func(n int) (*http.Request, []byte) {
		return call("AddTagsToResource", map[string]any{"ResourceType": "Parameter", "ResourceId": name(n), "Tags": []map[string]string{{"Key": "stage", "Value": "test"}}})
	}
	s.list = func() (*http.Request, []byte) { return call("DescribeParameters", map[string]any{"MaxResults": 25}) }
	return s, stop, nil
}
