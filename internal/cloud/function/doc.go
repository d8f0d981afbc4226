// Package function runs what the configuration names in the place of Lambda
// functions and Step Functions state machines: a program of this machine, or a
// web service. Steps of workflows call them, so that a workflow document that
// names such an ARN runs unchanged.
//
// It stands beside the events of the cloud and knows nothing of images: it takes
// JSON and gives what the function answered.
package function
