package plan

import (
	"io"
	"time"

	"popfetch/state"
)

// mostStamps is how many leading Received fields of a stored message may be ignored to
// recognise it: fetchers add such fields.
const mostStamps = 4

// Stored is a message that was found where mail was delivered.
type Stored struct {
	Identity
	Beneath []Fingerprint // without the topmost Received fields, see Identifier
	Time    time.Time     // of its delivery
}

// Inspect reads a stored message. Its Time is not set.
func Inspect(message io.Reader) (Stored, error) {
	d := NewIdentifier()
	_, err := io.Copy(d, message)
	return Stored{Identity: d.Identity(), Beneath: d.Beneath(mostStamps)}, err
}

// Library holds stored messages, to compare them with those on a server. The zero value
// is empty.
type Library struct {
	copies map[Fingerprint][]*volume
	listed []Listed
	shown  []Identity          // of each of listed
	weak   map[Fingerprint]int // listed messages with this weak fingerprint, not yet recognised
}

type volume struct {
	Stored
	taken bool
}

// Add adds a stored message.
func (l *Library) Add(s Stored) {
	if l.copies == nil {
		l.copies = make(map[Fingerprint][]*volume)
	}
	v := &volume{Stored: s}
	for _, print := range append([]Fingerprint{s.Fingerprint, s.Block}, s.Beneath...) {
		l.copies[print] = append(l.copies[print], v)
	}
}

// Spend marks one copy of a message as taken: the message is already recorded.
func (l *Library) Spend(r state.Record) {
	print := r.Fingerprint
	if print == (Fingerprint{}) {
		print = r.Digest
	}
	for _, v := range l.copies[print] {
		if !v.taken {
			v.taken = true
			return
		}
	}
}

// Show adds a message of the server whose header block was shown.
func (l *Library) Show(m Listed, shown Identity) {
	l.listed, l.shown = append(l.listed, m), append(l.shown, shown)
	if shown.Weak {
		if l.weak == nil {
			l.weak = make(map[Fingerprint]int)
		}
		l.weak[shown.Fingerprint]++
	}
}

// Rebuilt is what a Library knows about the messages that were shown.
type Rebuilt struct {
	Entries   []state.Entry // records of the recognised messages
	Ambiguous []Listed      // there are several, or several copies, that look like them
	Unknown   int           // no copy looks like them
}

// Match looks for a copy of each message that was shown. Copies without any stamp in
// front come first, so that one is not taken for another with one stamp more. A weak
// fingerprint recognises messages only if there are as many copies as messages.
func (l *Library) Match() Rebuilt {
	var result Rebuilt
	todo := make([]int, len(l.listed))
	for k := range todo {
		todo[k] = k
	}
	for stamps := 0; stamps <= mostStamps; stamps++ {
		var left []int
		for _, k := range todo {
			if v := l.copyOf(l.shown[k], stamps); v != nil {
				v.taken = true
				result.Entries = append(result.Entries, l.entry(k, v))
				continue
			}
			left = append(left, k)
		}
		todo = left
	}
	for _, k := range todo {
		if l.free(l.shown[k].Fingerprint) > 0 {
			result.Ambiguous = append(result.Ambiguous, l.listed[k])
		} else {
			result.Unknown++
		}
	}
	return result
}

// copyOf returns a free copy of a message with the given number of stamps in front, or
// nil if there is none or it is not clear which copy belongs to the message.
func (l *Library) copyOf(m Identity, stamps int) *volume {
	if m.Weak && l.free(m.Fingerprint) != l.weak[m.Fingerprint] {
		return nil
	}
	for _, v := range l.copies[m.Fingerprint] {
		if !v.taken && v.stamps(m.Fingerprint) == stamps {
			if m.Weak {
				l.weak[m.Fingerprint]--
			}
			return v
		}
	}
	return nil
}

// free counts the copies with a fingerprint that belong to no message yet.
func (l *Library) free(print Fingerprint) (n int) {
	for _, v := range l.copies[print] {
		if !v.taken {
			n++
		}
	}
	return n
}

// stamps returns how many stamps precede the message with this fingerprint, or -1.
func (v *volume) stamps(print Fingerprint) int {
	if v.Fingerprint == print {
		return 0
	}
	for i, beneath := range v.Beneath {
		if beneath == print {
			return i + 1
		}
	}
	return -1
}

func (l *Library) entry(k int, v *volume) state.Entry {
	m := l.listed[k]
	r := state.Record{Delivered: v.Time, Octets: m.Octets, Fingerprint: l.shown[k].Fingerprint}
	if l.shown[k].Weak {
		r.Body = v.Body
	}
	return state.Entry{ID: m.ID, Record: r}
}
