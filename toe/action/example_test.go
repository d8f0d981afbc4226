package action_test

import (
	"context"
	"fmt"
	"os"

	"github.com/goldsmith-build/goldsmith/toe/action"
)

// A host of one's own runs a single action, without documents: it says where
// paths start and takes what is printed.
func ExampleModule_Run() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	host := &action.Host{Dir: dir, Env: os.Environ(), TempDir: dir, Stdout: os.Stdout, Stderr: os.Stderr, Log: func(string) {}}
	ctx := context.Background()
	create, list := action.Lookup("CreateFile"), action.Lookup("ListFiles")
	for _, name := range []string{"b.txt", "a.txt"} {
		in := action.Inputs{Entries: []action.Entry{action.NewEntry(create, map[string]any{"path": name, "content": "x"})}}
		if _, err := create.Run(ctx, host, in); err != nil {
			fmt.Println(err)
			return
		}
	}
	result, err := list.Run(ctx, host, action.Inputs{Entries: []action.Entry{action.NewEntry(list, map[string]any{"path": ".", "fileNamePattern": "a*"})}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(result.Outputs), result.Outputs[0]["files"] == host.Path("a.txt"))
	// Output:
	// 1 true
}
