//go:build unix

package toe_test

import (
	"context"
	"fmt"
	"os"

	"github.com/goldsmith-build/goldsmith/toe"
)

func ExampleParse() {
	_, problems := toe.Parse("nginx.yaml", []byte(`schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Install
        action: ExecuteBsh
        inputs:
          commands:
            - apt-get install -y {{ Package }}
      - name: Check
        action: Assert
        inputs: {fileExist: /usr/sbin/nginx}
`))
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// nginx.yaml:6:17: unknown action 'ExecuteBsh', did you mean 'ExecuteBash'?
	// nginx.yaml:12:18: unknown operator 'fileExist', did you mean 'fileExists'?
}

func ExampleDocument_Check() {
	d, problems := toe.Parse("", []byte(`schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Shell, action: ExecuteBash, inputs: {commands: [ls]}}
`))
	if err := problems.Err(); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.PhaseNames(), d.Check(toe.CheckOptions{Platform: "linux"}).Err())
	fmt.Println(d.Check(toe.CheckOptions{Platform: "windows"}))
	// Output:
	// [build] <nil>
	// 5:9: The action ExecuteBash in step 'Shell' does not exist on windows, only on linux, darwin.
}

func ExampleRun() {
	logs, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(logs)
	document := `name: greeting
schemaVersion: 1.0
parameters:
  - Name: {type: string, default: nobody}
phases:
  - name: build
    steps:
      - {name: Greet, action: ExecuteBash, inputs: {commands: ['echo "hello {{ Name }}"']}}
      - {name: Fail, action: ExecuteBash, inputs: {commands: ['echo "no such package" >&2; exit 100']}}
`
	result, err := toe.Run(context.Background(), toe.Options{
		Documents:    []toe.Source{{Path: "greeting.yaml", Data: []byte(document)}},
		Parameters:   map[string]string{"Name": "world"},
		LogDirectory: logs,
		Events: func(e toe.Event) {
			if e.Event == toe.EventOutput {
				fmt.Printf("%s %s: %s", e.Step, e.Stream, e.Text)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Summary.Status, result.Summary.FailureMessage)
	fmt.Printf("%s.%s: %s: %s\n", result.Failure.Phase, result.Failure.Step, result.Failure.ErrorMessage, result.Failure.Stderr)
	// Output:
	// Greet stdout: hello world
	// Fail stderr: no such package
	// failed Document greeting.yaml failed!
	// build.Fail: exit status 100: no such package
}
