//go:build !linux

package durable

// Room returns false: how much room there is is not known.
func Room(string) (octets int64, known bool) { return 0, false }
