// Package shell finds failures that a bash script hides: commands whose exit
// status nothing looks at. It knows bash and nothing of component documents;
// package toe joins a step's commands, calls it, and finds the lines.
package shell
