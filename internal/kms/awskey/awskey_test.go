package awskey_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/goldsmith-build/goldsmith/internal/kms/awskey"
	"github.com/goldsmith-build/goldsmith/internal/kms/kmstest"
)

// moto runs moto's server, which has a KMS, and gives its URL.
func moto(t *testing.T) string {
	t.Helper()
	python := os.Getenv("GOLDSMITH_PYTHON")
	if python == "" {
		t.Skip("GOLDSMITH_PYTHON is not set: no Python with moto (make test sets it)")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	var output bytes.Buffer
	cmd := exec.Command(python, "-m", "moto.server", "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	for range 600 {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("moto ended: %v\n%s", err, output.String())
		case <-time.After(100 * time.Millisecond):
		}
		if answer, err := http.Get(url + "/moto-api/"); err == nil {
			answer.Body.Close()
			return url
		}
	}
	t.Fatal("moto does not answer")
	return ""
}

func TestKeeper(t *testing.T) {
	t.Parallel()
	url := moto(t)
	admin := awskms.New(awskms.Options{Region: "eu-west-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "secret", "")})
	made, err := admin.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	arn := aws.ToString(made.KeyMetadata.Arn)
	k, err := awskey.New(t.Context(), awskey.Config{Key: arn, Region: "eu-west-1", Endpoint: url, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	kmstest.Keeper(t, k)

	none, err := awskey.New(t.Context(), awskey.Config{Key: "alias/none", Region: "eu-west-1", Endpoint: url, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := none.Wrap(t.Context(), "arn", []byte("data")); err == nil || !strings.Contains(err.Error(), "NotFoundException") {
		t.Errorf("a key that is not there: %v", err)
	}
}
