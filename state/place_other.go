//go:build !linux

package state

// checkPlace refuses nothing: each system names its file systems differently.
func checkPlace(string) error { return nil }
