// Package torture kills the program, makes its system calls fail and cuts the power
// of its disk, and counts the mail afterwards.
//
// It holds only tests. They build popfetch once and run it unchanged: all faults come from
// outside, from strace(1), signals, and file systems that are full or shut down. go test runs
// a short sample; POPFETCH_TORTURE=1 in the environment runs each suite in full. Each suite
// prints one line at its end:
//
//	TORTURE <suite> points=N lost=N repeated=N controls=caught|missed|none
//
// points counts the faults that took effect, lost the messages that are not delivered whole
// after one more run without faults, and repeated the copies beyond what popfetch promises:
// none in a Maildir, an mbox and a mailbox of IMAP, one for each fault with an MDA and with a
// server of LMTP or SMTP. The controls are builds of popfetch that leave out one step of
// safety. A suite that does not notice the loss or the repeat proves nothing, and fails.
package torture
