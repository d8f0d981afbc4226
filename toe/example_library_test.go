//go:build unix

package toe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/goldsmith-build/goldsmith/toe"
)

// A linter in an editor or a pipeline wants everything at once: what is wrong,
// and what is probably not meant.
func ExampleExamine() {
	for _, p := range toe.Examine("web.yaml", []byte(`schemaVersion: 1.0
phases:
  - name: build
    steps:
      - name: Install
        action: ExecuteBash
        onFailure: Stop
        inputs:
          commands:
            - apt-get update
            - apt-get install -y nginx
`), toe.CheckOptions{Platform: "linux"}) {
		fmt.Println(p.Severity, p.Rule, p.Line, p.Text())
	}
	// Output:
	// error bad-value 7 onFailure must be Abort, Continue or Ignore.
	// warning unchecked-command 10 When 'apt-get update' fails, the step goes on and may succeed; begin the commands with 'set -e'.
}

func ExampleMakePlan() {
	document := `name: web
schemaVersion: 1.0
parameters:
  - Server: {type: string, default: nginx}
phases:
  - name: build
    steps:
      - {name: Install, action: ExecuteBinary, inputs: {path: apt-get, arguments: [install, '{{ Server }}']}}
      - name: Remove
        action: ExecuteBinary
        if: {stringEquals: apache2, value: '{{ Server }}'}
        inputs: {path: apt-get, arguments: [remove, nginx]}
`
	plan, problems, err := toe.MakePlan(context.Background(), toe.Options{
		Documents:  []toe.Source{{Path: "web.yaml", Data: []byte(document)}},
		Parameters: map[string]string{"Server": "lighttpd"},
	})
	if err != nil || problems != nil {
		fmt.Println(err, problems)
		return
	}
	for _, s := range plan.Documents[0].Phases[0].Steps {
		fmt.Println(s.Name, s.Decision, s.Inputs)
	}
	// Output:
	// Install run [map[arguments:[install lighttpd] path:apt-get]]
	// Remove skip []
}

// Events are everything that happens, as it happens: for a display, a log
// service, or a host on the other end of a wire.
func ExampleOptions_events() {
	logs, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(logs)
	_, err = toe.Run(context.Background(), toe.Options{
		Documents: []toe.Source{{Path: "hello.yaml", Data: []byte(`schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Hello, action: ExecuteBash, inputs: {commands: [echo hello]}}
`)}},
		LogDirectory: logs,
		Events: func(e toe.Event) {
			fmt.Println(strings.TrimSpace(strings.Join([]string{e.Event, e.Step, e.Status, strings.TrimSpace(e.Text)}, " ")))
		},
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// documentStarted
	// phaseStarted
	// stepStarted Hello
	// attempt Hello
	// output Hello  hello
	// stepFinished Hello success
	// phaseFinished  success
	// documentFinished  success
	// result  success
}

// library is a Cloud of one's own: documents and parameters come out of a
// program's memory instead of AWS.
type library struct {
	toe.Cloud              // what the documents do not ask for
	components, parameters map[string]string
}

func (l library) Component(_ context.Context, arn string) ([]byte, error) {
	text, ok := l.components[arn]
	if !ok {
		return nil, fmt.Errorf("there is no component %s", arn)
	}
	return []byte(text), nil
}

func (l library) Parameter(_ context.Context, name string) (value string, secret bool, err error) {
	return l.parameters[name], strings.HasPrefix(name, "/secret/"), nil
}

func ExampleOptions_cloud() {
	logs, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(logs)
	const arn = "arn:aws:imagebuilder:us-east-1:123456789012:component/greet/1.0.0/1"
	result, err := toe.Run(context.Background(), toe.Options{
		Documents: []toe.Source{{Path: arn, ComponentArn: arn}},
		Cloud: library{
			components: map[string]string{arn: `schemaVersion: 1.0
phases:
  - name: build
    steps:
      - {name: Greet, action: ExecuteBash, inputs: {commands: ['echo {{ aws:ssm:/greeting }} {{ aws:ssm:/secret/name }}']}}
`},
			parameters: map[string]string{"/greeting": "hello", "/secret/name": "Rumpelstiltskin"},
		},
		LogDirectory: logs,
		Events: func(e toe.Event) {
			if e.Event == toe.EventOutput {
				fmt.Print(e.Text)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Summary.Status)
	// Output:
	// hello ********
	// success
}

func ExampleSchema() {
	var schema struct {
		Schema   string   `json:"$schema"`
		Required []string `json:"required"`
	}
	if err := json.Unmarshal(toe.Schema(), &schema); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(schema.Schema, schema.Required)
	// Output:
	// https://json-schema.org/draft/2020-12/schema [schemaVersion phases]
}
