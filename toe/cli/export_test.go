package cli

// SplitParameters is for the package's tests.
var SplitParameters = splitParameters
