package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/goldsmith-build/goldsmith/"

// floors is the picture: a folder may import folders of lower floors, and what
// is below itself or beside it under the same name. The longest prefix counts.
var floors = map[string]int{
	"cmd":                   90,
	"internal/server":       80,
	"internal/console":      75,
	"internal/wire":         70,
	"internal/gate":         65,
	"internal/imagebuilder": 60,
	"internal/engine":       50,
	"internal/schedule":     20,
	"internal/cloud":        40,
	"internal/base":         35,
	"internal/workflow":     30,
	"internal/instance":     30,
	"internal/disk":         28,
	"toe":                   25,
	"internal/sts":          45,
	"internal/session":      22,
	"internal/kms":          22,
	"internal/store":        20,
	"internal/bucket":       22,
	"internal/objects":      20,
	"internal/stepcache":    27,
	"api":                   15, // shapes are plain data: what stands above may speak in them
	"internal/wire/shape":   12, // how generated code describes itself to the wire
	"internal/datadir":      10,
	"internal/config":       10,
	"internal/access":       5,
	"internal/fault":        0,
	"internal/faultpoint":   0,
	"internal/identity":     0,
	"internal/version":      0,
}

// outside are folders that the picture does not speak of: tools and tests.
var outside = []string{"internal/apigen", "internal/architecture", "test"}

// files gives every Go file of the repository with its parsed imports.
func files(t *testing.T) map[string]*ast.File {
	t.Helper()
	root := "../.."
	found := map[string]*ast.File{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules" || entry.Name() == "goldsmith-data" || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err == nil {
			rel, _ := filepath.Rel(root, name)
			found[filepath.ToSlash(rel)] = file
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// floor finds a folder's floor and the name that it is listed under.
func floor(dir string) (name string, level int, ok bool) {
	for name = dir; name != "." && name != "/"; name = path.Dir(name) {
		if level, ok = floors[name]; ok {
			return name, level, true
		}
	}
	return "", 0, false
}

func isOutside(dir string) bool {
	for _, name := range outside {
		if dir == name || strings.HasPrefix(dir, name+"/") {
			return true
		}
	}
	return false
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	checked := 0
	for name, file := range files(t) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") || isOutside(dir) {
			continue
		}
		from, high, ok := floor(dir)
		if !ok {
			t.Errorf("%s: the folder %s is not in the picture (docs/architecture.md and floors)", name, dir)
			continue
		}
		for _, spec := range file.Imports {
			target, _ := strconv.Unquote(spec.Path.Value)
			target, own := strings.CutPrefix(target, module)
			if !own {
				continue
			}
			to, low, ok := floor(target)
			if isOutside(target) || !ok || (to != from && low >= high) {
				t.Errorf("%s imports %s: the picture has no arrow from %s to %s", name, target, from, to)
			}
			checked++
		}
	}
	if checked < 50 {
		t.Errorf("only %d imports were looked at: the test does not see the repository", checked)
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	said, seen := map[string]bool{}, map[string]bool{}
	for name, file := range files(t) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		dir := path.Dir(name)
		seen[dir] = true
		if file.Doc != nil && len(strings.Fields(file.Doc.Text())) >= 6 {
			said[dir] = true
		}
	}
	var silent []string
	for dir := range seen {
		if !said[dir] {
			silent = append(silent, dir)
		}
	}
	sort.Strings(silent)
	if len(silent) > 0 {
		t.Errorf("these packages have no sentence that says what they are for: %s", strings.Join(silent, ", "))
	}
}

func TestFilesStayReadable(t *testing.T) {
	t.Parallel()
	const most = 500 // style: about 400 lines
	for name, file := range files(t) {
		if strings.HasPrefix(name, "api/") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(data), "\n"); lines > most && !ast.IsGenerated(file) {
			t.Errorf("%s has %d lines: split it", name, lines)
		}
	}
}
