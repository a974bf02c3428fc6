// Package torture kills the program, makes its system calls fail and cuts the power
// of its disk, and counts the mail afterwards.
//
// It holds tests only. They build popfetch once and run it as it is: all faults
// come from outside, by strace(1), by signals, by file systems that are full or
// shut down. The short sample is part of go test; with POPFETCH_TORTURE=1 in the
// environment each suite has its full size. Each suite ends with one line:
//
//	TORTURE <suite> points=N lost=N repeated=N controls=caught|missed|none
//
// points counts the faults that have struck. lost counts messages that are not
// delivered whole after one more run without faults, repeated counts copies
// beyond what is promised: none in a Maildir, one for each fault of an MDA.
// The controls are builds of popfetch that leave out one step of safety; a suite
// that does not find the loss or the repeat is void and fails.
package torture
