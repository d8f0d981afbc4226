package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/cloud"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const taskKind store.Kind = "export-image-task"

// The states of a task (EC2 API Reference, ExportImageTask).
const (
	Active    = "active"
	Deleting  = "deleting" // it was cancelled, or failed; what it left is being removed
	Deleted   = "deleted"
	Completed = "completed"
)

// Task is the export of an AMI's root disk into a bucket.
type Task struct {
	ID          string            `json:"id"` // "export-ami-" and 17 hexadecimal digits
	Account     string            `json:"account"`
	Region      string            `json:"region"`
	AMI         string            `json:"ami"`
	Format      string            `json:"format"` // "RAW", "VHD" (dynamic), "VMDK" (stream-optimised)
	Bucket      string            `json:"bucket"`
	Prefix      string            `json:"prefix,omitempty"`
	Role        string            `json:"role,omitempty"` // as the caller named it
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Image       string            `json:"image,omitempty"` // ARN of the Image Builder image whose distribution asked for it
	Node        string            `json:"node,omitempty"`  // without an image: the data folder whose server works on it
	Status      string            `json:"status"`
	Message     string            `json:"message,omitempty"`
	Progress    int               `json:"progress"`        // percent
	Bytes       int64             `json:"bytes,omitempty"` // of the object, once it is there
	Created     time.Time         `json:"created"`
}

// Key is the object's: prefix, task and format (VM Import/Export User Guide,
// "Start an export image task").
func (t *Task) Key() string { return t.Prefix + t.ID + "." + strings.ToLower(t.Format) }

// URL is where the object is, "s3://…".
func (t *Task) URL() string { return "s3://" + t.Bucket + "/" + t.Key() }

// ARN is the task's.
func (t *Task) ARN() string { return taskARN(t.Account, t.Region, t.ID) }

func taskARN(account, region, id string) string {
	return fmt.Sprintf("arn:%s:ec2:%s:%s:%s/%s", cloud.PartitionFor(region), region, account, taskKind, id)
}

// IDFor gives the ID of the task that a text stands for, the same each time: an
// export that a crash cut short finds what it sent by it.
func IDFor(what string) string {
	sum := sha256.Sum256([]byte(what))
	return "export-ami-" + hex.EncodeToString(sum[:9])[:17]
}

// Put adds a task or replaces it.
func Put(tx *store.Tx, t Task) error {
	t.Created = t.Created.UTC().Truncate(time.Millisecond)
	doc, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", t.ID, err)
	}
	row := store.Resource{
		Key: store.Key{Kind: taskKind, Account: t.Account, Region: t.Region, Name: t.ID}, ARN: t.ARN(), Status: t.Status, Parent: t.family(), Created: t.Created, Doc: doc,
	}
	_, known, err := tx.Resource(row.ARN)
	if err != nil {
		return err
	}
	if known {
		return tx.Update(row)
	}
	return tx.Insert(row)
}

// family is the parent that tasks are found by: those of an image, and those that
// a server has to work on for clients.
func (t *Task) family() string {
	switch {
	case t.Image != "":
		return familyOf(t.Image)
	case t.Status == Active || t.Status == Deleting:
		return familyAt(t.Node)
	}
	return ""
}

func familyOf(imageARN string) string { return imageARN + "#exports" } // the image itself has other children
func familyAt(node string) string     { return "exports of " + node }

// Get gives a task of an account in a region.
func Get(tx *store.Tx, account, region, id string) (t Task, ok bool, err error) {
	row, ok, err := tx.Resource(taskARN(account, region, id))
	if err != nil || !ok {
		return t, false, err
	}
	t, err = read(row)
	return t, err == nil, err
}

// Of gives the tasks of an image's distribution.
func Of(tx *store.Tx, imageARN string) ([]Task, error) { return children(tx, familyOf(imageARN)) }

func children(tx *store.Tx, family string) ([]Task, error) {
	const most = 10_000 // regions times formats are far fewer
	rows, err := tx.Children(family, store.Cursor{}, most)
	if err != nil {
		return nil, err
	}
	var all []Task
	for _, row := range rows {
		t, err := read(row)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func read(row store.Resource) (t Task, err error) {
	if err := json.Unmarshal(row.Doc, &t); err != nil {
		return t, fmt.Errorf("decoding %s: %w", row.ARN, err)
	}
	return t, nil
}
