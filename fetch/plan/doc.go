// Package plan decides what a poll does with each message of a maildrop, and
// why. It is pure: it reads no clock, opens no file and talks to no server.
//
// New compares the server's listing with the records of earlier polls. Where a
// unique-id is not enough to decide, the plan asks in Plan.Look for the header
// blocks of messages. The caller gets these from the server and calls New again
// with what was Shown, until Look is empty. If even that does not tell whether a
// message was delivered before, Plan.Compare is set: the caller then looks up
// each received message in Unclaimed.
//
// The identity of a message is here too: the id under which it is recorded, its
// Fingerprint, and the delivery id that receivers see.
package plan
