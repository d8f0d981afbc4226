package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"time"

	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/store"
)

const (
	templateKind        store.Kind = "launch-template"
	templateVersionKind store.Kind = "launch-template-version"
)

var (
	templateID   = regexp.MustCompile(`^lt-([0-9a-f]{8}|[0-9a-f]{17})$`)
	templateName = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)
)

// Template is a launch template of an account in a region. Its versions count
// from 1; a number is not used again.
type Template struct {
	ID      string            `json:"id"` // "lt-" and 17 hexadecimal digits
	Account string            `json:"account"`
	Region  string            `json:"region"`
	Name    string            `json:"name"`
	Default int64             `json:"default"`
	Latest  int64             `json:"latest"`
	Tags    map[string]string `json:"tags,omitempty"`
	Created time.Time         `json:"created"`
	By      string            `json:"by"` // ARN
}

// TemplateVersion is a version of a launch template. Data is EC2's
// LaunchTemplateData, as JSON by member names.
type TemplateVersion struct {
	Template    string                     `json:"template"` // its ID
	Number      int64                      `json:"number"`
	Description string                     `json:"description,omitempty"`
	Data        map[string]json.RawMessage `json:"data"`
	Created     time.Time                  `json:"created"`
	By          string                     `json:"by"`
}

func templateARN(account, region, id string) string {
	return fmt.Sprintf("arn:%s:ec2:%s:%s:launch-template/%s", PartitionFor(region), region, account, id)
}

func (t *Template) arn() string { return templateARN(t.Account, t.Region, t.ID) }

func (t *Template) versionARN(number int64) string { return fmt.Sprintf("%s/%d", t.arn(), number) }

// Template gives a launch template by its ID; a fault
// InvalidLaunchTemplateId.NotFoundException if the account has none such in the
// region.
func (w *World) Template(tx *store.Tx, account, region, id string) (Template, error) {
	row, ok, err := tx.Resource(templateARN(account, region, id))
	if err == nil && !ok {
		err = fault.New("InvalidLaunchTemplateId.NotFoundException", "The specified launch template, with template ID %.64s, does not exist.", id)
	}
	var t Template
	if err == nil {
		err = unpack(row, &t)
	}
	return t, err
}

// templateNamed gives a launch template by its name.
func (w *World) templateNamed(tx *store.Tx, account, region, name string) (Template, error) {
	row, ok, err := tx.Match(store.Key{Kind: templateKind, Account: account, Region: region, Name: name}, store.Version{})
	if err == nil && !ok {
		err = fault.New("InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %.128s, does not exist.", name)
	}
	var t Template
	if err == nil {
		err = unpack(row, &t)
	}
	return t, err
}

func unpack(row store.Resource, into any) error {
	if err := json.Unmarshal(row.Doc, into); err != nil {
		return fmt.Errorf("decoding %s: %w", row.ARN, err)
	}
	return nil
}

// addTemplate adds a launch template with its first version.
func (w *World) addTemplate(tx *store.Tx, t Template, v TemplateVersion) (Template, error) {
	t.ID, t.Created = NewID("lt"), w.now().UTC().Truncate(time.Second)
	doc, err := json.Marshal(t)
	if err != nil {
		return t, fmt.Errorf("encoding %s: %w", t.ID, err)
	}
	err = tx.Insert(store.Resource{Key: store.Key{Kind: templateKind, Account: t.Account, Region: t.Region, Name: t.Name}, ARN: t.arn(), Created: t.Created, Doc: doc})
	if errors.Is(err, store.ErrExists) {
		return t, fault.New("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.").Because(err)
	}
	if err != nil {
		return t, err
	}
	t, _, err = w.addTemplateVersion(tx, t, v, true)
	return t, err
}

func (w *World) saveTemplate(tx *store.Tx, t Template) error {
	doc, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", t.ID, err)
	}
	return tx.Update(store.Resource{ARN: t.arn(), Updated: w.now(), Doc: doc})
}

// addTemplateVersion adds a version, which gets the next number.
func (w *World) addTemplateVersion(tx *store.Tx, t Template, v TemplateVersion, isDefault bool) (Template, TemplateVersion, error) {
	t.Latest++
	if isDefault {
		t.Default = t.Latest
	}
	v.Template, v.Number, v.Created = t.ID, t.Latest, w.now().UTC().Truncate(time.Second)
	if v.Data == nil {
		v.Data = map[string]json.RawMessage{}
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return t, v, fmt.Errorf("encoding a version of %s: %w", t.ID, err)
	}
	row := store.Resource{
		Key: store.Key{Kind: templateVersionKind, Account: t.Account, Region: t.Region, Name: t.ID}, Version: store.Version{Build: v.Number}, ARN: t.versionARN(v.Number), Created: v.Created, Doc: doc,
	}
	if err := tx.Insert(row); err != nil {
		return t, v, err
	}
	return t, v, w.saveTemplate(tx, t)
}

// templateVersion gives a version by "$Latest", "$Default" or its number.
func (w *World) templateVersion(tx *store.Tx, t Template, which string) (v TemplateVersion, err error) {
	number, err := t.number(which)
	if err != nil {
		return v, err
	}
	row, ok, err := tx.Resource(t.versionARN(number))
	if err == nil && !ok {
		err = fault.New("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version %s for the launch template with ID %s.", which, t.ID)
	}
	if err == nil {
		err = unpack(row, &v)
	}
	return v, err
}

func (t *Template) number(which string) (int64, error) {
	switch which {
	case "$Latest":
		return t.Latest, nil
	case "$Default":
		return t.Default, nil
	}
	n, err := strconv.ParseInt(which, 10, 64)
	if err != nil || n < 1 {
		return 0, fault.New("InvalidParameterValue", "The launch template version '%.64s' is not valid: it must be a number, $Latest or $Default", which)
	}
	return n, nil
}

// templateVersions gives the versions of a launch template after one of them.
func (w *World) templateVersions(tx *store.Tx, t Template, after int64, limit int) ([]TemplateVersion, error) {
	q := store.Query{Kind: templateVersionKind, Account: t.Account, Region: t.Region, Name: t.ID, Scope: store.Builds, Pattern: &store.Version{Build: store.Any}, Limit: limit}
	if after > 0 {
		q.After = store.Cursor{Name: t.ID, Version: store.Version{Build: after}}
	}
	rows, err := tx.List(q)
	all := make([]TemplateVersion, len(rows))
	for i, row := range rows {
		if err == nil {
			err = unpack(row, &all[i])
		}
	}
	return all, err
}

// removeTemplate deletes a launch template with its versions.
func (w *World) removeTemplate(tx *store.Tx, t Template) error {
	for {
		all, err := w.templateVersions(tx, t, 0, 500)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return tx.Delete(t.arn())
		}
		for _, v := range all {
			if err := tx.Delete(t.versionARN(v.Number)); err != nil {
				return err
			}
		}
	}
}

// eachTemplate calls do for every launch template of an account in a region, in
// the order of their names.
func (w *World) eachTemplate(tx *store.Tx, owner identity.Caller, do func(Template) error) error {
	var at store.Cursor
	for {
		rows, err := tx.List(store.Query{Kind: templateKind, Account: owner.Account, Region: owner.Region, Scope: store.Names, After: at, Limit: 500})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			at = row.Cursor()
			var t Template
			if err := unpack(row, &t); err != nil {
				return err
			}
			if err := do(t); err != nil {
				return err
			}
		}
	}
}

// imageBuilder is the tag that lets Image Builder change a launch template (User
// Guide, "Use a launch template").
const imageBuilder = "EC2 Image Builder"

// Launch adds a version to a launch template that differs from the newest in the
// AMI only, and gives its number. The template must have the tag CreatedBy: EC2
// Image Builder. by is the ARN of who does it. The errors are faults of EC2.
func (w *World) Launch(tx *store.Tx, account, region, id, ami, by string, isDefault bool) (int64, error) {
	t, err := w.Template(tx, account, region, id)
	if err != nil {
		return 0, err
	}
	if t.Tags["CreatedBy"] != imageBuilder {
		return 0, fault.New("UnauthorizedOperation", "The launch template %s does not have the tag CreatedBy: %s, which lets its versions be made.", id, imageBuilder)
	}
	v, err := w.templateVersion(tx, t, "$Latest")
	if fault.Code(err) != "" { // it was deleted
		v, err = w.templateVersion(tx, t, "$Default")
	}
	if err != nil {
		return 0, err
	}
	image, err := json.Marshal(ami)
	if err != nil {
		return 0, err
	}
	data := maps.Clone(v.Data)
	data["ImageId"] = image
	_, made, err := w.addTemplateVersion(tx, t, TemplateVersion{Data: data, By: by}, isDefault)
	return made.Number, err
}
