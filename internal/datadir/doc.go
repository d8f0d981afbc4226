// Package datadir is the server's data folder: its lock, its layout, and the
// credentials and config files in the AWS tools' format that make a stock
// client work against this server.
//
// It is a leaf.
package datadir
