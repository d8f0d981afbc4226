// Package server is the process 'goldsmith serve': it takes the data folder,
// puts store, disks, cloud, engine, service and wire together, serves them on
// one port, and lets them go in order.
//
// It stands at the top of the picture; only cmd/goldsmith imports it.
package server
