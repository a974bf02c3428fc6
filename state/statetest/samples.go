package statetest

import (
	"fmt"
	"time"

	"popfetch/state"
)

const me, you = "me@host", "you@host"

// record returns a record that differs with n, in every field for some n.
func record(n int) state.Record {
	r := state.Record{Octets: int64(n) * 1000, Delivered: time.Unix(1_700_000_000+int64(n), 0).UTC(), Deleted: n%2 == 0}
	r.Digest[0], r.Digest[15] = byte(n), 1
	if n%3 == 0 {
		r.Absent, r.Absences = r.Delivered.Add(time.Hour), n%40
	}
	if n%5 == 0 {
		r.Tried = r.Delivered
		r.Delivered, r.Failures, r.Reason = time.Time{}, n%9+1, fmt.Sprintf("refused %d", n)
	}
	return r
}

func entry(id string, n int) state.Entry { return state.Entry{ID: id, Record: record(n)} }

func withIntent(id string, n int) state.Entry {
	e := entry(id, n)
	e.Intent = &state.Intent{Kind: "maildir", Note: fmt.Sprintf("note %d", n)}
	return e
}

// entries returns n entries whose ids are not in order.
func entries(n int) []state.Entry {
	var put []state.Entry
	for i := range n {
		put = append(put, entry(fmt.Sprintf("id-%05d", i*7919%100_003), i))
	}
	return put
}
