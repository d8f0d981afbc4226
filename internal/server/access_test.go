package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/goldsmith-build/goldsmith/internal/config"
)

const accounts = `
accounts:
  - id: "111111111111"
    keys: [{accessKeyId: AKIAADMIN00000000001, secretAccessKey: test-secret-of-admin}]
    users:
      - name: reader
        keys: [{accessKeyId: AKIAREADER0000000001, secretAccessKey: test-secret-of-reader}]
        managedPolicyArns: [arn:aws:iam::aws:policy/AWSImageBuilderReadOnlyAccess]
  - id: "222222222222"
    roles:
      - name: deploy
        trustPolicy: {document: {Version: 2012-10-17, Statement: {Effect: Allow, Principal: {AWS: "111111111111"}, Action: "sts:AssumeRole"}}}
        managedPolicyArns: [arn:aws:iam::aws:policy/AdministratorAccess]
`

// serveFile runs a server with a configuration file's text on a data folder.
func serveFile(t *testing.T, dir, text string, log *slog.Logger) (*Server, func()) {
	t.Helper()
	cfg := readText(t, dir, text)
	s, err := Start(t.Context(), Options{Config: cfg, Log: log, Toe: "/bin/true"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Wait(ctx) }()
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("stopping: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func readText(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir, cfg.Listen = filepath.Join(dir, "data"), "127.0.0.1:0"
	return cfg
}

// as gives clients with a long-lived or temporary key.
func as(s *Server, id, secret, token string) (*imagebuilder.Client, *sts.Client) {
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(s.URL), Credentials: credentials.NewStaticCredentialsProvider(id, secret, token), RetryMaxAttempts: 1}
	return imagebuilder.NewFromConfig(cfg), sts.NewFromConfig(cfg)
}

// journal keeps a log that is read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// One story through the SDK: a user assumes a role of another account, works
// with its session, the server restarts, and the session lives on until the
// role is gone from the configuration.
func TestSessionsThroughTheSDK(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log journal
	s, stop := serveFile(t, dir, accounts, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	ctx := t.Context()

	_, admin := as(s, "AKIAADMIN00000000001", "test-secret-of-admin", "")
	out, err := admin.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/deploy"), RoleSessionName: aws.String("story")})
	if err != nil {
		t.Fatal(err)
	}
	id, secret, token := *out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken
	work := func(s *Server) error {
		t.Helper()
		builder, tokens := as(s, id, secret, token)
		who, err := tokens.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return err
		}
		if *who.Account != "222222222222" || *who.Arn != "arn:aws:sts::222222222222:assumed-role/deploy/story" {
			t.Errorf("the session is %s of %s", *who.Arn, *who.Account)
		}
		_, err = builder.ListComponents(ctx, &imagebuilder.ListComponentsInput{})
		return err
	}
	if err := work(s); err != nil {
		t.Error(err)
	}

	reader, readerTokens := as(s, "AKIAREADER0000000001", "test-secret-of-reader", "")
	if _, err := reader.ListComponents(ctx, &imagebuilder.ListComponentsInput{}); err != nil {
		t.Errorf("a reader's list: %v", err)
	}
	_, err = reader.DeleteImagePipeline(ctx, &imagebuilder.DeleteImagePipelineInput{ImagePipelineArn: aws.String("arn:aws:imagebuilder:us-east-1:111111111111:image-pipeline/web")})
	const want = "User: arn:aws:iam::111111111111:user/reader is not authorized to perform: imagebuilder:DeleteImagePipeline on resource: arn:aws:imagebuilder:us-east-1:111111111111:image-pipeline/web because no identity-based policy allows the imagebuilder:DeleteImagePipeline action"
	if codeOf(err) != "AccessDeniedException" || !strings.Contains(err.Error(), want) {
		t.Errorf("a reader's deletion: %v", err)
	}
	if _, err := readerTokens.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/deploy"), RoleSessionName: aws.String("story")}); codeOf(err) != "AccessDenied" {
		t.Errorf("a reader's role: %v", err)
	}

	stop()
	s, _ = serveFile(t, dir, accounts, slog.New(slog.NewTextHandler(&log, nil)))
	if err := work(s); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	whole := token
	token = token[:len(token)-8] + "AAAAAAA="
	if err := work(s); codeOf(err) != "InvalidClientTokenId" {
		t.Errorf("with a tampered token: %v", err)
	}
	token = whole

	// Reloading: the role goes, a user comes.
	if err := s.Reload(readText(t, dir, strings.ReplaceAll(accounts, "name: deploy", "name: other"))); err != nil {
		t.Fatal(err)
	}
	if err := work(s); codeOf(err) != "InvalidClientTokenId" {
		t.Errorf("without the role: %v", err)
	}
	added := strings.ReplaceAll(accounts, "READER0000000001", "SECOND0000000001")
	if err := s.Reload(readText(t, dir, added+"region: eu-west-1\n")); err != nil {
		t.Fatal(err)
	}
	if err := work(s); err != nil {
		t.Errorf("with the role again: %v", err)
	}
	second, _ := as(s, "AKIASECOND0000000001", "test-secret-of-reader", "")
	if _, err := second.ListComponents(ctx, &imagebuilder.ListComponentsInput{}); err != nil {
		t.Errorf("a key that was added: %v", err)
	}
	if !strings.Contains(log.String(), "members=[region]") {
		t.Errorf("the log does not say what waits for a restart:\n%s", log.String())
	}
	for _, text := range []string{secret, token, "test-secret-of"} {
		if strings.Contains(log.String(), text) {
			t.Error("the log has a secret in it")
		}
	}
}

// A configuration that cannot be leaves the one before in force.
func TestABadReloadChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := serveFile(t, dir, accounts, slog.New(slog.DiscardHandler))
	key, err := s.dir.Key()
	if err != nil {
		t.Fatal(err)
	}
	// The key of the data folder is nobody else's.
	bad := readText(t, dir, strings.ReplaceAll(accounts, "AKIAREADER0000000001", key.AccessKeyID))
	if err := s.Reload(bad); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("reloading: %v", err)
	}
	reader, _ := as(s, "AKIAREADER0000000001", "test-secret-of-reader", "")
	if _, err := reader.ListComponents(t.Context(), &imagebuilder.ListComponentsInput{}); err != nil {
		t.Errorf("the key of before: %v", err)
	}
}
