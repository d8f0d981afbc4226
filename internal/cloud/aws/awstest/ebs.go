package awstest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// BlockSize is that of EBS snapshots, bytes.
const BlockSize = 512 << 10

// Snapshot is a snapshot as EBS has it.
type Snapshot struct {
	ID, Region, State string // "pending", "completed", "error"
	Parent            *Snapshot
	SizeGiB           int64
	Encrypted         bool
	Key               string
	Tags              map[string]string
	Blocks            map[int][]byte // written to this one
	request           startSnapshot
	late              int
}

// Disk gives the blocks of the snapshot with its parents'; zero ones are left
// out.
func (s *Snapshot) Disk() map[int][]byte {
	all := map[int][]byte{}
	if s.Parent != nil {
		all = s.Parent.Disk()
	}
	maps.Copy(all, s.Blocks)
	maps.DeleteFunc(all, func(_ int, b []byte) bool { return !slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) })
	return all
}

type startSnapshot struct {
	VolumeSize       int64
	ParentSnapshotID string `json:"ParentSnapshotId"`
	ClientToken      string
	Description      string
	Encrypted        *bool
	KmsKeyArn        string
	Timeout          int
	Tags             []struct{ Key, Value string }
}

func invalid(reason, format string, args ...any) *refusal {
	r := refuse("ValidationException", format, args...)
	r.reason = reason
	return r
}

func (c *Cloud) serveEBS(w http.ResponseWriter, r *http.Request, region string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out any
	var bad *refusal
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	status := http.StatusCreated
	switch {
	case r.Method == http.MethodPost && len(parts) == 1:
		if bad = c.fault("StartSnapshot", region); bad == nil {
			out, bad = c.start(region, body)
		}
	case r.Method == http.MethodPut && len(parts) == 4 && parts[2] == "blocks":
		if bad = c.fault("PutSnapshotBlock", region); bad == nil {
			bad = c.put(region, parts[1], parts[3], r.Header, body)
			out = struct{}{}
			w.Header().Set("x-amz-Checksum", r.Header.Get("x-amz-Checksum"))
			w.Header().Set("x-amz-Checksum-Algorithm", "SHA256")
		}
	case r.Method == http.MethodPost && len(parts) == 3 && parts[1] == "completion":
		status = http.StatusAccepted
		if bad = c.fault("CompleteSnapshot", region); bad == nil {
			bad = c.complete(region, parts[2], r.Header)
			out = map[string]string{"Status": "completed"}
		}
	default:
		bad = refuse("UnknownOperationException", "%s %s", r.Method, r.URL.Path)
	}
	w.Header().Set("Content-Type", "application/json")
	if bad != nil {
		w.Header().Set("X-Amzn-ErrorType", bad.code)
		status, out = bad.status, map[string]string{"Message": bad.message, "Reason": bad.reason}
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(out)
}

func (c *Cloud) start(region string, body []byte) (any, *refusal) {
	var in startSnapshot
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, refuse("SerializationException", "%v", err)
	}
	switch {
	case in.VolumeSize < 1 || in.VolumeSize > 65536:
		return nil, invalid("INVALID_VOLUME_SIZE", "VolumeSize %d", in.VolumeSize)
	case in.ParentSnapshotID != "" && in.Encrypted != nil:
		return nil, invalid("INVALID_PARAMETER_VALUE", "ParentSnapshotId and Encrypted together")
	case in.Timeout < 10 || in.Timeout > 4320:
		return nil, invalid("INVALID_PARAMETER_VALUE", "Timeout %d", in.Timeout)
	case in.ClientToken == "" || len(in.ClientToken) > 255:
		return nil, invalid("INVALID_PARAMETER_VALUE", "ClientToken")
	case len(in.Tags) > 50:
		return nil, invalid("INVALID_TAG", "%d tags", len(in.Tags))
	}
	var s *Snapshot
	for _, old := range c.Snapshots {
		if old.Region == region && old.request.ClientToken == in.ClientToken {
			if !reflect.DeepEqual(old.request, in) {
				return nil, refuse("ConflictException", "the token was used for another request")
			}
			s = old
		}
	}
	if s == nil {
		s = &Snapshot{ID: c.id("snap"), Region: region, State: "pending", SizeGiB: in.VolumeSize, Encrypted: in.Encrypted != nil && *in.Encrypted, Key: in.KmsKeyArn, Tags: map[string]string{}, Blocks: map[int][]byte{}, request: in, late: c.Late}
		if in.ParentSnapshotID != "" {
			s.Parent = c.Snapshots[in.ParentSnapshotID]
			if s.Parent == nil || s.Parent.Region != region || s.Parent.State != "completed" {
				return nil, refuse("ResourceNotFoundException", "the parent %s is not there or not complete", in.ParentSnapshotID)
			}
			if s.Parent.SizeGiB > in.VolumeSize {
				return nil, invalid("INVALID_VOLUME_SIZE", "the parent is larger")
			}
			s.Encrypted, s.Key = s.Parent.Encrypted, s.Parent.Key
		}
		for _, t := range in.Tags {
			s.Tags[t.Key] = t.Value
		}
		c.Snapshots[s.ID] = s
	}
	return map[string]any{"SnapshotId": s.ID, "Status": s.State, "BlockSize": BlockSize, "VolumeSize": s.SizeGiB, "OwnerId": Account, "StartTime": 1.7e9, "ParentSnapshotId": in.ParentSnapshotID}, nil
}

// pending gives a snapshot that takes blocks.
func (c *Cloud) pending(region, id string) (*Snapshot, *refusal) {
	s := c.Snapshots[id]
	if s == nil || s.Region != region {
		r := refuse("ResourceNotFoundException", "the snapshot '%s' does not exist", id)
		r.status = http.StatusNotFound
		return nil, r
	}
	if s.State != "pending" {
		return nil, invalid("INVALID_SNAPSHOT_ID", "the snapshot '%s' is %s", id, s.State)
	}
	return s, nil
}

func (c *Cloud) put(region, id, index string, h http.Header, data []byte) *refusal {
	s, bad := c.pending(region, id)
	if bad != nil {
		return bad
	}
	if s.late > 0 {
		s.late--
		r := refuse("ResourceNotFoundException", "the snapshot '%s' does not exist yet", id)
		r.status = http.StatusNotFound
		return r
	}
	i, err := strconv.Atoi(index)
	sum := sha256.Sum256(data)
	switch {
	case err != nil || i < 0 || int64(i) >= s.SizeGiB<<30/BlockSize:
		return invalid("INVALID_PARAMETER_VALUE", "BlockIndex %s", index)
	case len(data) != BlockSize || h.Get("x-amz-Data-Length") != strconv.Itoa(BlockSize):
		return invalid("INVALID_BLOCK", "%d bytes, said to be %s", len(data), h.Get("x-amz-Data-Length"))
	case h.Get("x-amz-Checksum-Algorithm") != "SHA256" || h.Get("x-amz-Checksum") != base64.StdEncoding.EncodeToString(sum[:]):
		return invalid("INVALID_BLOCK", "the checksum is not that of the data")
	}
	s.Blocks[i] = data
	return nil
}

func (c *Cloud) complete(region, id string, h http.Header) *refusal {
	s, bad := c.pending(region, id)
	if bad != nil {
		return bad
	}
	all := sha256.New()
	for _, i := range slices.Sorted(maps.Keys(s.Blocks)) {
		sum := sha256.Sum256(s.Blocks[i])
		all.Write(sum[:])
	}
	want := base64.StdEncoding.EncodeToString(all.Sum(nil))
	switch {
	case h.Get("x-amz-ChangedBlocksCount") != fmt.Sprint(len(s.Blocks)):
		return invalid("INVALID_PARAMETER_VALUE", "ChangedBlocksCount %s, but %d blocks were written", h.Get("x-amz-ChangedBlocksCount"), len(s.Blocks))
	case h.Get("x-amz-Checksum-Algorithm") != "SHA256" || h.Get("x-amz-Checksum-Aggregation-Method") != "LINEAR" || h.Get("x-amz-Checksum") != want:
		return invalid("INVALID_PARAMETER_VALUE", "the checksum is not that of the blocks")
	}
	s.State = "completed"
	return nil
}
