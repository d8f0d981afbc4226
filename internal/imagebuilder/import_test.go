package imagebuilder_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/goldsmith-build/goldsmith/api/imagebuilder"
	"github.com/goldsmith-build/goldsmith/toe"
	_ "github.com/goldsmith-build/goldsmith/toe/action"
)

func (f *fixture) importInput(name, script string) *api.ImportComponentInput {
	return &api.ImportComponentInput{
		Name: p(name), SemanticVersion: p("1.0.0"), Type: p(api.ComponentTypeBuild), Format: p(api.ComponentFormatShell), Platform: p(api.PlatformLinux), Data: p(script), ClientToken: f.token(),
	}
}

func (f *fixture) get(arn string) *api.Component {
	f.Helper()
	return must(f.GetComponent(f.ctx, &api.GetComponentInput{ComponentBuildVersionArn: p(arn)}))(f).Component
}

// The component of a script does what the script does, also with what would be
// references in a document.
func TestImportedScriptRunsAsItWas(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash:", err)
	}
	f := open(t)
	dir := t.TempDir()
	script := "set -e\nname='{{ Name }} {{{ x }}} {{ OpeningBraces }}'\ncat > out <<'END'\n# a: \"b\" \\ $HOME\n\ttab: {{.Go}} {{ph.step.outputs.x}}\nEND\nprintf '%s\\n' \"$name\" >> out\n"
	in := f.importInput("script", script)
	in.Description = p("what it is: \"quoted\"\n- and more")
	out := must(f.ImportComponent(f.ctx, in))(t)
	same(t, "ARN", *out.ComponentBuildVersionArn, prefix+"component/script/1.0.0/1")
	c := f.get(*out.ComponentBuildVersionArn)
	same(t, "type", *c.Type, api.ComponentTypeBuild)
	same(t, "parameters", len(c.Parameters), 0)
	result, err := toe.Run(context.Background(), toe.Options{
		Documents: []toe.Source{{Path: "script.yaml", Data: []byte(*c.Data)}}, LogDirectory: filepath.Join(dir, "logs"), StateDirectory: filepath.Join(dir, "state"), Dir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatalf("%v; the result was %+v", err, result)
	}
	same(t, "output", string(got), "# a: \"b\" \\ $HOME\n\ttab: {{.Go}} {{ph.step.outputs.x}}\n{{ Name }} {{{ x }}} {{ OpeningBraces }}\n")
}

func TestImportComponent(t *testing.T) {
	t.Parallel()
	f := open(t)
	folder := filepath.Join(f.dir, "s3", "scripts")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"good": "echo hello\n", "binary": "\xff\xfe", "empty": "", "long": strings.Repeat("{{", 20000)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := f.importInput("tests", "")
	in.Data, in.Uri, in.Type, in.Tags, in.KmsKeyId = nil, p("s3://scripts/good"), p(api.ComponentTypeTest), map[string]string{"t": "v"}, p("key")
	c := f.get(*must(f.ImportComponent(f.ctx, in))(t).ComponentBuildVersionArn)
	if *c.Type != api.ComponentTypeTest || c.Tags["t"] != "v" || *c.KmsKeyId != "key" || !strings.Contains(*c.Data, "name: test") || !strings.Contains(*c.Data, "ExecuteBash") {
		t.Errorf("component %+v\n%s", c, *c.Data)
	}
	windows := f.importInput("windows", "Write-Host hello")
	windows.Platform = p(api.PlatformWindows)
	if c := f.get(*must(f.ImportComponent(f.ctx, windows))(t).ComponentBuildVersionArn); !strings.Contains(*c.Data, "ExecutePowerShell") {
		t.Error(*c.Data)
	}
	first := must(f.ImportComponent(f.ctx, f.importInput("builds", "echo 1")))(t)
	_, err := f.ImportComponent(f.ctx, f.importInput("builds", "echo 1"))
	wantFault(t, err, "ResourceAlreadyExistsException", *first.ComponentBuildVersionArn)
	same(t, "next build", *must(f.ImportComponent(f.ctx, f.importInput("builds", "echo 2")))(t).ComponentBuildVersionArn, prefix+"component/builds/1.0.0/2")
	for name, test := range map[string]struct {
		change func(*api.ImportComponentInput)
		code   string
		part   string
	}{
		"neither":  {func(in *api.ImportComponentInput) { in.Data = nil }, "InvalidParameterCombinationException", "either data or uri"},
		"both":     {func(in *api.ImportComponentInput) { in.Uri = p("s3://scripts/good") }, "InvalidParameterCombinationException", "and not both"},
		"wildcard": {func(in *api.ImportComponentInput) { in.SemanticVersion = p("1.0.x") }, "InvalidVersionNumberException", "wildcards"},
		"binary":   {func(in *api.ImportComponentInput) { in.Data, in.Uri = nil, p("s3://scripts/binary") }, "InvalidParameterValueException", "'uri' is not valid. It must be a script in UTF-8"},
		"empty":    {func(in *api.ImportComponentInput) { in.Data, in.Uri = nil, p("s3://scripts/empty") }, "InvalidParameterValueException", "not empty"},
		"grown":    {func(in *api.ImportComponentInput) { in.Data, in.Uri = nil, p("s3://scripts/long") }, "InvalidParameterValueException", "longer than 65536 bytes"},
		"missing":  {func(in *api.ImportComponentInput) { in.Data, in.Uri = nil, p("s3://scripts/none") }, "InvalidParameterValueException", "does not exist"},
	} {
		in := f.importInput("bad", "echo hello")
		test.change(in)
		_, err := f.ImportComponent(f.ctx, in)
		t.Run(name, func(t *testing.T) { wantFault(t, err, test.code, test.part) })
	}
}

func TestImportsThatThisServerCannotDo(t *testing.T) {
	t.Parallel()
	f := open(t)
	vm := func(change func(*api.ImportVmImageInput)) error {
		in := &api.ImportVmImageInput{Name: p("My VM"), SemanticVersion: p("1.0.0"), Platform: p(api.PlatformLinux), VmImportTaskId: p("import-ami-0123456789abcdef0"), ClientToken: f.token()}
		change(in)
		_, err := f.ImportVmImage(f.ctx, in)
		return err
	}
	wantFault(t, vm(func(*api.ImportVmImageInput) {}), "ClientException", "import-ami-0123456789abcdef0", "goldsmith base import FILE --name my-vm", "arn:aws:imagebuilder:us-east-1:aws:image/my-vm/x.x.x")
	wantFault(t, vm(func(in *api.ImportVmImageInput) { in.VmImportTaskId = p("ami-1") }), "InvalidParameterValueException", "vmImportTaskId")
	wantFault(t, vm(func(in *api.ImportVmImageInput) { in.SemanticVersion = p("1.0") }), "InvalidVersionNumberException")
	infra := f.infrastructure("infra")
	disk := func(change func(*api.ImportDiskImageInput)) error {
		in := &api.ImportDiskImageInput{
			Name: p("Win 11"), SemanticVersion: p("1.0.0"), Platform: p("Windows"), OsVersion: p("Microsoft Windows 11"), InfrastructureConfigurationArn: p(infra), Uri: p("s3://bucket/windows.ISO"),
			WindowsConfiguration: &api.WindowsConfiguration{ImageIndex: p(int64(1))}, ClientToken: f.token(),
		}
		change(in)
		_, err := f.ImportDiskImage(f.ctx, in)
		return err
	}
	wantFault(t, disk(func(*api.ImportDiskImageInput) {}), "ClientException", "installation disks", "goldsmith base import FILE --name win-11")
	for part, change := range map[string]func(*api.ImportDiskImageInput){
		"'platform'":                      func(in *api.ImportDiskImageInput) { in.Platform = p("Linux") },
		"'osVersion'":                     func(in *api.ImportDiskImageInput) { in.OsVersion = p("Microsoft Windows 10") },
		"'uri'":                           func(in *api.ImportDiskImageInput) { in.Uri = p("s3://bucket/windows.img") },
		"Invalid S3 URI":                  func(in *api.ImportDiskImageInput) { in.Uri = p("https://bucket/windows.iso") },
		"windowsConfiguration.imageIndex": func(in *api.ImportDiskImageInput) { in.WindowsConfiguration = nil },
		"'infrastructureConfigurationArn'": func(in *api.ImportDiskImageInput) {
			in.InfrastructureConfigurationArn = p(prefix + "infrastructure-configuration/none")
		},
	} {
		wantFault(t, disk(change), "InvalidParameterValueException", part)
	}
	wantFault(t, disk(func(in *api.ImportDiskImageInput) {
		in.RegisterImageOptions = &api.RegisterImageOptions{SecureBootEnabled: p(false), UefiData: p("x")}
	}), "InvalidParameterCombinationException", "uefiData")
	wantFault(t, disk(func(in *api.ImportDiskImageInput) {
		in.LoggingConfiguration = &api.ImageLoggingConfiguration{LogGroupName: p("mine")}
	}), "InvalidParameterCombinationException", "executionRole")
}

func TestFindingsAreEmpty(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, name := range []string{"", "imageBuildVersionArn", "imagePipelineArn", "vulnerabilityId", "severity"} {
		in := &api.ListImageScanFindingsInput{}
		if name != "" {
			in.Filters = []api.ImageScanFindingsFilter{{Name: p(name), Values: []string{"HIGH"}}}
		}
		if out := must(f.ListImageScanFindings(f.ctx, in))(t); out.Findings == nil || len(out.Findings) > 0 || out.NextToken != nil {
			t.Errorf("%s: %+v", name, out)
		}
	}
	_, err := f.ListImageScanFindings(f.ctx, &api.ListImageScanFindingsInput{Filters: []api.ImageScanFindingsFilter{{Name: p("accountId"), Values: []string{"x"}}}})
	wantFault(t, err, "InvalidParameterValueException", "filters[0].name", "severity")
	_, err = f.ListImageScanFindings(f.ctx, &api.ListImageScanFindingsInput{NextToken: p("x")})
	wantFault(t, err, "InvalidPaginationTokenException")
	for name, want := range map[string]string{"": "accountId", "accountId": "accountId", "imageBuildVersionArn": "imageBuildVersionArn", "imagePipelineArn": "imagePipelineArn", "vulnerabilityId": "vulnerabilityId"} {
		in := &api.ListImageScanFindingAggregationsInput{}
		if name != "" {
			in.Filter = &api.Filter{Name: p(name), Values: []string{"x"}}
		}
		out := must(f.ListImageScanFindingAggregations(f.ctx, in))(t)
		same(t, name, *out.AggregationType, want)
		if out.Responses == nil || len(out.Responses) > 0 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	_, err = f.ListImageScanFindingAggregations(f.ctx, &api.ListImageScanFindingAggregationsInput{Filter: &api.Filter{Name: p("severity"), Values: []string{"x"}}})
	wantFault(t, err, "InvalidParameterValueException", "filter.name")
	_, err = f.ListImageScanFindingAggregations(f.ctx, &api.ListImageScanFindingAggregationsInput{NextToken: p("x")})
	wantFault(t, err, "InvalidPaginationTokenException")
}

func TestNoMarketplace(t *testing.T) {
	t.Parallel()
	f := open(t)
	ask := func(arn string, kind api.MarketplaceResourceType) error {
		_, err := f.GetMarketplaceResource(f.ctx, &api.GetMarketplaceResourceInput{ResourceArn: p(arn), ResourceType: p(kind)})
		return err
	}
	const sold = "arn:aws:imagebuilder:us-east-1:aws-marketplace:component/cis/1.0.0/1"
	wantFault(t, ask(sold, api.MarketplaceResourceTypeComponentData), "ForbiddenException", "has no subscription to the product of '"+sold+"'")
	wantFault(t, ask(sold, api.MarketplaceResourceTypeComponentArtifact), "InvalidParameterValueException", "resourceLocation")
	wantFault(t, ask(prefix+"component/mine/1.0.0/1", api.MarketplaceResourceTypeComponentData), "InvalidParameterValueException", "not the ARN of a resource of the Marketplace")
}
