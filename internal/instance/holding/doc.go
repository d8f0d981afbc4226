// Package holding is what an instance of any kind takes of the host beside its
// processes: its folder with a record for the sweep, its logs, its control
// groups, the rules of its network and its metadata. One piece makes them in
// their order, gives them back, and sweeps what a dead server left.
package holding
