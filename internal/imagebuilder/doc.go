// Package imagebuilder is the EC2 Image Builder service: the resources, their
// rules and their errors, one file per resource.
//
// It stands between the wire, which calls it through the generated interface,
// and the engine, which it gives plans (Service is an engine.Resolver) and which
// reports to it what becomes of images (Service is an engine.Recorder).
// Resources are rows of the store: what the API shows is the row's document,
// kept as it was sent, so that absent, empty, false and zero come back as such.
package imagebuilder
