package toe

import (
	"encoding/json"

	"github.com/goldsmith-build/goldsmith/toe/internal/schema"
)

// Schema gives a JSON Schema (draft 2020-12) of component documents, for
// editors. It accepts every document that Parse accepts, and refuses what a
// schema can refuse: unknown keys, actions, inputs and operators, missing and
// ill-typed values. References and uniqueness of names are beyond it.
func Schema() []byte {
	b, err := json.MarshalIndent(schema.Document(), "", "  ")
	if err != nil { // it has only texts, numbers and lists of them
		panic(err)
	}
	return append(b, '\n')
}
