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

// share divides limit file descriptors: it returns how many of the wanted polls may
// run at once, and how many files of messages each of them may keep open. Both are
// at least 1. If that is too much, opening a file fails with an error that says so.
func share(limit uint64, wanted int) (polls, files int) {
	free := int(min(limit, 1<<20)) - ownDescriptors
	polls = max(1, min(wanted, free/(pollDescriptors+minFiles)))
	return polls, max(1, free/polls-pollDescriptors)
}
