// Package settle takes received messages through the order of safety: a message
// is made durable, its delivery is recorded, it is published, and only then may the
// server's copy go.
//
// A Settler collects the messages of one session in groups and settles one group at
// a time in a goroutine of its own, while the next messages are received: neither
// the disk waits for the network nor the network for the disk.
//
//	Prepare  the destination makes the group durable, still invisible
//	Intend   one transaction records the intents: the messages count as seen
//	Publish  the destination makes them visible, and that is durable too
//
// The Ledger holds what is yet to be recorded; that intents are done rides in the
// transaction of the next group. If a transaction fails, it is not known what is
// recorded: nothing may be deleted then.
package settle
