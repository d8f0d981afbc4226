package store

// Target is what a reference points to: the resources of a name whose version
// matches the pattern.
type Target struct {
	Key
	Pattern Version
}

// Reference says that Source uses what Target stands for.
type Reference struct {
	Source string // ARN
	Target Target
}

var (
	insertReference  = define(`INSERT INTO reference (source, kind, account, region, name, major, minor, patch, build) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)
	deleteReferences = define(`DELETE FROM reference WHERE source = ?`)
	selectReferences = define(`SELECT source, kind, account, region, name, major, minor, patch, build FROM reference WHERE ` + byName + ` ORDER BY source LIMIT ? + 0`)
)

// SetReferences replaces all the references that source makes. It must exist;
// when it is deleted its references go too.
func (tx *Tx) SetReferences(source string, targets ...Target) error {
	if err := tx.later(deleteReferences, source); err != nil {
		return failed("removing the references of "+source, err)
	}
	for _, t := range targets {
		args := append([]any{source}, t.args(t.Pattern.Major, t.Pattern.Minor, t.Pattern.Patch, t.Pattern.Build)...)
		if err := tx.later(insertReference, args...); err != nil {
			return failed("adding a reference of "+source, err)
		}
	}
	return nil
}

// References gives the references to any version of a name, in the order of
// their sources, at most limit of them.
func (tx *Tx) References(to Key, limit int) ([]Reference, error) {
	scan := func(r row) (x Reference, err error) {
		p := &x.Target.Pattern
		err = r.Scan(&x.Source, &x.Target.Kind, &x.Target.Account, &x.Target.Region, &x.Target.Name, &p.Major, &p.Minor, &p.Patch, &p.Build)
		return x, err
	}
	return many(tx, "looking for what uses "+to.Name, selectReferences, scan, to.args(limit)...)
}
