//go:build linux

package torture

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// instant is the point in a run at which a fault happens.
type instant struct {
	on string // a system call; "arrival"; "end" of the run; or a command of POP3, LMTP or SMTP
	n  int    // at the nth of them
}

const (
	arrival = "arrival" // of a message in the inbox
	theEnd  = "end"     // right after the run
)

func (i instant) String() string { return fmt.Sprintf("%s %d", i.on, i.n) }

// isCall reports whether the instant is a system call.
func (i instant) isCall() bool { return i.on != arrival && i.on != theEnd && !i.isCommand() }

func (i instant) isCommand() bool { return i.on[0] >= 'A' && i.on[0] <= 'Z' }

// pickCall picks the nth call of some thread. Each kind of call is as likely as the others.
func pickCall(r *rand.Rand, counts map[string]int, among []string) instant {
	for range 100 {
		call := among[r.IntN(len(among))]
		if counts[call] > 0 {
			return instant{call, 1 + r.IntN(counts[call])}
		}
	}
	return instant{"openat", 1}
}

// pickProgress picks an instant in the transfer of n messages.
func pickProgress(r *rand.Rand, k kind, n int, commands bool) instant {
	if k.receiver != nil && r.IntN(3) > 0 {
		if verbs := k.receiver.verbs(); len(verbs) > 0 {
			return instant{verbs[r.IntN(len(verbs))], 1 + r.IntN(n)}
		}
	}
	verbs := []string{"UIDL", "RETR", "RETR", "RETR", "QUIT"}
	if !k.keep {
		verbs = append(verbs, "DELE", "DELE", "QUIT")
	}
	if !commands || k.to.hasInbox() && r.IntN(2) == 0 {
		return instant{arrival, 1 + r.IntN(n)}
	}
	switch verb := verbs[r.IntN(len(verbs))]; verb {
	case "RETR", "DELE":
		return instant{verb, 1 + r.IntN(n)}
	default:
		return instant{verb, 1}
	}
}

// strike runs popfetch and calls blow at the instant. At a system call, popfetch has just been
// killed there; at other instants it still runs, or waits for the reply to a command. struck
// is false if the run ended earlier.
func (h *home) strike(at instant, s server, blow func(*process)) (end ended, struck bool, err error) {
	switch {
	case at.isCall():
		p, err := h.start(h.argv(h.killAt(at.on, at.n)...))
		if err != nil {
			return end, false, err
		}
		if end = p.wait(); end.killed {
			blow(p)
		}
		return end, end.killed, nil
	case at.on == theEnd:
		p, err := h.start(h.argv())
		if err != nil {
			return end, false, err
		}
		end = p.wait()
		blow(p)
		return end, true, nil
	case at.on == arrival:
		return h.strikeAtArrival(at.n, blow)
	}
	started := make(chan *process, 1)
	on := s.on
	if h.receiver != nil && slices.Contains(h.receiver.verbs(), at.on) {
		on = h.receiver.on
	}
	if !on(at.on, at.n, func() {
		blow(<-started)
		struck = true
	}) {
		return end, false, fmt.Errorf("the server cannot wait for %s", at)
	}
	p, err := h.start(h.argv())
	if err != nil {
		return end, false, err
	}
	started <- p
	end = p.wait()
	on("", 0, nil) // returns when the function above has
	return end, struck, nil
}

func (h *home) strikeAtArrival(n int, blow func(*process)) (end ended, struck bool, err error) {
	w, err := watchFor(h.inbox())
	if err != nil {
		return end, false, err
	}
	defer w.close()
	p, err := h.start(h.argv())
	if err != nil {
		return end, false, err
	}
	go func() {
		<-p.done
		w.cancel()
	}()
	if w.wait(n) {
		blow(p)
		struck = true
	}
	return p.wait(), struck, nil
}

// watch waits for files to appear in a directory.
type watch struct{ events *os.File }

// watchFor makes dir if it is missing; popfetch then completes the Maildir.
func watchFor(dir string) (*watch, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO)
	return &watch{os.NewFile(uintptr(fd), "inotify")}, err
}

// wait returns true once n files have appeared, false after cancel.
func (w *watch) wait(n int) bool {
	buf := make([]byte, 64<<10)
	for n > 0 {
		got, err := w.events.Read(buf)
		if err != nil {
			return false
		}
		// inotify(7): the length of the name is the last of four words.
		for events := buf[:got]; len(events) > 0; n-- {
			name := binary.NativeEndian.Uint32(events[12:])
			events = events[unix.SizeofInotifyEvent+name:]
		}
	}
	return true
}

func (w *watch) cancel() { w.events.SetReadDeadline(time.Unix(1, 0)) }
func (w *watch) close()  { w.events.Close() }
