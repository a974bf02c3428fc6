package cli

import (
	"golang.org/x/sys/unix"
)

// Descriptors are shared out like this: so many for the process itself (state
// file, lock, poller, a program that is run), and so many for each poll beside
// those of its messages (connection, name look-up, the directories of a Maildir).
const (
	ownDescriptors  = 24
	pollDescriptors = 8
	// leastFiles is how many messages a poll shall be able to hold open.
	leastFiles = 4
)

// descriptors is the limit on open files, which the runtime has raised as far as
// the system lets it (getrlimit(2)).
func descriptors() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return uint64(limit.Cur)
}

// share says how many of the wanted polls may run at once with so many descriptors,
// and how many files of messages each of them may keep open. Both are at least 1:
// with too few descriptors there is an error that says so.
func share(limit uint64, wanted int) (polls, files int) {
	free := int(min(limit, 1<<20)) - ownDescriptors
	polls = max(1, min(wanted, free/(pollDescriptors+leastFiles)))
	return polls, max(1, free/polls-pollDescriptors)
}
