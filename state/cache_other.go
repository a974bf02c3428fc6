//go:build !linux

package state

// forgetCache does nothing: there is no way to ask for it here.
func forgetCache(string) {}
