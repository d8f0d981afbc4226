package store

import (
	"fmt"
	"time"
)

// Package is a package that was found in an image.
type Package struct {
	Name    string
	Version string
}

var (
	putPlan    = define(`INSERT INTO image_plan (image_arn, plan) VALUES (?, ?) ON CONFLICT (image_arn) DO UPDATE SET plan = excluded.plan`)
	selectPlan = define(`SELECT plan FROM image_plan WHERE image_arn = ?`)

	putCancel    = define(`INSERT INTO image_cancel (image_arn, created) VALUES (?, ?) ON CONFLICT (image_arn) DO NOTHING`)
	selectCancel = define(`SELECT created FROM image_cancel WHERE image_arn = ?`)

	putPackage     = define(`INSERT INTO image_package (image_arn, ordinal, name, version) VALUES (?, ?, ?, ?)`)
	selectPackages = define(`SELECT ordinal, name, version FROM image_package WHERE image_arn = ? AND ordinal > ? ORDER BY ordinal LIMIT ? + 0`)

	deletePlan      = define(`DELETE FROM image_plan WHERE image_arn = ?`)
	deleteCancel    = define(`DELETE FROM image_cancel WHERE image_arn = ?`)
	deletePackages  = define(`DELETE FROM image_package WHERE image_arn = ?`)
	deleteWorkflows = define(`DELETE FROM workflow_execution WHERE image_arn = ?`)
	deleteSteps     = define(`DELETE FROM step_execution WHERE image_arn = ?`)
)

// PutPlan keeps the plan of an image, JSON, replacing one that is there.
func (tx *Tx) PutPlan(imageARN string, plan []byte) error {
	if _, err := tx.exec(putPlan, imageARN, plan); err != nil {
		return failed("keeping the plan of "+imageARN, err)
	}
	return nil
}

// Plan gives the plan of an image.
func (tx *Tx) Plan(imageARN string) (plan []byte, ok bool, err error) {
	scan := func(r row) (b []byte, err error) { return b, r.Scan(&b) }
	return one(tx, "reading the plan of "+imageARN, selectPlan, scan, imageARN)
}

// RequestCancel records that someone asked for the build of an image to end.
// Only the first request counts.
func (tx *Tx) RequestCancel(imageARN string, now time.Time) error {
	if _, err := tx.exec(putCancel, imageARN, millis(now)); err != nil {
		return failed("recording the cancellation of "+imageARN, err)
	}
	return nil
}

// CancelRequested reports whether RequestCancel was called for an image.
func (tx *Tx) CancelRequested(imageARN string) (bool, error) {
	_, ok, err := one(tx, "looking for a cancellation of "+imageARN, selectCancel, scanInt, imageARN)
	return ok, err
}

// ClearCancel forgets a request to end the build of an image, for it is built
// again.
func (tx *Tx) ClearCancel(imageARN string) error {
	if _, err := tx.exec(deleteCancel, imageARN); err != nil {
		return failed("forgetting the cancellation of "+imageARN, err)
	}
	return nil
}

// PutPackages replaces the list of the packages that are in an image.
func (tx *Tx) PutPackages(imageARN string, packages []Package) error {
	if err := tx.later(deletePackages, imageARN); err != nil {
		return failed("recording the packages of "+imageARN, err)
	}
	for i, p := range packages {
		if err := tx.later(putPackage, imageARN, i+1, prose(p.Name), prose(p.Version)); err != nil {
			return failed("recording the packages of "+imageARN, err)
		}
	}
	return nil
}

// Packages gives the packages of an image in the order they were put, after
// the first n, at most limit of them.
func (tx *Tx) Packages(imageARN string, n int64, limit int) ([]Package, error) {
	scan := func(r row) (p Package, err error) {
		var ordinal int64
		return p, r.Scan(&ordinal, &p.Name, &p.Version)
	}
	return many(tx, "reading the packages of "+imageARN, selectPackages, scan, imageARN, n, limit)
}

// DeleteImageRecords removes what belongs to an image besides its resource:
// plan, executions, packages, a request to cancel.
func (tx *Tx) DeleteImageRecords(imageARN string) error {
	for _, st := range []statement{deletePlan, deleteCancel, deletePackages, deleteSteps, deleteWorkflows} {
		if _, err := tx.exec(st, imageARN); err != nil {
			return failed(fmt.Sprintf("deleting the records of %s", imageARN), err)
		}
	}
	return nil
}
