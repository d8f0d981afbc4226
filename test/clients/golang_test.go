package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// goDriver is the AWS SDK for Go. Its methods and types are found by the
// operation's name; paginators are functions and have to be listed.
type goDriver struct{ *imagebuilder.Client }

// Call implements driver.
func (d goDriver) Call(ctx context.Context, call said) (heard, error) {
	if strings.HasPrefix(call.Operation, "wait:") {
		return heard{Lacks: "this SDK has no waiters for the service"}, nil
	}
	name, asked := strings.CutPrefix(call.Operation, "knows:")
	method := reflect.ValueOf(d.Client).MethodByName(name)
	if !method.IsValid() {
		return heard{Lacks: "no method " + name}, nil
	}
	if asked {
		return heard{}, nil
	}
	in := reflect.New(method.Type().In(1).Elem())
	encoded, err := json.Marshal(call.Input)
	if err != nil {
		return heard{}, err
	}
	// Members are matched without case, which is how the SDK's names differ.
	dec := json.NewDecoder(bytes.NewReader(encoded))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in.Interface()); err != nil {
		return heard{Lacks: err.Error()}, nil
	}
	if call.Pages != "" {
		return d.pages(ctx, call, in.Interface())
	}
	results := method.Call([]reflect.Value{reflect.ValueOf(ctx), in})
	if err, _ := results[1].Interface().(error); err != nil {
		return shown(err)
	}
	out, _ := plain(results[0].Elem()).(object)
	return heard{Output: out}, nil
}

// shown is an error as a program sees it. Errors that the model does not declare
// for an operation have no class in this SDK.
func shown(err error) (heard, error) {
	var failed smithy.APIError
	if !errors.As(err, &failed) {
		return heard{}, err
	}
	f := &failure{Code: failed.ErrorCode(), Message: failed.ErrorMessage()}
	if t := reflect.TypeOf(failed).Elem(); t.Name() != "GenericAPIError" {
		f.Class = t.Name()
	}
	return heard{Error: f}, nil
}

// plain turns the SDK's types into JSON with the API's names.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.Format(time.RFC3339Nano)
		}
		out := object{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() || field.Type == reflect.TypeFor[middleware.Metadata]() {
				continue
			}
			absent := v.Field(i).IsZero()
			if k := v.Field(i).Kind(); !absent || k != reflect.Pointer && k != reflect.Slice && k != reflect.Map && k != reflect.String {
				out[lowerFirst(field.Name)] = plain(v.Field(i))
			}
		}
		return out
	case reflect.Slice:
		list := make([]any, 0, v.Len())
		for i := range v.Len() {
			list = append(list, plain(v.Index(i)))
		}
		return list
	case reflect.Map:
		out := object{}
		for _, key := range v.MapKeys() {
			out[key.String()] = plain(v.MapIndex(key))
		}
		return out
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int32, reflect.Int64:
		return float64(v.Int())
	case reflect.Float64:
		return v.Float()
	}
	panic(fmt.Sprintf("the SDK has a member of type %s", v.Type()))
}

func lowerFirst(s string) string {
	r := []rune(s)
	r[0] = unicode.ToLower(r[0])
	return string(r)
}

// pager is any of the SDK's paginators.
type pager[Out any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*imagebuilder.Options)) (*Out, error)
}

// drain reads all pages and joins the named list.
func drain[Out any](ctx context.Context, list string, p pager[Out]) (heard, error) {
	joined := []any{}
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return shown(err)
		}
		items, _ := plain(reflect.ValueOf(page)).(object)[list].([]any)
		joined = append(joined, items...)
	}
	return heard{Output: object{list: joined}}, nil
}

// pages reads a list through its paginator, one item a page.
func (d goDriver) pages(ctx context.Context, call said, input any) (heard, error) {
	if size := reflect.ValueOf(input).Elem().FieldByName("MaxResults"); size.IsValid() {
		size.Set(reflect.ValueOf(new(int32(1))))
	}
	c, list := d.Client, call.Pages
	switch in := input.(type) {
	case *imagebuilder.ListComponentBuildVersionsInput:
		return drain(ctx, list, imagebuilder.NewListComponentBuildVersionsPaginator(c, in))
	case *imagebuilder.ListComponentsInput:
		return drain(ctx, list, imagebuilder.NewListComponentsPaginator(c, in))
	case *imagebuilder.ListContainerRecipesInput:
		return drain(ctx, list, imagebuilder.NewListContainerRecipesPaginator(c, in))
	case *imagebuilder.ListDistributionConfigurationsInput:
		return drain(ctx, list, imagebuilder.NewListDistributionConfigurationsPaginator(c, in))
	case *imagebuilder.ListImageBuildVersionsInput:
		return drain(ctx, list, imagebuilder.NewListImageBuildVersionsPaginator(c, in))
	case *imagebuilder.ListImagePackagesInput:
		return drain(ctx, list, imagebuilder.NewListImagePackagesPaginator(c, in))
	case *imagebuilder.ListImagePipelineImagesInput:
		return drain(ctx, list, imagebuilder.NewListImagePipelineImagesPaginator(c, in))
	case *imagebuilder.ListImagePipelinesInput:
		return drain(ctx, list, imagebuilder.NewListImagePipelinesPaginator(c, in))
	case *imagebuilder.ListImageRecipesInput:
		return drain(ctx, list, imagebuilder.NewListImageRecipesPaginator(c, in))
	case *imagebuilder.ListImageScanFindingAggregationsInput:
		return drain(ctx, list, imagebuilder.NewListImageScanFindingAggregationsPaginator(c, in))
	case *imagebuilder.ListImageScanFindingsInput:
		return drain(ctx, list, imagebuilder.NewListImageScanFindingsPaginator(c, in))
	case *imagebuilder.ListImagesInput:
		return drain(ctx, list, imagebuilder.NewListImagesPaginator(c, in))
	case *imagebuilder.ListInfrastructureConfigurationsInput:
		return drain(ctx, list, imagebuilder.NewListInfrastructureConfigurationsPaginator(c, in))
	case *imagebuilder.ListLifecycleExecutionResourcesInput:
		return drain(ctx, list, imagebuilder.NewListLifecycleExecutionResourcesPaginator(c, in))
	case *imagebuilder.ListLifecycleExecutionsInput:
		return drain(ctx, list, imagebuilder.NewListLifecycleExecutionsPaginator(c, in))
	case *imagebuilder.ListLifecyclePoliciesInput:
		return drain(ctx, list, imagebuilder.NewListLifecyclePoliciesPaginator(c, in))
	case *imagebuilder.ListWaitingWorkflowStepsInput:
		return drain(ctx, list, imagebuilder.NewListWaitingWorkflowStepsPaginator(c, in))
	case *imagebuilder.ListWorkflowBuildVersionsInput:
		return drain(ctx, list, imagebuilder.NewListWorkflowBuildVersionsPaginator(c, in))
	case *imagebuilder.ListWorkflowExecutionsInput:
		return drain(ctx, list, imagebuilder.NewListWorkflowExecutionsPaginator(c, in))
	case *imagebuilder.ListWorkflowStepExecutionsInput:
		return drain(ctx, list, imagebuilder.NewListWorkflowStepExecutionsPaginator(c, in))
	case *imagebuilder.ListWorkflowsInput:
		return drain(ctx, list, imagebuilder.NewListWorkflowsPaginator(c, in))
	}
	return heard{Lacks: "no paginator for " + call.Operation}, nil
}
