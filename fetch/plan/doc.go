// Package plan decides what a poll does with each message of a maildrop, and
// why. It is pure: it reads no clock, opens no file and talks to no server.
//
// A plan is made in two steps. New compares the server's listing with the
// records of earlier polls. It cannot decide about every message: those in
// Plan.Verify need a look at their header block first. The caller asks the
// server for these header blocks and hands what it was shown to the second
// step, a Review. A maildrop whose unique-ids have all changed gets the same
// look with a Match instead.
//
// The identity of a message is here too: the id it is recorded under, the
// digest of its header block, and the delivery id that receivers see.
package plan
