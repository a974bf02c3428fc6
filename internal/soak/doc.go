// Package soak runs a daemon for a year of compressed time, against servers that are
// healthy, slow, or fail for hours or for ever, with reloads, restarts, suspends and
// clocks that are set, and checks that nothing grows: memory, descriptors, goroutines,
// the state file. Each message arrives once, and each failure is told of as package
// incident promises.
//
// It holds only tests. The scheduler, the polls, the POP3 client and the state file are
// the real ones; time passes in testing/synctest. go test runs some weeks;
// POPFETCH_SOAK=1 in the environment, as in make soak, a year.
package soak
