// Command apigen turns AWS service models into the Go packages below api/:
// shapes, constraints and their checks, error codes, routes, and an interface
// per service. It knows nothing about HTTP; internal/wire serves what it makes.
//
//	go run ./internal/apigen -model DIR            writes api/
//	go run ./internal/apigen -model DIR -verify    fails if api/ is not current
//
// DIR is the data folder of a botocore release (api/fetch-models.sh gets the
// pinned one and prints its path). The same models and configuration always
// give the same bytes. Whatever the generator does not understand, such as a
// pattern that RE2 cannot check, is an error and never a guess.
package main
