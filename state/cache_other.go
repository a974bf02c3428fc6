//go:build !linux

package state

import "go.etcd.io/bbolt"

// forgetCache does nothing: there is no way to ask for it here.
func forgetCache(string) {}

// mapping does nothing: there is no way to ask for it here.
type mapping struct{}

func (*Bolt) mapping(*bbolt.Tx) mapping { return mapping{} }

func (mapping) forget() {}
