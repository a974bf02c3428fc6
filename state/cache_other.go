//go:build !linux

package state

import "go.etcd.io/bbolt"

// forgetCache does nothing here.
func forgetCache(string) {}

// mapping does nothing here.
type mapping struct{}

func (*Bolt) mapping(*bbolt.Tx) mapping { return mapping{} }

func (mapping) forget() {}
