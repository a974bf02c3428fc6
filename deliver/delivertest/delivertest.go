// Package delivertest tests the promises of deliver.Destination. Every kind of
// destination has to pass it.
//
// A new kind calls Run from its own tests with a function that makes a new, empty place
// for mail, and needs four things for that: a way to read what was delivered
// (a server or program of the test, say), a way to see what a delivery has left
// behind, its Recover, and, where its calls to the outside go through an
// interface, a Faults that makes each of them fail. Run then demands:
//
//   - The octets of a message arrive as Fixture.Stored says, whatever they are.
//   - Readers see nothing before Publish, and never a part of a message.
//   - A message that is given up, or whose reader fails, leaves nothing behind.
//   - A bad member of a group does not harm the others.
//   - An ended context ends Stage and Prepare.
//   - Stage may run at the same time as Prepare and Publish, and two destinations may
//     deliver to one place.
//   - Whichever call fails, and wherever the process is killed, each message is delivered
//     in the end: once, or where Recover cannot say what became of it at most twice.
//
// What a kind does about its own protocol, its refusals and its time limits is for its
// own tests.
package delivertest

import (
	"context"
	"strings"
	"testing"

	"popfetch/deliver"
)

// Fixture is one place that takes mail, new and empty for each test.
type Fixture struct {
	// Open opens a destination on the place. It is called more than once, also
	// while another one is open.
	Open func() deliver.Destination
	// Recover decides what became of an intent, as of a process that is gone.
	Recover func(context.Context, deliver.Intent) (deliver.Outcome, error)
	// Faults makes calls of the destinations and of Recover fail, nil = it cannot
	// be done.
	Faults Faults
	// Stored returns how a reader sees a message that came with these octets:
	// what the destination does to line ends, and nothing else. See LF.
	Stored func(wire string) string
	// Delivered returns the messages that a reader sees, in any order.
	Delivered func() []string
	// Leftovers returns the names of what deliveries have left behind and no
	// reader sees: one for each message, if any.
	Leftovers func() []string
}

// LF is Fixture.Stored of a destination that stores what deliver.NewLFReader returns.
func LF(wire string) string { return strings.ReplaceAll(wire, "\r\n", "\n") }

// Run runs the tests, each with its own Fixture. What it cleans up belongs to the
// t that setup is given.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *place)
	}{
		{"bytes arrive as they are", testBytes},
		{"nothing is visible before Publish", testInvisible},
		{"Abort leaves nothing", testAbort},
		{"Abort after Publish does nothing", testAbortAfterPublish},
		{"a read error leaves nothing", testReadError},
		{"ErrUnexpectedEOF is not the end", testUnexpectedEOF},
		{"a group", testGroup},
		{"a bad member does not harm the others", testBadMember},
		{"ctx ended", testCancelled},
		{"two destinations at one place", testTwo},
		{"Stage and Abort beside Prepare and Publish", testConcurrent},
		{"a slow message holds up no other", testSlow},
		{"Recover before Publish", testRecoverBeforePublish},
		{"Recover after Publish", testRecoverAfterPublish},
		{"Close is idempotent", testClose},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t, setup)) })
	}
	t.Run("each call fails", func(t *testing.T) { testFaults(t, setup) })
	t.Run("each call of Recover fails", func(t *testing.T) { testFaultsInRecover(t, setup) })
}
