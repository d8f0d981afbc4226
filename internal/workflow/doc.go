// Package workflow reads and checks workflow documents: the YAML that says
// which steps an image's build, test and distribution stages run, with their
// parameters, conditions and references (User Guide, "Create a YAML workflow
// document", "Use dynamic variables", "Supported step actions").
//
// It knows the step actions by a catalogue of names, inputs, outputs and time
// limits, and runs none of them; the engine does. The service parses documents
// with it when they are created, the engine when they are run.
package workflow
