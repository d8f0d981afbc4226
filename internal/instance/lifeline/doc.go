// Package lifeline starts processes that end when the process that started
// them ends, however that happens, SIGKILL included.
//
// A helper is the running program itself under another name, so that it needs
// no wiring in main and no file that an upgrade could replace: a package
// declares it in its init with Helper and starts it with Start. Both talk over
// one socket, the lifeline: when it closes, the helper goes.
package lifeline
