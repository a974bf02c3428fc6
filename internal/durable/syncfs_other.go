//go:build !linux

package durable

// SyncFS implements Dir.
func (d *osDir) SyncFS() (done bool, err error) { return false, nil }
