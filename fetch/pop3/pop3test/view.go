package pop3test

import (
	"fmt"
	"math/rand/v2"
)

// entry is one message as a session sees it.
type entry struct {
	num       int
	uid       string
	octets    int64    // as LIST and STAT announce them
	announced int64    // as RETR announces them
	msg       *Message // nil = a ghost, see Ghosts
	deleted   bool
}

// newView numbers the messages of a session.
func newView(messages []*Message) []entry {
	view := make([]entry, len(messages))
	for i, m := range messages {
		view[i] = entry{num: i + 1, uid: m.UID, octets: m.size(), announced: m.size(), msg: m}
	}
	return view
}

// renumber numbers what faults of the whole session have left of a view.
func renumber(view []entry) []entry {
	for i := range view {
		view[i].num = i + 1
	}
	return view
}

// distort returns the view as the faults change it. It may change it in place.
func distort(view []entry, faults []Fault) []entry {
	for _, f := range faults {
		view = f.distort(view)
	}
	return view
}

func (f Fault) distort(view []entry) []entry {
	switch f.Do {
	case Partial:
		return view[:min(int64(len(view)), f.N)]
	case Shuffle:
		order := rand.New(rand.NewPCG(uint64(f.N), 0))
		order.Shuffle(len(view), func(i, j int) { view[i], view[j] = view[j], view[i] })
	case WrongOctets:
		for i := range view {
			view[i].octets, view[i].announced = f.N, f.N
		}
	case DuplicateUID:
		for i := range view {
			if int64(view[i].num) == orElse(f.N, 2) {
				view[i].uid = view[0].uid
			}
		}
	case RenumberUID:
		prefix := f.Text
		if prefix == "" {
			prefix = "new-"
		}
		for i := range view {
			view[i].uid = prefix + view[i].uid
		}
	case Ghosts:
		last := 0
		for _, e := range view {
			last = max(last, e.num)
		}
		for i := range int(orElse(f.N, 1)) {
			num := last + i + 1
			view = append(view, entry{num: num, uid: fmt.Sprintf("ghost%d", num), octets: 1000})
		}
	}
	return view
}

func orElse(n, otherwise int64) int64 {
	if n == 0 {
		return otherwise
	}
	return n
}
