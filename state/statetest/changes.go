package statetest

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"popfetch/state"
)

func testNew(f *fixture) {
	id := f.store.ID()
	if !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
		f.Errorf("id %q", id)
	}
	f.want(contents{})
	if again := f.store.ID(); again != id {
		f.Errorf("id %q after a reopen, was %q", again, id)
	}
}

func testTwoStores(f *fixture, other func() (state.Store, error)) {
	s, err := other()
	if err != nil {
		f.Fatal(err)
	}
	defer s.Close()
	if s.ID() == f.store.ID() {
		f.Errorf("both have the id %q", s.ID())
	}
}

func testRecords(f *fixture) {
	day := time.Unix(1_750_000_000, 0).UTC()
	c := state.Change{Put: []state.Entry{
		{ID: "zero"},
		{ID: "no size", Record: state.Record{Octets: -1}},
		{ID: "delivered", Record: state.Record{Delivered: day, Octets: 1 << 40, Digest: [16]byte{1, 15: 2}}},
		{ID: "recognised", Record: state.Record{Delivered: day, Fingerprint: [16]byte{3, 15: 4}, Body: [16]byte{5}, Nonce: 1 << 31, Observed: 400 * 24 * time.Hour, Unproven: true, PutBack: true}},
		{ID: "strong", Record: state.Record{Delivered: day, Fingerprint: [16]byte{3, 15: 4}, Body: [16]byte{5}, Strong: true, Moved: true, Kept: true}},
		{ID: "deleted", Record: state.Record{Delivered: day, Deleted: true}},
		{ID: "absent", Record: state.Record{Delivered: day, Absent: day.AddDate(0, 0, 30), Absences: 31, Counted: day.AddDate(0, 0, 60)}},
		{ID: "failed", Record: state.Record{Octets: 7, Failures: 3, Reason: "552 too big \x00\xff"}},
		{ID: "in part", Record: state.Record{Octets: 7, Reason: "452 later", Progress: "me@example.org"}},
		{ID: "before 1970", Record: state.Record{Delivered: time.Unix(-1, 0).UTC()}},
		{ID: "a long reason", Record: state.Record{Reason: strings.Repeat("x", 1<<16)}},
	}}
	f.commit(me, c)
	f.want(after(me, c))
}

func testTimes(f *fixture) {
	at := time.Unix(1_750_000_000, 999_999_999).In(time.FixedZone("", 3600))
	r := state.Record{Delivered: at, Absent: at, Counted: at, Tried: at, Observed: time.Hour + time.Second - 1}
	f.commit(me, state.Change{Put: []state.Entry{{ID: "a", Record: r}}})
	whole := time.Unix(1_750_000_000, 0).UTC()
	r = state.Record{Delivered: whole, Absent: whole, Counted: whole, Tried: whole, Observed: time.Hour}
	f.want(contents{me: {"a": {Record: r}}})
}

func testOtherMaildrop(f *fixture) {
	c := state.Change{Put: []state.Entry{withIntent("a", 1), entry("b", 2)}, Facts: &state.Facts{Protocol: "x"}}
	f.commit(you, c)
	m := f.store.Maildrop(me)
	if open, err := m.Intents(); err != nil || len(open) > 0 {
		f.Errorf("intents %v, %v", open, err)
	}
	if facts, err := m.Facts(); err != nil || !reflect.DeepEqual(facts, state.Facts{}) {
		f.Errorf("facts %+v, %v", facts, err)
	}
	calls := 0
	if err := m.Scan(func(records iter.Seq2[[]byte, state.Record]) error {
		calls++
		for id := range records {
			f.Errorf("there is %q", id)
		}
		return nil
	}); err != nil || calls != 1 {
		f.Errorf("scan: %d calls, %v", calls, err)
	}
	f.want(after(you, c))
}

func testKeys(f *fixture) {
	keys := []string{"b@host", "a@host", "B@host", "a@host.example", "\xff", "a"}
	for _, key := range keys {
		f.commit(key, state.Change{Put: []state.Entry{entry("x", 1)}})
	}
	slices.Sort(keys)
	if got, err := f.store.Keys(); err != nil || !slices.Equal(got, keys) {
		f.Errorf("%q, %v; want %q", got, err, keys)
	}
}

func testBegin(f *fixture) {
	f.commit(me, state.Change{Begin: true})
	f.want(contents{me: {}})
	c := state.Change{Begin: true, Put: entries(3)}
	f.commit(me, c)
	f.commit(me, state.Change{Begin: true}) // and empties none
	f.want(after(me, c))
}

func testEmptyChange(f *fixture) {
	f.commit(me, state.Change{})
	f.commit(me, state.Change{Done: []string{}, Forget: []string{}, Put: []state.Entry{}})
	f.want(contents{})
}

func testPutKeepsIntent(f *fixture) {
	f.commit(me, state.Change{Put: []state.Entry{withIntent("a", 1)}})
	f.commit(me, state.Change{Put: []state.Entry{entry("a", 2)}})
	f.want(contents{me: {"a": {record(2), withIntent("a", 1).Intent}}})
}

func testPutReplacesIntent(f *fixture) {
	f.commit(me, state.Change{Put: []state.Entry{withIntent("a", 1)}})
	f.commit(me, state.Change{Put: []state.Entry{withIntent("a", 2)}})
	f.want(contents{me: {"a": {record(2), withIntent("a", 2).Intent}}})
}

func testDone(f *fixture) {
	f.commit(me, state.Change{Put: []state.Entry{withIntent("a", 1), withIntent("b", 2)}})
	f.commit(me, state.Change{Done: []string{"a"}})
	f.want(contents{me: {"a": {Record: record(1)}, "b": {record(2), withIntent("b", 2).Intent}}})
}

func testForget(f *fixture) {
	f.commit(me, state.Change{Put: []state.Entry{withIntent("a", 1), withIntent("b", 2), entry("c", 3)}})
	f.commit(me, state.Change{Forget: []string{"a", "c"}})
	f.want(contents{me: {"b": {record(2), withIntent("b", 2).Intent}}})
	f.commit(me, state.Change{Forget: []string{"b"}})
	f.want(contents{me: {}}) // the maildrop stays known
}

func testUnknownID(f *fixture) {
	c := state.Change{Put: []state.Entry{withIntent("a", 1)}}
	f.commit(me, c)
	f.commit(me, state.Change{Done: []string{"b"}, Forget: []string{"c", "c"}})
	f.want(after(me, c))
}

// A later part meets what an earlier one has left.
func testOrder(f *fixture) {
	f.commit(me, state.Change{Put: []state.Entry{withIntent("done", 1), withIntent("forgotten", 2), withIntent("both", 3)}})
	f.commit(me, state.Change{
		Done:   []string{"done", "both"},
		Forget: []string{"forgotten", "both"},
		Put: []state.Entry{
			withIntent("done", 11), // a new intent, not the old one ended
			entry("forgotten", 12), // a record again, without its old intent
			entry("twice", 13), withIntent("twice", 14), entry("twice", 15),
		},
	})
	f.want(contents{me: {
		"done":      {record(11), withIntent("done", 11).Intent},
		"forgotten": {Record: record(12)},
		"twice":     {record(15), withIntent("twice", 14).Intent},
	}})
}

// An id may be there many times: the last Put counts, also in a long change.
func testRepeatedPut(f *fixture) {
	var c state.Change
	for n := range 300 {
		c.Put = append(c.Put, entry(fmt.Sprintf("id%d", n*n%7), n))
	}
	f.commit(me, c)
	f.want(after(me, c))
}

func testIntents(f *fixture) {
	put := entries(50)
	var want []state.OpenIntent
	for i := range put {
		if i%3 == 0 {
			put[i].Intent = &state.Intent{Kind: "mda", Note: fmt.Sprintf("attempt %d\x00\xff", i)}
			want = append(want, state.OpenIntent{ID: put[i].ID, Intent: *put[i].Intent, Record: put[i].Record})
		}
	}
	slices.SortFunc(want, func(a, b state.OpenIntent) int { return strings.Compare(a.ID, b.ID) })
	f.commit(me, state.Change{Put: put})
	for range 2 {
		if got, err := f.store.Maildrop(me).Intents(); err != nil || !slices.Equal(got, want) {
			f.Errorf("%v, %v\nwant %v", got, err, want)
		}
		f.reopen()
	}
}

func testGet(f *fixture) {
	f.commit(me, state.Change{Put: []state.Entry{entry("a", 1), withIntent("b", 2)}})
	f.commit(you, state.Change{Put: []state.Entry{entry("c", 3)}})
	for range 2 {
		for id, want := range map[string]state.Record{"a": record(1), "b": record(2), "c": {}, "": {}, "unknown": {}} {
			if got, err := f.store.Maildrop(me).Get(id); err != nil || got != want {
				f.Errorf("%q: %+v, %v, want %+v", id, got, err, want)
			}
		}
		if got, err := f.store.Maildrop("nobody").Get("a"); err != nil || got != (state.Record{}) {
			f.Errorf("of an unknown maildrop: %+v, %v", got, err)
		}
		f.reopen()
	}
}

func testFacts(f *fixture) {
	wantFacts := func(want state.Facts) {
		f.Helper()
		for range 2 {
			if got, err := f.store.Maildrop(me).Facts(); err != nil || !reflect.DeepEqual(got, want) {
				f.Errorf("%+v, %v, want %+v", got, err, want)
			}
			f.reopen()
		}
	}
	wantFacts(state.Facts{})
	first := state.Facts{Serial: time.Unix(1_750_000_000, 0).UTC(), Protocol: "POP3S", Before: []string{"UIDL", "SASL PLAIN"}, After: []string{"TOP"}}
	f.commit(me, state.Change{Facts: &first})
	wantFacts(first)
	f.commit(me, state.Change{Begin: true, Put: entries(3)})
	wantFacts(first)
	second := state.Facts{Patient: time.Unix(1_750_000_001, 0).UTC()}
	f.commit(me, state.Change{Facts: &second})
	wantFacts(second)
	f.commit(me, state.Change{Facts: &state.Facts{}})
	wantFacts(state.Facts{})
	f.want(after(me, state.Change{Put: entries(3)}))
}

func testInvalid(f *fixture) {
	good, long := entry("good", 1), strings.Repeat("x", state.MaxID+1)
	for name, c := range map[string]struct {
		key    string
		change state.Change
	}{
		"empty key":   {"", state.Change{Put: []state.Entry{good}}},
		"long key":    {strings.Repeat("k", state.MaxKey+1), state.Change{Put: []state.Entry{good}}},
		"empty put":   {me, state.Change{Put: []state.Entry{good, {}}}},
		"long put":    {me, state.Change{Put: []state.Entry{good, {ID: long}}}},
		"empty done":  {me, state.Change{Done: []string{""}, Put: []state.Entry{good}}},
		"long forget": {me, state.Change{Forget: []string{long}, Put: []state.Entry{good}}},
	} {
		if err := f.store.Maildrop(c.key).Commit(c.change); !errors.Is(err, state.ErrInvalid) || len(err.Error()) > 500 {
			f.Errorf("%s: %v", name, err)
		}
	}
	f.want(contents{})
	f.commit(me, state.Change{Put: []state.Entry{good}}) // the store has not failed
	f.want(after(me, state.Change{Put: []state.Entry{good}}))
}

func testLimits(f *fixture) {
	key := strings.Repeat("k", state.MaxKey)
	c := state.Change{Put: []state.Entry{entry(strings.Repeat("\x00", state.MaxID), 1), entry("\xff", 2), entry("a\r\n", 3)}}
	f.commit(key, c)
	f.want(after(key, c))
}
