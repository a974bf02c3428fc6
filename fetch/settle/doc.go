// Package settle takes received messages through the order of safety: a message
// is made durable, its delivery is recorded, it is published, and only then may the
// server's copy go.
//
// A Settler collects the messages of one session in groups and settles one group at
// a time in its own goroutine, while the next messages are received: the disk does not
// wait for the network, nor the network for the disk.
//
//	Prepare  the destination makes the group durable, still invisible
//	Intend   one transaction records the intents: the messages count as seen
//	Publish  the destination makes them visible, and that is durable too
//
// The Ledger holds what is yet to be recorded. The transaction of the next group also
// records that the intents of this one are done. If a transaction fails, it is not known
// what is recorded, and nothing may be deleted.
package settle
