package action

// Inputs are a step's inputs with every reference resolved.
type Inputs struct {
	Entries   []Entry              // one for Map, one an operation for List
	Condition func() (bool, error) // of a Condition module: decides it
}

// Pair is an element of a Pairs input.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Entry is one mapping of inputs. The zero value of a type stands for an input
// that was left out and has no default.
type Entry struct {
	values map[string]any // string, bool, int64, []string, map[string]string, []Pair
}

// NewEntry makes an Entry of values that were converted to their field's type.
// Defaults of the module's fields are filled in.
func NewEntry(m *Module, values map[string]any) Entry {
	all := make(map[string]any, len(values))
	for _, f := range m.Fields {
		if v, ok := values[f.Name]; ok {
			all[f.Name] = v
		} else if f.Default != "" {
			if v, err := f.Convert(f.Default); err == nil { // held by a test for every module
				all[f.Name] = v
			}
		}
	}
	return Entry{values: all}
}

// Has says whether the input was given, or has a default.
func (e Entry) Has(name string) bool { _, ok := e.values[name]; return ok }

// String gives a text input.
func (e Entry) String(name string) string { s, _ := e.values[name].(string); return s }

// Bool gives a true-or-false input.
func (e Entry) Bool(name string) bool { b, _ := e.values[name].(bool); return b }

// Int gives a whole number.
func (e Entry) Int(name string) int64 { n, _ := e.values[name].(int64); return n }

// Strings gives a list of texts.
func (e Entry) Strings(name string) []string { l, _ := e.values[name].([]string); return l }

// IsList says whether an Any input was given as a list.
func (e Entry) IsList(name string) bool { _, ok := e.values[name].([]string); return ok }

// Texts gives an Any input as a list, also if it is one text.
func (e Entry) Texts(name string) []string {
	if s, ok := e.values[name].(string); ok {
		return []string{s}
	}
	return e.Strings(name)
}

// Map gives a mapping of texts.
func (e Entry) Map(name string) map[string]string {
	m, _ := e.values[name].(map[string]string)
	return m
}

// Pairs gives a list of names and values.
func (e Entry) Pairs(name string) []Pair { p, _ := e.values[name].([]Pair); return p }
