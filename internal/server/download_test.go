package server

import (
	"bytes"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
	"github.com/goldsmith-build/goldsmith/internal/wire/wiretest"
)

const downloaders = `
accounts:
  - id: "111111111111"
    keys: [{accessKeyId: AKIAOWNER00000000001, secretAccessKey: test-secret-of-owner}]
    users:
      - name: nobody
        keys: [{accessKeyId: AKIANOBODY0000000001, secretAccessKey: test-secret-of-nobody}]
        managedPolicyArns: [arn:aws:iam::aws:policy/AWSImageBuilderReadOnlyAccess]
  - id: "222222222222"
    keys: [{accessKeyId: AKIAFRIEND0000000001, secretAccessKey: test-secret-of-friend}]
  - id: "333333333333"
    keys: [{accessKeyId: AKIASTRANGER00000001, secretAccessKey: test-secret-of-stranger}]
`

var (
	owner    = aws.Credentials{AccessKeyID: "AKIAOWNER00000000001", SecretAccessKey: "test-secret-of-owner"}
	nobody   = aws.Credentials{AccessKeyID: "AKIANOBODY0000000001", SecretAccessKey: "test-secret-of-nobody"}
	friend   = aws.Credentials{AccessKeyID: "AKIAFRIEND0000000001", SecretAccessKey: "test-secret-of-friend"}
	stranger = aws.Credentials{AccessKeyID: "AKIASTRANGER00000001", SecretAccessKey: "test-secret-of-stranger"}
)

const testAMI = "ami-0123456789abcdef0"

// serveDisk runs a server with one AMI, which friend may launch, and gives its
// disk.
func serveDisk(t *testing.T) (*Server, []byte) {
	t.Helper()
	dir := t.TempDir()
	s, _ := serveFile(t, dir, downloaders, slog.New(slog.DiscardHandler))
	content := make([]byte, 40<<20)
	noise := rand.NewChaCha8([32]byte{3})
	noise.Read(content[:3<<20])
	noise.Read(content[33<<20 : 34<<20])
	raw := filepath.Join(dir, "raw")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	made, err := s.disks.Store.Snapshot(t.Context(), raw, "")
	if err != nil {
		t.Fatal(err)
	}
	err = s.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := cloud.New(s.store, nil).Register(tx, cloud.AMI{
			ID: testAMI, Account: "111111111111", Region: "eu-west-1", Name: "the disk", RootDevice: "/dev/xvda", Permissions: cloud.Permissions{UserIDs: []string{"222222222222"}},
			Devices: []cloud.BlockDevice{{DeviceName: "/dev/xvda", Manifest: made.ID, SizeGiB: 1}},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, content
}

// get asks for a disk with a signed request.
func get(t *testing.T, method, url string, who aws.Credentials, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), who, r, wiretest.Hash(nil), "ec2", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s: after %d bytes: %v", url, len(body), err)
	}
	return answer, body
}

// TestDownloads asks for whole disks and for ranges of them, in every format.
func TestDownloads(t *testing.T) {
	t.Parallel()
	s, content := serveDisk(t)
	dir := t.TempDir()
	raw := filepath.Join(dir, "raw")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for format, driver := range map[string]string{"raw": "raw", "qcow2": "qcow2", "vhd": "vpc", "vmdk": "vmdk"} {
		url := s.URL + "/images/" + testAMI + "?format=" + format
		head, none := get(t, http.MethodHead, url, owner, nil)
		whole, body := get(t, http.MethodGet, url, owner, nil)
		tag := whole.Header.Get("Etag")
		if head.StatusCode != 200 || len(none) != 0 || head.ContentLength != int64(len(body)) || whole.StatusCode != 200 || head.Header.Get("Etag") != tag || !strings.HasPrefix(tag, `"`) || whole.Header.Get("Accept-Ranges") != "bytes" {
			t.Fatalf("%s: HEAD %s with %d bytes of %d, GET %s; tags %s and %s", format, head.Status, len(none), head.ContentLength, whole.Status, head.Header.Get("Etag"), tag)
		}
		file := filepath.Join(dir, "disk."+format)
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath("qemu-img"); err == nil {
			if out, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", driver, raw, file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", format, err, out)
			}
		}
		size := len(body)
		for _, tc := range []struct {
			rng, ifRange string
			from, to     int
			status       int
		}{
			{"bytes=0-0", "", 0, 1, 206},
			{"bytes=1000000-2000000", "", 1000000, 2000001, 206},
			{"bytes=" + strconv.Itoa(size-700000) + "-", tag, size - 700000, size, 206},
			{"bytes=-512", "", size - 512, size, 206},
			{"bytes=5-9", `"another"`, 0, size, 200},
			{"bytes=5-9", "W/" + tag, 0, size, 200},
			{"lines=5-9", "", 0, size, 416},
			{"bytes=" + strconv.Itoa(size) + "-", "", 0, 0, 416},
		} {
			header := map[string]string{"Range": tc.rng}
			if tc.ifRange != "" {
				header["If-Range"] = tc.ifRange
			}
			answer, got := get(t, http.MethodGet, url, owner, header)
			if answer.StatusCode != tc.status || tc.status != 416 && !bytes.Equal(got, body[tc.from:tc.to]) {
				t.Errorf("%s, Range: %s, If-Range: %s: %s, %d bytes", format, tc.rng, tc.ifRange, answer.Status, len(got))
			}
		}
		if answer, _ := get(t, http.MethodGet, url, owner, map[string]string{"If-None-Match": tag}); answer.StatusCode != http.StatusNotModified {
			t.Errorf("%s, If-None-Match: %s", format, answer.Status)
		}
	}
}

// TestWhoMayDownload: the owner and whom the launch permission names; to a
// stranger an AMI is as one that is not there.
func TestWhoMayDownload(t *testing.T) {
	t.Parallel()
	s, _ := serveDisk(t)
	disk, missing := s.URL+"/images/"+testAMI+"?format=raw", s.URL+"/images/ami-0123456789abcdef1?format=raw"
	if answer, _ := get(t, http.MethodGet, disk, friend, map[string]string{"Range": "bytes=0-9"}); answer.StatusCode != http.StatusPartialContent {
		t.Errorf("whom the launch permission names: %s", answer.Status)
	}
	hidden, one := get(t, http.MethodGet, disk, stranger, nil)
	gone, other := get(t, http.MethodGet, missing, stranger, nil)
	same := func(b []byte, id string, r *http.Response) string {
		text := strings.ReplaceAll(string(b), id, "AMI")
		return strings.ReplaceAll(text, r.Header.Get("X-Amzn-Requestid"), "ID")
	}
	if hidden.StatusCode != http.StatusNotFound || gone.StatusCode != http.StatusNotFound || same(one, testAMI, hidden) != same(other, "ami-0123456789abcdef1", gone) {
		t.Errorf("a stranger learns that there is an AMI: %s %s; %s %s", hidden.Status, one, gone.Status, other)
	}
	for _, url := range []string{disk, missing} {
		if answer, body := get(t, http.MethodGet, url, nobody, nil); answer.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "ec2:ExportImage") {
			t.Errorf("without the permission: %s %s", answer.Status, body)
		}
	}
	for path, want := range map[string]int{
		"/images/" + testAMI: 400, "/images/" + testAMI + "?format=iso": 400, "/images/?format=raw": 400, "/images/../credentials?format=raw": 400,
		"/images/" + testAMI + "/x?format=raw": 400, "/images/%2e%2e%2fcredentials?format=raw": 400,
	} {
		if answer, body := get(t, http.MethodGet, s.URL+path, owner, nil); answer.StatusCode != want {
			t.Errorf("%s: %s %s", path, answer.Status, body)
		}
	}
	if answer, _ := get(t, http.MethodDelete, disk, owner, nil); answer.StatusCode != 400 {
		t.Errorf("DELETE: %s", answer.Status)
	}
	answer, err := http.Get(disk)
	if err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a signature: %v, %v", answer, err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, disk, nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), owner, r, wiretest.Hash(nil), "imagebuilder", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(r); err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("signed for another service: %v, %v", answer, err)
	}
}

// TestCurlGoesOn fetches a presigned URL with curl, in two parts.
func TestCurlGoesOn(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed: nothing to fetch with")
	}
	s, content := serveDisk(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/images/"+testAMI+"?format=raw&X-Amz-Expires=600", nil)
	if err != nil {
		t.Fatal(err)
	}
	url, _, err := v4.NewSigner().PresignHTTP(t.Context(), friend, r, wiretest.Hash(nil), "ec2", "eu-west-1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, content[:1234567], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), curl, "-sS", "--fail", "--noproxy", "*", "-C", "-", "-o", file, url).CombinedOutput(); err != nil {
		t.Fatalf("curl: %v: %s", err, out)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, content) {
		t.Errorf("curl has %d other bytes, %v", len(got), err)
	}
	if answer, err := http.Get(strings.Replace(url, "format=raw", "format=qcow2", 1)); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a presigned URL with another format: %v, %v", answer, err)
	}
}

// TestADamagedDiskEndsTheAnswer: what cannot be read whole must not look whole.
func TestADamagedDiskEndsTheAnswer(t *testing.T) {
	t.Parallel()
	s, _ := serveDisk(t)
	damaged := 0
	err := filepath.WalkDir(s.dir.Objects(), func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.Contains(name, "/blocks/") && damaged == 0 {
			damaged++
			return os.WriteFile(name, []byte("no block"), 0o600)
		}
		return err
	})
	if err != nil || damaged != 1 {
		t.Fatalf("%d blocks were damaged, %v", damaged, err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/images/"+testAMI+"?format=raw", nil)
	if err := v4.NewSigner().SignHTTP(t.Context(), owner, r, wiretest.Hash(nil), "ec2", "eu-west-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return // cut off before anything came
	}
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); answer.StatusCode == 200 && err == nil {
		t.Errorf("%s and %d bytes of a damaged disk, without an error", answer.Status, n)
	}
}

// TestKeptVMDKs holds what is kept within bounds, and finishes nothing half.
func TestKeptVMDKs(t *testing.T) {
	t.Parallel()
	s, _ := serveDisk(t)
	url := s.URL + "/images/" + testAMI + "?format=vmdk"
	_, first := get(t, http.MethodGet, url, owner, nil)
	kept, err := filepath.Glob(filepath.Join(s.dir.Cache(), "vmdk", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept are %v, %v", kept, err)
	}
	if st, err := os.Stat(kept[0]); err != nil || st.Size() != int64(len(first)) {
		t.Errorf("what is kept: %v, %v", st, err)
	}
	if err := os.Remove(kept[0]); err != nil {
		t.Fatal(err)
	}
	if _, again := get(t, http.MethodGet, url, owner, nil); !bytes.Equal(first, again) {
		t.Error("a VMDK that was made again is another one: parts of both do not fit together")
	}
}
