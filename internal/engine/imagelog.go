package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/bucket"
)

// imageLog is the log of one image: image.log with the lines that Image Builder
// sends to CloudWatch, and a folder for each step, in Amazon's S3 layout:
// NAME/VERSION/BUILD/WORKFLOW-EXECUTION/STEP/….
type imageLog struct {
	dir string // "": nothing is kept
	now func() time.Time
	log *slog.Logger // of the engine

	buckets bucket.Buckets // nil: the infrastructure names no bucket

	mu   sync.Mutex
	file *os.File
}

// discardLog is a log for runs that have no plan yet.
func discardLog() *imageLog { return &imageLog{now: time.Now} }

// LogDir is where the logs of an image lie: logs/NAME/VERSION/BUILD, as Amazon
// lays them out in S3, with the normalised name. Accounts and regions number
// their images each for itself; where another one's image has that folder, it
// is logs/ACCOUNT/REGION/NAME/VERSION/BUILD.
func LogDir(dataDir string, image Image) string {
	logs, name := filepath.Join(dataDir, "logs"), filepath.Join(image.Slug, image.Version, strconv.FormatInt(image.Build, 10))
	plain := filepath.Join(logs, name)
	if owner, err := os.ReadFile(filepath.Join(plain, ownerFile)); err == nil && strings.TrimSpace(string(owner)) != image.ARN {
		return filepath.Join(logs, image.Account, image.Region, name)
	}
	return plain
}

// ownerFile holds the ARN of the image that a log folder belongs to.
const ownerFile = "arn"

// claimLogDir makes the image's log folder and writes its ARN into it, unless
// it is its already.
func claimLogDir(dataDir string, image Image) (string, error) {
	for {
		dir := LogDir(dataDir, image)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return dir, err
		}
		f, err := os.OpenFile(filepath.Join(dir, ownerFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			if LogDir(dataDir, image) == dir {
				return dir, nil
			}
			continue // another image was faster
		}
		if err != nil {
			return dir, err
		}
		_, err = f.WriteString(image.ARN + "\n")
		return dir, errors.Join(err, f.Close())
	}
}

// openLog opens the image's log for appending. A log that cannot be written
// never fails a build: the engine's own log says what happened.
func openLog(e *Engine, p *Plan) *imageLog {
	l := &imageLog{now: e.Now}
	var err error
	if l.dir, err = claimLogDir(e.Dir, p.Image); err == nil {
		l.file, err = os.OpenFile(filepath.Join(l.dir, "image.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if err != nil {
		e.Log.Error("opening an image's log", "image", p.Image.ARN, "err", err)
	}
	l.log = e.Log.With("image", p.Image.ARN)
	if p.Infrastructure.LogBucket != "" && e.Buckets != nil {
		l.buckets = e.Buckets
	}
	return l
}

// printf writes a line with its time.
func (l *imageLog) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n    ") // a guest's text begins no line of its own
		fmt.Fprintf(l.file, "%s %s\n", l.now().UTC().Format("2006-01-02T15:04:05.000Z"), text)
	}
}

// writeFile writes a file into the image's log folder.
func (l *imageLog) writeFile(name string, data []byte) error {
	if l.dir == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(l.dir, name), data, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// stepDir makes and names the folder of a step.
func (l *imageLog) stepDir(workflowExecution, step string) (string, error) {
	dir := filepath.Join(l.dir, workflowExecution, step)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making the log folder of step %s: %w", step, err)
	}
	return dir, nil
}

// close ends the log and, where the infrastructure configuration names a
// bucket, copies it there.
func (l *imageLog) close(p *Plan) {
	if !l.release() || l.buckets == nil {
		return
	}
	if err := l.upload(p); err != nil {
		l.log.Error("copying the logs to their bucket", "bucket", p.Infrastructure.LogBucket, "err", err)
	}
}

// uploading is how long the copy of an image's logs may take: the bucket's
// service may hang, and the build has ended.
const uploading = 5 * time.Minute

// upload copies the logs to the bucket of the infrastructure configuration, in
// Amazon's layout: PREFIX/NAME/VERSION/BUILD/WORKFLOW-EXECUTION/STEP/…
func (l *imageLog) upload(p *Plan) error {
	ctx, cancel := context.WithTimeout(context.Background(), uploading)
	defer cancel()
	top := path.Join(path.Join("/", p.Infrastructure.LogPrefix)[1:], p.Image.Slug, p.Image.Version, strconv.FormatInt(p.Image.Build, 10))
	return filepath.WalkDir(l.dir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(l.dir, name)
		if err != nil || rel == ownerFile {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		return l.buckets.Write(ctx, p.Infrastructure.LogBucket, path.Join(top, filepath.ToSlash(rel)), file)
	})
}

// release closes the file. open says that it was still open.
func (l *imageLog) release() (open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return false
	}
	l.file.Close()
	l.file = nil
	return true
}
