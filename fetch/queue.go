package fetch

import (
	"slices"
	"time"
)

// queue is the accounts that are due and wait for a place. However many they are, a poll that
// begins or ends costs a look at few of them: those of a host whose places are all used are
// not looked at until one is free.
type queue struct {
	first []*slot            // whose host has given back a place, before line
	line  []*slot            // in the order in which they have become due
	held  map[string][]*slot // by host, ordered by due
	aside []*slot            // whose maildrop is in use, see next
}

// add puts sl at the end.
func (q *queue) add(sl *slot) {
	sl.queued = true
	q.line = append(q.line, sl)
}

// next takes the account that is to be polled next, nil if none may be polled now. free
// reports whether the limits admit a poll of an account, and taken whether its maildrop is
// in use. An account that is taken gives its turn to another one of its host.
func (q *queue) next(free, taken func(*slot) bool) *slot {
	for len(q.first)+len(q.line) > 0 {
		sl := q.take()
		switch {
		case !free(sl):
			q.hold(sl)
		case taken(sl):
			q.aside = append(q.aside, sl)
			q.release(sl.server())
		default:
			sl.queued = false
			return sl
		}
	}
	return nil
}

// take removes the account that comes first.
func (q *queue) take() *slot {
	from := &q.line
	if len(q.first) > 0 {
		from = &q.first
	}
	sl := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	return sl
}

// hold keeps sl until its host has a place.
func (q *queue) hold(sl *slot) {
	if q.held == nil {
		q.held = make(map[string][]*slot)
	}
	of := q.held[sl.server()]
	i, _ := slices.BinarySearchFunc(of, sl.due, func(other *slot, due time.Time) int {
		if other.due.After(due) {
			return 1
		}
		return -1
	})
	q.held[sl.server()] = slices.Insert(of, i, sl)
}

// release says that a host has a place: its account that is due longest is looked at again.
func (q *queue) release(host string) {
	of := q.held[host]
	switch len(of) {
	case 0:
		return
	case 1:
		delete(q.held, host)
	default:
		q.held[host] = of[1:]
	}
	q.first = append(q.first, of[0])
}

// again has the accounts looked at again that were taken.
func (q *queue) again() {
	q.first = append(q.aside, q.first...)
	q.aside = nil
}

// restart has all accounts looked at again, after the limits or the accounts have changed.
func (q *queue) restart() {
	q.again()
	for _, of := range q.held {
		q.first = append(q.first, of...)
	}
	clear(q.held)
	slices.SortStableFunc(q.first, func(a, b *slot) int { return a.due.Compare(b.due) })
}

// remove removes the accounts for which gone returns true.
func (q *queue) remove(gone func(*slot) bool) {
	q.restart()
	q.first, q.line = slices.DeleteFunc(q.first, gone), slices.DeleteFunc(q.line, gone)
}

// blocked reports whether the limits keep an account waiting.
func (q *queue) blocked() bool { return len(q.first)+len(q.line)+len(q.held) > 0 }

// all returns the accounts in no certain order.
func (q *queue) all() []*slot {
	all := slices.Concat(q.first, q.line, q.aside)
	for _, of := range q.held {
		all = append(all, of...)
	}
	return all
}
