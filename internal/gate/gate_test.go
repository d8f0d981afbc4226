package gate_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	apiec2 "github.com/goldsmith-build/goldsmith/api/ec2"
	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	apisns "github.com/goldsmith-build/goldsmith/api/sns"
	apissm "github.com/goldsmith-build/goldsmith/api/ssm"
	apists "github.com/goldsmith-build/goldsmith/api/sts"
	"github.com/goldsmith-build/goldsmith/internal/access"
	"github.com/goldsmith-build/goldsmith/internal/fault"
	"github.com/goldsmith-build/goldsmith/internal/gate"
	"github.com/goldsmith-build/goldsmith/internal/identity"
	"github.com/goldsmith-build/goldsmith/internal/wire/shape"
)

const (
	alice  = "111111111111"
	bob    = "222222222222"
	prefix = "arn:aws:imagebuilder:us-east-1:111111111111:"
)

var services = map[string]*shape.Service{
	"imagebuilder": api.Serve(api.Unimplemented{}), "ec2": apiec2.Serve(apiec2.Unimplemented{}), "sts": apists.Serve(apists.Unimplemented{}),
	"sns": apisns.Serve(apisns.Unimplemented{}), "ssm": apissm.Serve(apissm.Unimplemented{}),
}

// resources by the ARN that is asked for.
type resources map[string]access.Resource

func (r resources) Resource(_ context.Context, arn string) (access.Resource, bool, error) {
	if arn == "broken" || strings.HasSuffix(arn, "/broken") {
		return access.Resource{}, false, errors.New("the database is gone")
	}
	found, ok := r[arn]
	return found, ok, nil
}

func looked(r resources) map[string]gate.Resources {
	return map[string]gate.Resources{"imagebuilder": r}
}

func ptr[T any](v T) *T { return &v }

// caller is alice's user with policies.
func caller(t testing.TB, statements ...string) identity.Caller {
	t.Helper()
	p := &access.Principal{Account: alice, ARN: "arn:aws:iam::" + alice + ":user/ci", User: "ci", Tags: map[string]string{"team": "web"}}
	for _, s := range statements {
		policy, err := access.Parse(access.IdentityBased, `{"Version": "2012-10-17", "Statement": [`+s+`]}`)
		if err != nil {
			t.Fatal(err)
		}
		p.Policies = append(p.Policies, policy)
	}
	return identity.Caller{Account: alice, Region: "us-east-1", ARN: p.ARN, Principal: p}
}

func allow(action, resource string) string {
	return `{"Effect": "Allow", "Action": "` + action + `", "Resource": "` + resource + `"}`
}

func authorize(g *gate.Gate, c identity.Caller, service, operation string, in any) error {
	return g.Authorize(identity.With(context.Background(), c), services[service], &shape.Operation{Name: operation}, in)
}

// An operation without a rule is refused; that it has none must be noticed here
// and not by a user.
func TestEveryOperationHasARule(t *testing.T) {
	t.Parallel()
	g := gate.New(nil, nil)
	for name, s := range services {
		for _, op := range s.Operations {
			if err := authorize(g, caller(t, allow("*", "*")), name, op.Name, op.NewInput()); err != nil {
				t.Errorf("%s of an empty input: %v", op.Name, err)
			}
			err := authorize(g, caller(t), name, op.Name, op.NewInput())
			if name == "sts" {
				if err != nil {
					t.Errorf("%s is denied: %v", op.Name, err)
				}
				continue
			}
			if want := " is not authorized to perform: " + name + ":" + strings.TrimSuffix(op.Name, "Batch"); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s without any permission: %v, want %q", op.Name, err, want)
			}
		}
	}
	err := authorize(g, caller(t, allow("*", "*")), "ec2", "RunInstances", nil)
	if err == nil || fault.Code(err) != "" {
		t.Errorf("an operation without a rule: %v, want an internal error", err)
	}
}

// Where an input names a resource with an ARN, an operation must look at it: one
// with a permission for something else only is denied.
func TestARNsInInputsAreLookedAt(t *testing.T) {
	t.Parallel()
	g := gate.New(nil, nil)
	looked := 0
	for _, op := range services["imagebuilder"].Operations {
		in := op.NewInput()
		v := reflect.ValueOf(in).Elem()
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if f := v.Field(i); strings.HasSuffix(name, "Arn") && f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.String && name != "SnsTopicArn" {
				f.Set(reflect.ValueOf(ptr(prefix + "component/secret/1.0.0")))
				looked++
			}
		}
		if looked > 0 && !strings.Contains(op.Name, "Create") {
			if err := authorize(g, caller(t, allow("*", prefix+"component/other/*")), "imagebuilder", op.Name, in); fault.Code(err) != "AccessDeniedException" {
				t.Errorf("%s: %v, want a denial", op.Name, err)
			}
		}
	}
	if looked < 50 {
		t.Errorf("only %d ARNs were found in the inputs", looked)
	}
}

func TestWhatOperationsNeed(t *testing.T) {
	t.Parallel()
	component := prefix + "component/web/1.0.0/1"
	tagged := resources{component: {ARN: component, Tags: map[string]string{"team": "web"}}, prefix + "component/db/1.0.0/1": {ARN: prefix + "component/db/1.0.0/1", Tags: map[string]string{"team": "db"}}}
	byTag := `{"Effect": "Allow", "Action": "imagebuilder:*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}}`
	recipe := &api.CreateImageRecipeInput{
		Name: ptr("My_Web site"), SemanticVersion: ptr("1.0.x"), ParentImage: ptr("arn:aws:imagebuilder:us-east-1:aws:image/debian-12-x86/x.x.x"),
		Components: []api.ComponentConfiguration{{ComponentArn: ptr(component)}}, Tags: map[string]string{"team": "web"},
	}
	make := allow("imagebuilder:CreateImageRecipe", prefix+"image-recipe/my-web-site/1.0.x")
	tag := allow("imagebuilder:TagResource", prefix+"image-recipe/*")
	read := allow("imagebuilder:GetComponent", component)
	parent := allow("imagebuilder:GetImage", "arn:aws:imagebuilder:*:aws:image/*")
	pipeline := &api.CreateImagePipelineInput{
		Name: ptr("web"), ImageRecipeArn: ptr(prefix + "image-recipe/web/1.0.0"), InfrastructureConfigurationArn: ptr(prefix + "infrastructure-configuration/web"), ExecutionRole: ptr("service-role/builder"),
	}
	reads := allow("imagebuilder:*", "*")
	pass := `{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::111111111111:role/service-role/*", "Condition": {"StringEquals": {"iam:PassedToService": "imagebuilder.amazonaws.com"}}}`
	elsewhere := *pipeline
	elsewhere.ExecutionRole = ptr("arn:aws:iam::" + bob + ":role/builder")
	infrastructure := &api.CreateInfrastructureConfigurationInput{
		Name: ptr("web"), InstanceMetadataOptions: &api.InstanceMetadataOptions{HttpTokens: ptr("optional")}, ResourceTags: map[string]string{"cost": "1"}, SnsTopicArn: ptr("arn:aws:sns:us-east-1:111111111111:t"),
	}
	with := func(condition string) string {
		return `{"Effect": "Allow", "Action": "imagebuilder:*", "Resource": "*", "Condition": {` + condition + `}}`
	}
	for name, c := range map[string]struct {
		caller    identity.Caller
		operation string
		in        any
		denied    string // the action that is missing, "" for none
	}{
		"recipe":                     {caller(t, make, tag, read, parent), "CreateImageRecipe", recipe, ""},
		"recipe, not itself":         {caller(t, tag, read, parent), "CreateImageRecipe", recipe, "imagebuilder:CreateImageRecipe on resource: " + prefix + "image-recipe/my-web-site/1.0.x"},
		"recipe, not its tags":       {caller(t, make, read, parent), "CreateImageRecipe", recipe, "imagebuilder:TagResource"},
		"recipe, not its components": {caller(t, make, tag, parent), "CreateImageRecipe", recipe, "imagebuilder:GetComponent"},
		"recipe, not its parent":     {caller(t, make, tag, read), "CreateImageRecipe", recipe, "imagebuilder:GetImage"},
		"pipeline":                   {caller(t, reads, pass), "CreateImagePipeline", pipeline, ""},
		"pipeline, not its role":     {caller(t, reads), "CreateImagePipeline", pipeline, "iam:PassRole on resource: arn:aws:iam::111111111111:role/service-role/builder"},
		"pipeline, another's role":   {caller(t, allow("*", "*")), "CreateImagePipeline", &elsewhere, "iam:PassRole on resource: arn:aws:iam::222222222222:role/builder because cross-account pass role is not allowed"},
		"by tag":                     {caller(t, byTag), "GetComponent", &api.GetComponentInput{ComponentBuildVersionArn: &component}, ""},
		"by another tag":             {caller(t, byTag), "GetComponent", &api.GetComponentInput{ComponentBuildVersionArn: ptr(prefix + "component/db/1.0.0/1")}, "imagebuilder:GetComponent"},
		"by a tag of nothing":        {caller(t, byTag), "GetComponent", &api.GetComponentInput{ComponentBuildVersionArn: ptr(prefix + "component/none/1.0.0/1")}, "imagebuilder:GetComponent"},
		"request's tags":             {caller(t, with(`"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}`)), "TagResource", &api.TagResourceInput{ResourceArn: &component, Tags: map[string]string{"team": "x"}}, ""},
		"request's other tags":       {caller(t, with(`"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}`)), "UntagResource", &api.UntagResourceInput{ResourceArn: &component, TagKeys: []string{"cost"}}, "imagebuilder:UntagResource"},
		"metadata tokens":            {caller(t, with(`"StringEquals": {"imagebuilder:Ec2MetadataHttpTokens": "required"}`)), "CreateInfrastructureConfiguration", infrastructure, "imagebuilder:CreateInfrastructureConfiguration"},
		"topic and created tags":     {caller(t, with(`"ArnLike": {"imagebuilder:StatusTopicArn": "arn:aws:sns:*:*:t"}, "StringEquals": {"imagebuilder:CreatedResourceTag/Cost": "1"}`)), "CreateInfrastructureConfiguration", infrastructure, ""},
		"builds":                     {caller(t, allow("*", prefix+"component/web/*")), "ListComponentBuildVersions", &api.ListComponentBuildVersionsInput{ComponentVersionArn: ptr(prefix + "component/db/1.0.0")}, "imagebuilder:ListComponentBuildVersions"},
		"execution":                  {caller(t, allow("*", prefix+"workflow-execution/*")), "GetWorkflowExecution", &api.GetWorkflowExecutionInput{WorkflowExecutionId: ptr("wf-1")}, ""},
		"findings of an image":       {caller(t, allow("*", prefix+"image/a/*")), "ListImageScanFindings", &api.ListImageScanFindingsInput{Filters: []api.ImageScanFindingsFilter{{Name: ptr("imageBuildVersionArn"), Values: []string{prefix + "image/b/1.0.0/1"}}}}, "imagebuilder:ListImageScanFindings on resource: " + prefix + "image/b/1.0.0/1"},
	} {
		err := authorize(gate.New(looked(tagged), nil), c.caller, "imagebuilder", c.operation, c.in)
		if c.denied == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.denied != "" && (fault.Code(err) != "AccessDeniedException" || !strings.Contains(err.Error(), "is not authorized to perform: "+c.denied)) {
			t.Errorf("%s: %v, want a denial of %s", name, err, c.denied)
		}
	}
}

// A wildcard in a request must not be a way around a denial or a permission.
func TestWildcardsInRequests(t *testing.T) {
	t.Parallel()
	known := resources{}
	for _, asked := range []string{"component/web/x.x.x", "component/web/1.0.x", "component/web/1.0.0", "component/web/1.0.0/1"} {
		known[prefix+asked] = access.Resource{ARN: prefix + "component/web/1.0.0/1"}
	}
	managed := "arn:aws:imagebuilder:us-east-1:aws:component/update-linux/x.x.x"
	all := allow("*", "*")
	deny := func(resource string) string {
		return `{"Effect": "Deny", "Action": "*", "Resource": "` + resource + `"}`
	}
	for name, c := range map[string]struct {
		statements []string
		asked      string
		allowed    bool
	}{
		"everything":                   {[]string{allow("imagebuilder:*", "*")}, prefix + "component/web/x.x.x", true},
		"the selected one":             {[]string{allow("*", prefix+"component/web/1.0.0/1")}, prefix + "component/web/x.x.x", true},
		"another one":                  {[]string{allow("*", prefix+"component/web/1.0.0/2")}, prefix + "component/web/x.x.x", false},
		"the words of the request":     {[]string{allow("*", prefix+"component/web/x.x.x")}, prefix + "component/web/x.x.x", false},
		"a denied one":                 {[]string{all, deny(prefix + "component/web/1.0.0/1")}, prefix + "component/web/1.0.x", false},
		"denied words":                 {[]string{all, deny(prefix + "component/web/1.0.x")}, prefix + "component/web/1.0.x", false},
		"denied elsewhere":             {[]string{all, deny(prefix + "component/web/2.0.0/1")}, prefix + "component/web/1.0.x", true},
		"Amazon's, by its words":       {[]string{allow("*", managed)}, managed, true},
		"Amazon's, denied by its name": {[]string{all, deny("arn:aws:imagebuilder:*:aws:component/update-linux/*")}, managed, false},
	} {
		err := authorize(gate.New(looked(known), nil), caller(t, c.statements...), "imagebuilder", "GetComponent", &api.GetComponentInput{ComponentBuildVersionArn: &c.asked})
		if (err == nil) != c.allowed {
			t.Errorf("%s: %v, want allowed %v", name, err, c.allowed)
		}
	}
}

// What is in another account is there for nobody who was not given it, whether
// it exists or not, and the answer does not tell.
func TestOtherAccounts(t *testing.T) {
	t.Parallel()
	theirs := strings.Replace(prefix, alice, bob, 1)
	share, err := access.Parse(access.ResourceBased, `{"Statement": {"Effect": "Allow", "Principal": {"AWS": "`+alice+`"}, "Action": "imagebuilder:GetComponent", "Resource": "*"}}`)
	if err != nil {
		t.Fatal(err)
	}
	known := resources{
		theirs + "component/private/x.x.x":   {ARN: theirs + "component/private/3.1.4/15"},
		theirs + "component/shared/x.x.x":    {ARN: theirs + "component/shared/1.0.0/1", Policy: share},
		theirs + "component/shared/1.0.0/1":  {ARN: theirs + "component/shared/1.0.0/1", Policy: share},
		prefix + "component/web/1.0.0/1":     {ARN: prefix + "component/web/1.0.0/1"},
		theirs + "component/private/3.1.4/1": {ARN: theirs + "component/private/3.1.4/1"},
	}
	g := gate.New(looked(known), nil)
	admin := caller(t)
	d, err := access.NewDirectory([]access.Account{{ID: alice, Users: []access.User{{Name: "admin", Keys: []access.AccessKey{{ID: "AKIA"}}, Policies: []*access.Policy{access.Administrator}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := d.Key("AKIA")
	admin.ARN, admin.Principal = key.ARN, key.Principal
	ask := func(c identity.Caller, operation, name string) error {
		arn := theirs + name
		if operation == "DeleteComponent" {
			return authorize(g, c, "imagebuilder", operation, &api.DeleteComponentInput{ComponentBuildVersionArn: &arn})
		}
		return authorize(g, c, "imagebuilder", operation, &api.GetComponentInput{ComponentBuildVersionArn: &arn})
	}
	if err := ask(admin, "GetComponent", "component/shared/x.x.x"); err != nil {
		t.Errorf("shared: %v", err)
	}
	if err := ask(caller(t), "GetComponent", "component/shared/x.x.x"); err == nil {
		t.Error("shared with the account, and one without any permission got it")
	}
	if err := ask(admin, "DeleteComponent", "component/shared/1.0.0/1"); err == nil {
		t.Error("shared for reading, and deleted")
	}
	private, none := ask(admin, "GetComponent", "component/private/x.x.x"), ask(admin, "GetComponent", "component/none/x.x.x")
	if fault.Code(private) != "AccessDeniedException" || private.Error() != strings.ReplaceAll(none.Error(), "none", "private") {
		t.Errorf("what there is can be told from what there is not:\n%v\n%v", private, none)
	}
	if err := authorize(g, admin, "imagebuilder", "GetComponent", &api.GetComponentInput{ComponentBuildVersionArn: ptr(prefix + "component/web/1.0.0/1")}); err != nil {
		t.Errorf("own: %v", err)
	}
}

// A database that does not answer lets nobody in.
func TestErrorsLetNobodyIn(t *testing.T) {
	t.Parallel()
	err := authorize(gate.New(looked(resources{}), nil), caller(t, allow("imagebuilder:*", "*")), "imagebuilder", "GetImagePipeline", &api.GetImagePipelineInput{ImagePipelineArn: ptr(prefix + "image-pipeline/broken")})
	if err == nil || fault.Code(err) != "" || !strings.Contains(err.Error(), "the database is gone") {
		t.Errorf("%v, want the database's error", err)
	}
}

func TestCodesAndWords(t *testing.T) {
	t.Parallel()
	g := gate.New(nil, func() time.Time { return time.Unix(0, 0) })
	got := map[string]string{}
	for service, operation := range map[string]string{"ec2": "DescribeImages", "imagebuilder": "ListComponents", "sns": "ListTopics"} {
		err := authorize(g, caller(t), service, operation, nil)
		var f *fault.Error
		if !errors.As(err, &f) {
			t.Fatalf("%s: %v", service, err)
		}
		got[f.Code] = f.Message
	}
	const who = "User: arn:aws:iam::111111111111:user/ci is not authorized to perform: "
	want := map[string]string{
		"UnauthorizedOperation": "You are not authorized to perform this operation. " + who + "ec2:DescribeImages because no identity-based policy allows the ec2:DescribeImages action",
		"AuthorizationError":    who + "sns:ListTopics because no identity-based policy allows the sns:ListTopics action",
		"AccessDeniedException": who + "imagebuilder:ListComponents because no identity-based policy allows the imagebuilder:ListComponents action",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What the services beside Image Builder need.
func TestWhatTheCloudNeeds(t *testing.T) {
	t.Parallel()
	const (
		ami       = "arn:aws:ec2:us-east-1::image/ami-0123456789abcdef0"
		parameter = "arn:aws:ssm:us-east-1:111111111111:parameter/golden/web"
		topic     = "arn:aws:sns:us-east-1:111111111111:images"
	)
	all := allow("*", "*")
	own := resources{ami: {ARN: ami, Tags: map[string]string{"team": "web"}}}
	with := func(condition string) string {
		return `{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {` + condition + `}}`
	}
	copied := &apiec2.CopyImageInput{
		SourceImageId: ptr("ami-0123456789abcdef0"), SourceRegion: ptr("eu-west-1"),
		TagSpecifications: []apiec2.TagSpecification{{ResourceType: ptr(apiec2.ResourceType("image")), Tags: []apiec2.Tag{{Key: ptr("team"), Value: ptr("web")}}}},
	}
	for name, c := range map[string]struct {
		statements         []string
		service, operation string
		in                 any
		allowed            bool
	}{
		"AMI":                     {[]string{allow("ec2:DeregisterImage", ami)}, "ec2", "DeregisterImage", &apiec2.DeregisterImageInput{ImageId: ptr("ami-0123456789abcdef0")}, true},
		"another AMI":             {[]string{allow("ec2:DeregisterImage", ami)}, "ec2", "DeregisterImage", &apiec2.DeregisterImageInput{ImageId: ptr("ami-11111111111111111")}, false},
		"AMI by tag":              {[]string{with(`"StringEquals": {"aws:ResourceTag/team": "web"}`)}, "ec2", "DeregisterImage", &apiec2.DeregisterImageInput{ImageId: ptr("ami-0123456789abcdef0")}, true},
		"AMI by another tag":      {[]string{all, strings.Replace(with(`"StringEquals": {"aws:ResourceTag/team": "web"}`), "Allow", "Deny", 1)}, "ec2", "DeregisterImage", &apiec2.DeregisterImageInput{ImageId: ptr("ami-0123456789abcdef0")}, false},
		"copy":                    {[]string{allow("ec2:CopyImage", "*"), allow("ec2:CreateTags", "*")}, "ec2", "CopyImage", copied, true},
		"copy without its tags":   {[]string{allow("ec2:CopyImage", "*")}, "ec2", "CopyImage", copied, false},
		"copy from elsewhere":     {[]string{all, `{"Effect": "Deny", "Action": "ec2:CopyImage", "Resource": "arn:aws:ec2:eu-west-1::image/*"}`}, "ec2", "CopyImage", copied, false},
		"tags of a snapshot":      {[]string{allow("ec2:CreateTags", "arn:aws:ec2:*::image/*")}, "ec2", "CreateTags", &apiec2.CreateTagsInput{Resources: []string{"ami-0123456789abcdef0", "snap-0123456789abcdef0"}}, false},
		"parameter":               {[]string{allow("ssm:GetParameter", parameter)}, "ssm", "GetParameter", &apissm.GetParameterInput{Name: ptr("/golden/web:3")}, true},
		"parameter by ARN":        {[]string{allow("ssm:GetParameter", parameter)}, "ssm", "GetParameter", &apissm.GetParameterInput{Name: ptr(parameter)}, true},
		"another's parameter":     {[]string{all}, "ssm", "GetParameter", &apissm.GetParameterInput{Name: ptr(strings.Replace(parameter, alice, bob, 1))}, false},
		"one of two parameters":   {[]string{allow("ssm:GetParameters", parameter)}, "ssm", "GetParameters", &apissm.GetParametersInput{Names: []string{"/golden/web", "/golden/db"}}, false},
		"overwriting a parameter": {[]string{with(`"Bool": {"ssm:Overwrite": "false"}`)}, "ssm", "PutParameter", &apissm.PutParameterInput{Name: ptr("/golden/web"), Overwrite: ptr(true)}, false},
		"all below a path":        {[]string{with(`"Bool": {"ssm:Recursive": "false"}`)}, "ssm", "GetParametersByPath", &apissm.GetParametersByPathInput{Path: ptr("/golden"), Recursive: ptr(true)}, false},
		"publish":                 {[]string{allow("sns:Publish", topic)}, "sns", "Publish", &apisns.PublishInput{TopicArn: ptr(topic)}, true},
		"publish elsewhere":       {[]string{all}, "sns", "Publish", &apisns.PublishInput{TopicArn: ptr(strings.Replace(topic, alice, bob, 1))}, false},
		"subscribe by mail":       {[]string{with(`"StringEquals": {"sns:Protocol": "https"}`)}, "sns", "Subscribe", &apisns.SubscribeInput{TopicArn: ptr(topic), Protocol: ptr("email")}, false},
		"new topic without tags":  {[]string{allow("sns:CreateTopic", topic)}, "sns", "CreateTopic", &apisns.CreateTopicInput{Name: ptr("images"), Tags: []apisns.Tag{{Key: ptr("a"), Value: ptr("b")}}}, false},
	} {
		g := gate.New(map[string]gate.Resources{"ec2": own}, nil)
		if err := authorize(g, caller(t, c.statements...), c.service, c.operation, c.in); (err == nil) != c.allowed {
			t.Errorf("%s: %v, want allowed %v", name, err, c.allowed)
		}
	}
}
