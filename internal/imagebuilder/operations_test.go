package imagebuilder

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
)

// Every operation of the model has a method of its own: none falls through to
// the one that answers that it is not there.
func TestEveryOperationIsThere(t *testing.T) {
	t.Parallel()
	own := make(map[string]bool)
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil {
				continue
			}
			if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
				if receiver, ok := star.X.(*ast.Ident); ok && receiver.Name == "Service" {
					own[f.Name.Name] = true
				}
			}
		}
	}
	operations := reflect.TypeFor[api.Service]()
	if n := operations.NumMethod(); n < 77 {
		t.Errorf("the model has %d operations", n)
	}
	for i := range operations.NumMethod() {
		if name := operations.Method(i).Name; !own[name] {
			t.Errorf("%s is not implemented", name)
		}
	}
}
