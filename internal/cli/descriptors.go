package cli

import (
	"golang.org/x/sys/unix"
)

const (
	// ownDescriptors is how many file descriptors the process needs for itself:
	// state file, lock, poller, a program that it runs.
	ownDescriptors = 24
	// pollDescriptors is how many a poll needs in addition to those of its
	// messages: connection, name look-up, the directories of a Maildir.
	pollDescriptors = 8
	// minFiles is how many messages each poll should be able to keep open.
	minFiles = 4
)

// descriptors returns the limit on open files (getrlimit(2)). The Go runtime has
// raised it to the hard limit.
func descriptors() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return uint64(limit.Cur)
}

// fewestSpare is how many polls that take long may be under way beside the others, at
// least, if there are descriptors for them.
const fewestSpare = 16

// share divides limit file descriptors: it returns how many polls of the accounts may
// run at once, at most parallel, how many more if these take long, and how many files
// of messages each of all these may keep open. polls and files are at least 1. If that
// is too much, opening a file fails with an error that says so.
func share(limit uint64, parallel, accounts int) (polls, spare, files int) {
	free := int(min(limit, 1<<20)) - ownDescriptors
	possible := min(accounts, max(1, free/(pollDescriptors+minFiles)))
	polls = min(parallel, accounts)
	spare = min(max(parallel, fewestSpare), accounts-1)
	if possible < accounts {
		spare = min(spare, possible/2)
		polls = min(polls, possible-spare)
	}
	together := min(polls+spare, accounts)
	return polls, spare, max(1, free/together-pollDescriptors)
}
