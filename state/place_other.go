//go:build !linux

package state

// checkPlace refuses nothing: what a file system is called differs too much.
func checkPlace(string) error { return nil }
