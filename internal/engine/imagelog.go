package engine

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// imageLog is the log of one image: image.log with the lines that Image Builder
// sends to CloudWatch, and a folder for each step, in Amazon's S3 layout:
// NAME/VERSION/BUILD/WORKFLOW-EXECUTION/STEP/….
type imageLog struct {
	dir string // "": nothing is kept
	now func() time.Time
	log *slog.Logger // of the engine

	mu   sync.Mutex
	file *os.File
	s3   string // the folder that stands for the infrastructure's bucket and prefix
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
	if bucket := p.Infrastructure.LogBucket; bucket != "" && e.Buckets != "" {
		if !bucketName.MatchString(bucket) || strings.Contains(bucket, "..") {
			l.log.Warn("logs are not copied: that is no name of a bucket", "bucket", bucket)
			return l
		}
		name := filepath.Join(p.Image.Slug, p.Image.Version, strconv.FormatInt(p.Image.Build, 10))
		l.s3 = filepath.Join(e.Buckets, bucket, filepath.Join("/", p.Infrastructure.LogPrefix), name)
	}
	return l
}

// bucketName is what S3 allows. The API's own limit is any text, and ".." would
// be a folder of the server.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

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
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return
	}
	l.file.Close()
	l.file = nil
	if l.s3 == "" {
		return
	}
	if err := copyTree(l.s3, l.dir); err != nil {
		l.log.Error("copying the logs to their bucket", "bucket", p.Infrastructure.LogBucket, "err", err)
	}
}

// release closes the file of a run that was interrupted.
func (l *imageLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

// copyTree copies the regular files below src to dst.
func copyTree(dst, src string) error {
	return filepath.WalkDir(src, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dst, rel)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case entry.Type().IsRegular() && rel != ownerFile:
			return copyFile(target, path)
		}
		return nil
	})
}

// copyFile copies one file.
func copyFile(dst, src string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
