package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/config"
)

const (
	key      = "{accessKeyId: AKIA0000000000000000, secretAccessKey: 0123456789abcdef}"
	allowAll = "{Version: 2012-10-17, Statement: [{Effect: Allow, Action: '*', Resource: '*', Condition: {Bool: {'aws:SecureTransport': false}, NumericEquals: {'x:y': 1}}}]}"
	trustBob = "{document: {Version: '2012-10-17', Statement: {Effect: Allow, Principal: {AWS: '444455556666'}, Action: 'sts:AssumeRole'}}}"
)

// account is a configuration with one account that has members.
func account(members string) string { return "accounts: [{id: '111122223333', " + members + "}]" }

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text, err string // err: what the error must say, "" for none
	}{
		"postgres":            {"database: postgres://goldsmith@db.example/goldsmith?sslmode=verify-full", ""},
		"other base":          {"database: mysql://db", "database"},
		"empty":               {"", ""},
		"buckets":             {"s3: {endpoint: 'http://127.0.0.1:9000', accessKeyId: x, secretAccessKey: y}", ""},
		"amazon's buckets":    {"{s3: {region: eu-west-1}, objects: s3://blocks/of/ours}", ""},
		"bucket address":      {"s3: {endpoint: 'ftp://x'}", "s3.endpoint"},
		"bucket path":         {"s3: {endpoint: 'http://x/y'}", "s3.endpoint"},
		"half a bucket key":   {"s3: {endpoint: 'http://x', accessKeyId: x}", "s3.accessKeyId"},
		"key of no service":   {"s3: {accessKeyId: x, secretAccessKey: y}", "s3.endpoint"},
		"objects nowhere":     {"objects: s3://blocks", "objects"},
		"objects in a folder": {"{s3: {region: eu-west-1}, objects: /data}", "objects"},
		"region's store":      {"{s3: {region: eu-west-1}, regions: {eu-west-1: {objects: s3://eu}, eu-west-2: {objects: /srv/blocks}}}", ""},
		"region's service":    {"regions: {eu-west-1: {objects: s3://eu, s3: {endpoint: 'http://x', accessKeyId: a, secretAccessKey: b}}}", ""},
		"no region":           {"regions: {Europe: {objects: /srv}}", "regions"},
		"region's nowhere":    {"regions: {eu-west-1: {objects: s3://eu}}", "regions.eu-west-1.objects"},
		"region's relative":   {"regions: {eu-west-1: {objects: blocks}}", "regions.eu-west-1.objects"},
		"regions' same store": {"regions: {eu-west-1: {objects: /srv}, eu-west-2: {objects: /srv}}", "regions.eu-west-2.objects"},
		"key":                 {"keys: [{account: '111122223333', region: us-east-1, id: k, users: ['*']}]", ""},
		"key's region":        {"keys: [{account: '111122223333', region: here, id: k}]", "keys[0].region"},
		"key's account":       {"keys: [{account: '1', region: us-east-1, id: k}]", "keys[0].account"},
		"key's users":         {"keys: [{account: '111122223333', region: us-east-1, id: k, users: [bob]}]", "keys[0].users"},
		"key of AWS":          {"keys: [{account: '111122223333', region: us-east-1, id: k, aws: {endpoint: 'http://x'}}]", "keys[0].aws.key"},
		"key of Vault":        {"keys: [{account: '111122223333', region: us-east-1, id: k, vault: {address: 'https://v:8200', key: a, token: t}}]", ""},
		"key of Vault's path": {"keys: [{account: '111122223333', region: us-east-1, id: k, vault: {address: 'https://v:8200', key: '../a', token: t}}]", "keys[0].vault.key"},
		"two tokens":          {"keys: [{account: '111122223333', region: us-east-1, id: k, vault: {address: 'https://v:8200', key: a, token: t, tokenFile: /t}}]", "keys[0].vault.token"},
		"key in two places":   {"keys: [{account: '111122223333', region: us-east-1, id: k, aws: {key: a}, vault: {address: 'https://v', key: a, token: t}}]", "keys[0].aws"},
		"two accounts":        {"accounts: [{id: '111122223333'}, {id: '444455556666', keys: [{accessKeyId: AKIA0000000000000000, secretAccessKey: 0123456789abcdef}]}]", ""},
		"unknown field":       {"lisen: x", "lisen"},
		"short account":       {"accounts: [{id: '1'}]", "accounts[0].id"},
		"no account":          {"accounts: []", "accounts"},
		"twice":               {"accounts: [{id: '111122223333'}, {id: '111122223333'}]", "accounts[1].id"},
		"bad key":             {"accounts: [{id: '111122223333', keys: [{accessKeyId: a, secretAccessKey: 0123456789abcdef}]}]", "accounts[0].keys[0].accessKeyId"},
		"bad secret":          {"accounts: [{id: '111122223333', keys: [{accessKeyId: AKIA0000000000000000, secretAccessKey: x}]}]", "secretAccessKey"},
		"shared":              {"{database: 'postgres://db/goldsmith', shared: /srv/goldsmith}", ""},
		"shared alone":        {"shared: /srv/goldsmith", "shared"},
		"builds":              {"builds: 0", "builds"},
		"test instances":      {"testInstances: container", "testInstances"},
		"builds per account":  {"buildsPerAccount: -1", "buildsPerAccount"},
		"quotas":              {"quotas: {components: -1, imagePipelines: 500}", ""},
		"other quota":         {"quotas: {component: 1}", "component"},
		"user":                {account("users: [{name: ci, path: /build/, tags: {team: web}, keys: [" + key + "], policies: [{name: p, document: " + allowAll + "}]}]"), ""},
		"user by arns":        {account("users: [{name: ci, managedPolicyArns: [arn:aws:iam::aws:policy/AWSImageBuilderReadOnlyAccess, arn:aws:iam::111122223333:policy/own]}], policies: [{name: own, document: " + allowAll + "}]"), ""},
		"role":                {account("roles: [{name: r, trustPolicy: " + trustBob + ", maxSessionDuration: 7200}]"), ""},
		"policy as JSON text": {account(`users: [{name: ci, policies: [{name: p, document: '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'}]}]`), ""},
		"policy in a file":    {account("users: [{name: ci, policies: [{name: p, file: policy.json}]}]"), ""},
		"organisation":        {account("name: x") + "\norganizations: [{id: o-abcdefghij, root: r-ab12, units: [{id: ou-ab12-11111111, name: prod, accounts: ['111122223333']}]}]", ""},
		"no such file":        {account("users: [{name: ci, policies: [{name: p, file: none.json}]}]"), "accounts[0].users[0].policies[0]: file"},
		"bad file":            {account("users: [{name: ci, policies: [{name: p, file: config.yaml}]}]"), "accounts[0].users[0].policies[0]: config.yaml: it is not valid JSON"},
		"no document":         {account("users: [{name: ci, policies: [{name: p}]}]"), "needs one of document and file"},
		"bad policy":          {account("users: [{name: ci, policies: [{name: p, document: {Statement: [{Effect: Allow, Action: [x], Resource: '*'}]}}]}]"), `accounts[0].users[0].policies[0]: document: Statement[0]: Action: "x"`},
		"empty value":         {account("users: [{name: ci, policies: [{name: p, document: {Statement: }}]}]"), "a value is missing"},
		"deep document":       {account("users: [{name: ci, policies: [{name: p, document: {a: " + strings.Repeat("[", 30) + strings.Repeat("]", 30) + "}}]}]"), "too large"},
		"policy twice":        {account("policies: [{name: p, document: " + allowAll + "}, {name: p, document: " + allowAll + "}]"), "accounts[0].policies[1].name"},
		"unknown policy":      {account("users: [{name: ci, managedPolicyArns: ['arn:aws:iam::aws:policy/No']}]"), "accounts[0].users[0].managedPolicyArns[0]"},
		"user twice":          {account("users: [{name: ci}, {name: CI}]"), "two users"},
		"user and key":        {account("keys: [" + key + "], users: [{name: admin}]"), "accounts[0].users[0].name"},
		"key's user":          {account("users: [{name: ci, keys: [{accessKeyId: AKIA0000000000000000, secretAccessKey: 0123456789abcdef, user: x}]}]"), "accounts[0].users[0].keys[0].user"},
		"key of a session":    {account("keys: [{accessKeyId: ASIA0000000000000000, secretAccessKey: 0123456789abcdef}]"), "ASIA"},
		"key twice":           {account("keys: [" + key + "], users: [{name: ci, keys: [" + key + "]}]"), "AKIA0000000000000000 is there twice"},
		"bad webhook":         {"events: [{url: 'ftp://x/'}]", "events[0].url"},
		"bus":                 {"events: [{bus: 'arn:aws:events:us-east-1:111122223333:event-bus/default', source: ours}]", ""},
		"topic":               {"events: [{topic: 'arn:aws:sns:us-east-1:111122223333:t.fifo', aws: {profile: p, endpoint: 'http://127.0.0.1:5000'}}]", ""},
		"two receivers":       {"events: [{url: 'http://x/', topic: 'arn:aws:sns:us-east-1:111122223333:t'}]", "events[0].url, bus, topic"},
		"no receiver":         {"events: [{secret: x}]", "events[0].url, bus, topic"},
		"bad bus":             {"events: [{bus: default}]", "events[0].bus"},
		"bad topic":           {"events: [{topic: t}]", "events[0].topic"},
		"amazon's source":     {"events: [{bus: 'arn:aws:events:us-east-1:111122223333:event-bus/default', source: aws.x}]", "events[0].source"},
		"secret of a topic":   {"events: [{topic: 'arn:aws:sns:us-east-1:111122223333:t', secret: x}]", "events[0].secret"},
		"bad access":          {"events: [{topic: 'arn:aws:sns:us-east-1:111122223333:t', aws: {roleArn: x}}]", "events[0].aws.roleArn"},
		"bad network":         {"notifications: {allow: [10.0.0.1]}", "notifications.allow[0]"},
		"bad public url":      {"publicUrl: example.com", "publicUrl"},
		"bad name":            {account("users: [{name: a b}]"), "accounts[0].users[0].name"},
		"bad path":            {account("users: [{name: a, path: build}]"), "accounts[0].users[0].path"},
		"no trust":            {account("roles: [{name: r}]"), "accounts[0].roles[0].trustPolicy"},
		"long session":        {account("roles: [{name: r, trustPolicy: " + trustBob + ", maxSessionDuration: 43201}]"), "accounts[0].roles[0].maxSessionDuration"},
		"bad organisation":    {"organizations: [{id: o-1}]", "organizations[0].id"},
		"bad unit":            {"organizations: [{id: o-abcdefghij, units: [{id: x}]}]", "organizations[0].units[0].id"},
		"bad member":          {"organizations: [{id: o-abcdefghij, accounts: [x]}]", "organizations[0].accounts[0]"},
		"member twice":        {"organizations: [{id: o-abcdefghij, accounts: ['111122223333']}, {id: o-bbbbbbbbbb, accounts: ['111122223333']}]", "111122223333"},
		"account of AWS":      {account("provider: aws, aws: {profile: p, roleArn: 'arn:aws:iam::111122223333:role/path/r', externalId: 'a:b/c', endpoint: 'http://127.0.0.1:5000', regions: [us-east-1, us-gov-west-1]}"), ""},
		"AWS by default":      {account("provider: aws"), ""},
		"other provider":      {account("provider: azure"), "accounts[0].provider"},
		"AWS unsaid":          {account("aws: {profile: p}"), "accounts[0].provider"},
		"role of another":     {account("provider: aws, aws: {roleArn: 'arn:aws:iam::444455556666:role/r'}"), "accounts[0].aws.roleArn"},
		"no role ARN":         {account("provider: aws, aws: {roleArn: r}"), "accounts[0].aws.roleArn"},
		"external id alone":   {account("provider: aws, aws: {externalId: ab}"), "accounts[0].aws.externalId"},
		"bad AWS region":      {account("provider: aws, aws: {regions: [Frankfurt]}"), "accounts[0].aws.regions[0]"},
		"bad AWS endpoint":    {account("provider: aws, aws: {endpoint: x}"), "accounts[0].aws.endpoint"},
		"not yaml":            {"a: [", "reading the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "config.yaml")
			if err := os.WriteFile(filepath.Join(dir, "policy.json"), []byte(`{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Read(file)
			if tc.err == "" && err != nil {
				t.Fatal(err)
			}
			if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("got %v, want an error that says %q", err, tc.err)
			}
		})
	}
}

// A configuration that others may read gives its keys away.
func TestExposedSecretsAreToldOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text   string
		mode   os.FileMode
		warned bool
	}{
		{account("keys: [" + key + "]"), 0o644, true},
		{account("keys: [" + key + "]"), 0o600, false},
		{account("users: [{name: ci, keys: [" + key + "]}]"), 0o640, true},
		{account("name: x"), 0o644, false},
		{"database: postgres://goldsmith:secret@db/goldsmith", 0o644, true},
		{"database: postgres://goldsmith@db/goldsmith", 0o644, false},
		{"s3: {region: us-east-1, accessKeyId: AKIA, secretAccessKey: secret}", 0o644, true},
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(cfg.Warnings) > 0; got != c.warned {
			t.Errorf("%s with mode %o: warnings %q", c.text, c.mode, cfg.Warnings)
		}
	}
}

// Whatever prints or logs a configuration must not show its secrets.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef"
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(account("keys: ["+key+"]")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := cfg.Directory(access.AccessKey{})
	if err != nil {
		t.Fatal(err)
	}
	k, ok := d.Key("AKIA0000000000000000")
	if !ok || string(k.SecretAccessKey) != secret {
		t.Fatalf("the key is not there: %v", ok)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", cfg, "key", k, "secret", k.SecretAccessKey)
	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", cfg.Accounts, k, k, k.SecretAccessKey, k.SecretAccessKey), log.String(), string(encoded)} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret is shown: %s", text)
		}
	}
}

// The whole of what a configuration may say about accounts, as the principals
// that come of it.
func TestDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := account("users: [{name: ci, path: /build/, tags: {team: web}, keys: ["+key+"]}], roles: [{name: r, path: /x/, trustPolicy: "+trustBob+"}], policies: [{name: own, document: "+allowAll+"}]") +
		"\norganizations: [{id: o-abcdefghij, units: [{id: ou-ab12-11111111, accounts: ['111122223333']}]}]"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := cfg.Directory(access.AccessKey{ID: "AKIAOWN", Secret: "x"})
	if err != nil {
		t.Fatal(err)
	}
	own, _ := d.Key("AKIAOWN")
	ci, _ := d.Key("AKIA0000000000000000")
	if own.ARN != "arn:aws:iam::111122223333:user/admin" || ci.ARN != "arn:aws:iam::111122223333:user/build/ci" {
		t.Errorf("users %q and %q", own.ARN, ci.ARN)
	}
	admin, ok := own.Principal.(*access.Principal)
	user, ok2 := ci.Principal.(*access.Principal)
	if !ok || !ok2 || !admin.Unlimited() || user.Unlimited() || user.Tags["team"] != "web" || user.Place.Path != "o-abcdefghij/r-root/ou-ab12-11111111/" {
		t.Errorf("principals %+v and %+v", admin, user)
	}
	role, ok := d.Role("arn:aws:iam::111122223333:role/x/r")
	if !ok || role.MaxSession != time.Hour {
		t.Errorf("role %+v", role)
	}
	if _, ok := d.Managed("arn:aws:iam::111122223333:policy/own"); !ok {
		t.Error("the managed policy is not there")
	}
}

// The manual's example is the whole of what there is to say, and true.
func TestTheManualHasEveryMember(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(manual), "```yaml\n")
	text, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("there is no example")
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Read(file); err != nil {
		t.Errorf("the example: %v", err)
	}
	var walk func(reflect.Type)
	seen := map[reflect.Type]bool{}
	walk = func(typ reflect.Type) {
		if typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			name := typ.Field(i).Tag.Get("yaml")
			if name == "" || name == "-" {
				continue
			}
			if !strings.Contains(text, name+":") && !strings.Contains(string(manual), "`"+name+"`") {
				t.Errorf("the manual does not speak of %s.%s", typ.Name(), name)
			}
			walk(typ.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[config.Config]())
}
