// Package simulate polls simulated maildrops for a simulated year each, and checks that
// no message is lost, repeated, or deleted too early.
//
// It holds only tests. Each seed chooses a server with the habits of real ones, an
// account, a destination and what happens in the year: mail comes, other clients delete,
// backups are restored, unique-ids change, connections break, popfetch crashes, clocks
// jump. The poll is that of package fetch, over the POP3 client and the server of
// pop3test. Server, state and destination are in memory, so that a poll takes well under
// a millisecond; some seeds have a state file and a Maildir.
//
// go test runs a sample. POPFETCH_TORTURE=1 in the environment runs at least 1,000
// maildrop-years, POPFETCH_SIMULATE=SEED one of them with a log of what happens, and
// POPFETCH_SIMULATE=FIRST-LAST those of a range of seeds.
package simulate
