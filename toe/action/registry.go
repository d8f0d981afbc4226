package action

import "slices"

var (
	everywhere  = []string{Linux, Windows, Darwin}
	notWindows  = []string{Linux, Darwin}
	onlyWindows = []string{Windows}
	notDarwin   = []string{Linux, Windows}
)

// Names lists every module of the language in alphabetical order, also those
// that this platform does not have.
func Names() []string {
	names := make([]string, 0, len(modules))
	for i := range modules {
		names = append(names, modules[i].Name)
	}
	slices.Sort(names)
	return names
}

// Lookup gives a module by its name, or nil. Names are case-sensitive.
func Lookup(name string) *Module { return byName[name] }

var byName = func() map[string]*Module {
	m := make(map[string]*Module, len(modules))
	for i := range modules {
		m[modules[i].Name] = &modules[i]
	}
	return m
}()

// Fields that several modules have in the same form.
var (
	pathField     = Field{Name: "path", Required: true, NotEmpty: true}
	wildPath      = Field{Name: "path", Required: true, NotEmpty: true, check: checkWildcard}
	wildSource    = Field{Name: "source", Required: true, NotEmpty: true, check: checkWildcard}
	destination   = Field{Name: "destination", Required: true, NotEmpty: true}
	overwrite     = Field{Name: "overwrite", Type: Bool, Default: "true"}
	encodingField = Field{Name: "encoding", Default: "utf8", check: checkEncoding}
	owner         = Field{Name: "owner", NotOn: onlyWindows, NotEmpty: true}
	group         = Field{Name: "group", NotOn: onlyWindows, NotEmpty: true}
	permissions   = Field{Name: "permissions", NotOn: onlyWindows, check: checkPermissions}
	recursive     = Field{Name: "recursive", Type: Bool, Default: "true"}
	bucketOwner   = Field{Name: "expectedBucketOwner", check: checkAccountID}
	commands      = Field{Name: "commands", Type: Strings, Required: true}
	s3Source      = Field{Name: "source", Required: true, NotEmpty: true, check: checkS3}
	s3Destination = Field{Name: "destination", Required: true, NotEmpty: true, check: checkS3}
	msiFields     = []Field{
		pathField,
		{Name: "reboot", Default: "Allow", Values: []string{"Allow", "Force", "Skip"}},
		{Name: "logOptions", Default: "*VX", check: checkMSILogOptions},
		{Name: "logFile"},
		{Name: "properties", Type: StringMap},
		{Name: "ignoreAuthenticodeSignatureErrors", Type: Bool, Default: "false"},
		{Name: "allowUnsignedInstaller", Type: Bool, Default: "false"},
	}
	msiOutputs   = []string{"logFile", "msiExitCode", "stdout"}
	installMSI   = &installer{module: "InstallMSI", verb: "/i", signature: signatureOf, installed: productOf}
	uninstallMSI = &installer{module: "UninstallMSI", verb: "/x", signature: signatureOf, installed: productOf}
)

func required(f Field) Field { f.Required = true; return f }

// modules are all actions of the language, in the order of the user guide
// (toe-action-modules.html).
var modules = []Module{
	// General execution.
	{Name: "Assert", Platforms: everywhere, Shape: Condition, run: runAssert},
	{Name: "ExecuteBash", Platforms: notWindows, Fields: []Field{commands}, Outputs: []string{"stdout"}, run: runExecuteBash},
	{
		Name: "ExecuteBinary", Platforms: everywhere,
		Fields:  []Field{pathField, {Name: "arguments", Type: Strings}},
		Outputs: []string{"stdout"}, run: runExecuteBinary,
	},
	{
		Name: "ExecuteDocument", Platforms: everywhere, Once: true,
		Fields: []Field{
			{Name: "document", Required: true, NotEmpty: true},
			{Name: "document-s3-bucket-owner", check: checkAccountID},
			{Name: "phases"},
			{Name: "parameters", Type: Pairs},
		},
		Outputs: []string{"executedStepCount", "executionId", "failedStepCount", "failureMessage", "ignoredFailedStepCount", "logUrl", "status"},
		run:     runExecuteDocument,
	},
	{
		Name: "ExecutePowerShell", Platforms: onlyWindows,
		Fields: []Field{{Name: "commands", Type: Strings}, {Name: "file", NotEmpty: true}},
		OneOf:  []string{"commands", "file"}, Outputs: []string{"stdout"}, run: runExecutePowerShell,
	},

	// Transfer.
	{
		Name: "S3Download", Platforms: everywhere, Shape: List,
		Fields: []Field{s3Source, destination, bucketOwner, overwrite}, run: each(s3Download),
	},
	{
		Name: "S3Upload", Platforms: everywhere, Shape: List,
		Fields: []Field{wildSource, s3Destination, {Name: "recurse", Type: Bool, Default: "false"}, bucketOwner}, run: each(s3Upload),
	},
	{
		Name: "WebDownload", Platforms: everywhere, Shape: List,
		Fields: []Field{
			{Name: "source", Required: true, NotEmpty: true, check: checkHTTP},
			destination, overwrite,
			{Name: "checksum", check: checkHex},
			{Name: "algorithm", Values: []string{"MD5", "SHA1", "SHA256", "SHA512"}},
			{Name: "ignoreCertificateErrors", Type: Bool, Default: "false"},
		},
		Outputs: []string{"destination"}, run: runWebDownload,
	},

	// Files and folders.
	{
		Name: "AppendFile", Platforms: everywhere, Shape: List,
		Fields: []Field{pathField, {Name: "content"}, encodingField}, run: each(appendFile),
	},
	{
		Name: "CopyFile", Platforms: everywhere, Shape: List,
		Fields: []Field{wildSource, destination, overwrite}, run: each(copyFiles),
	},
	{Name: "CopyFolder", Platforms: everywhere, Shape: List, Fields: []Field{wildSource, destination, overwrite}, run: each(copyFolders)},
	{
		Name: "CreateFile", Platforms: everywhere, Shape: List,
		Fields: []Field{pathField, {Name: "content"}, encodingField, owner, group, permissions, overwrite}, run: each(createFile),
	},
	{
		Name: "CreateFolder", Platforms: everywhere, Shape: List,
		Fields: []Field{pathField, owner, group, permissions, overwrite}, run: each(createFolder),
	},
	{
		Name: "CreateSymlink", Platforms: notWindows, Shape: List,
		Fields: []Field{pathField, {Name: "target", Required: true, NotEmpty: true}, {Name: "force", Type: Bool, Default: "false"}},
		run:    each(createSymlink),
	},
	{
		Name: "DeleteFile", Platforms: everywhere, Shape: List,
		Fields: []Field{wildPath, {Name: "force", Type: Bool, Ignored: "DeleteFile has no such input"}}, run: each(deleteFiles),
	},
	{
		Name: "DeleteFolder", Platforms: everywhere, Shape: List,
		Fields: []Field{pathField, {Name: "force", Type: Bool, Default: "false"}},
		run:    each(deleteFolder),
	},
	{
		Name: "ListFiles", Platforms: everywhere, Shape: List,
		Fields:  []Field{pathField, {Name: "fileNamePattern"}, {Name: "recursive", Type: Bool, Default: "false"}},
		Outputs: []string{"files"},
		run:     each(listFiles),
	},
	{Name: "MoveFile", Platforms: everywhere, Shape: List, Fields: []Field{wildSource, destination, overwrite}, run: each(moveFiles)},
	{Name: "MoveFolder", Platforms: everywhere, Shape: List, Fields: []Field{wildSource, destination, overwrite}, run: each(moveFolders)},
	{
		Name: "ReadFile", Platforms: everywhere, Shape: List,
		Fields:  []Field{pathField, encodingField, {Name: "printFileContent", Type: Bool, Default: "false"}},
		Outputs: []string{"content"}, run: each(readFile),
	},
	{Name: "SetFileEncoding", Platforms: everywhere, Shape: List, Fields: []Field{pathField, encodingField}, run: each(setFileEncoding)},
	{Name: "SetFileOwner", Platforms: notWindows, Shape: List, Fields: []Field{pathField, required(owner), group}, run: each(setFileOwner)},
	{Name: "SetFolderOwner", Platforms: notWindows, Shape: List, Fields: []Field{pathField, required(owner), group, recursive}, run: each(setFolderOwner)},
	{Name: "SetFilePermissions", Platforms: notWindows, Shape: List, Fields: []Field{pathField, required(permissions)}, run: each(setFilePermissions)},
	{Name: "SetFolderPermissions", Platforms: notWindows, Shape: List, Fields: []Field{pathField, required(permissions), recursive}, run: each(setFolderPermissions)},

	// Software installation.
	{Name: "InstallMSI", Platforms: onlyWindows, Fields: msiFields, Outputs: msiOutputs, run: installMSI.run},
	{Name: "UninstallMSI", Platforms: onlyWindows, Fields: msiFields, Outputs: msiOutputs, run: uninstallMSI.run},

	// System.
	{
		Name: "Reboot", Platforms: notDarwin, Optional: true, Endless: true,
		Fields: []Field{{Name: "delaySeconds", Type: Int, Default: "0", check: checkNotNegative}}, run: runReboot,
	},
	{
		Name: "SetRegistry", Platforms: onlyWindows, Shape: List,
		Fields: []Field{
			{Name: "path", Required: true, NotEmpty: true, check: checkRegistryPath},
			{Name: "name", Required: true},
			{Name: "value", Type: Any, Required: true},
			{Name: "type", Required: true, Values: registryTypes},
		},
		run: each(setRegistry),
	},
	{
		Name: "UpdateOS", Platforms: notDarwin, Optional: true,
		Fields: []Field{{Name: "include", Type: Strings}, {Name: "exclude", Type: Strings}},
		run:    runUpdateOS,
	},
}
