package statetest

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
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
		{ID: "recognised", Record: state.Record{Delivered: day, Fingerprint: [16]byte{3, 15: 4}, Body: [16]byte{5}, Nonce: 1 << 31, Observed: 400 * 24 * time.Hour, Unproven: true}},
		{ID: "deleted", Record: state.Record{Delivered: day, Deleted: true}},
		{ID: "absent", Record: state.Record{Delivered: day, Absent: day.AddDate(0, 0, 30), Absences: 31, Counted: day.AddDate(0, 0, 60)}},
		{ID: "failed", Record: state.Record{Octets: 7, Failures: 3, Reason: "552 too big \x00\xff"}},
		{ID: "before 1970", Record: state.Record{Delivered: time.Unix(-1, 0).UTC()}},
		{ID: "a long reason", Record: state.Record{Reason: strings.Repeat("x", 1<<16)}},
	}}
	f.commit(me, c)
	f.want(after(me, c))
}

func testTimes(f *fixture) {
	at := time.Unix(1_750_000_000, 999_999_999).In(time.FixedZone("", 3600))
	r := state.Record{Delivered: at, Absent: at, Counted: at, Observed: time.Hour + time.Second - 1}
	f.commit(me, state.Change{Put: []state.Entry{{ID: "a", Record: r}}})
	whole := time.Unix(1_750_000_000, 0).UTC()
	r = state.Record{Delivered: whole, Absent: whole, Counted: whole, Observed: time.Hour}
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

func testScan(f *fixture) {
	f.commit(me, state.Change{Put: entries(1000)})
	var ids []string
	calls := 0
	if err := f.store.Maildrop(me).Scan(func(records iter.Seq2[[]byte, state.Record]) error {
		calls++
		for id := range records {
			ids = append(ids, string(id))
		}
		return nil
	}); err != nil {
		f.Fatal(err)
	}
	if calls != 1 || len(ids) != 1000 || !slices.IsSorted(ids) || len(slices.Compact(ids)) != 1000 {
		f.Errorf("%d calls, %d ids, sorted: %v", calls, len(ids), slices.IsSorted(ids))
	}
}

func testScanError(f *fixture) {
	c := state.Change{Put: entries(1000)}
	f.commit(me, c)
	enough := errors.New("enough")
	if err := f.store.Maildrop(me).Scan(func(records iter.Seq2[[]byte, state.Record]) error {
		for range records {
			return enough
		}
		return nil
	}); err != enough {
		f.Errorf("%v, want the error of the caller", err)
	}
	f.want(after(me, c)) // the store has not failed
}

func testScanOver(f *fixture) {
	f.commit(me, state.Change{Put: entries(10)})
	var kept iter.Seq2[[]byte, state.Record]
	if err := f.store.Maildrop(me).Scan(func(records iter.Seq2[[]byte, state.Record]) error {
		kept = records
		return nil
	}); err != nil {
		f.Fatal(err)
	}
	for id := range kept {
		f.Errorf("%q after the Scan", id)
	}
	f.want(after(me, state.Change{Put: entries(10)})) // the store has not failed
}

func testScanPanic(f *fixture) {
	f.commit(me, state.Change{Put: entries(10)})
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				f.Errorf("recovered %v", p)
			}
		}()
		_ = f.store.Maildrop(me).Scan(func(records iter.Seq2[[]byte, state.Record]) error {
			for range records {
				panic("mine")
			}
			return nil
		})
	}()
	c := state.Change{Put: entries(20)}
	f.commit(me, c)
	f.want(after(me, c)) // and Close does not wait for the Scan
}

func testScanAppend(f *fixture) {
	c := state.Change{Put: entries(1000)}
	f.commit(me, c)
	if err := f.store.Maildrop(me).Scan(func(records iter.Seq2[[]byte, state.Record]) error {
		before := ""
		for id := range records {
			if string(id) <= before {
				f.Errorf("%q after %q", id, before)
			}
			before = string(id)
			_ = append(id, "overwritten?"...)
		}
		return nil
	}); err != nil {
		f.Fatal(err)
	}
	f.want(after(me, c))
}

func testOutlives(f *fixture) {
	c := state.Change{Put: append(entries(300), withIntent("intent", 5))}
	f.commit(me, c)
	got, err := read(f.store)
	keys, keysErr := f.store.Keys()
	if err := errors.Join(err, keysErr, f.store.Close()); err != nil {
		f.Fatal(err)
	}
	if diff := after(me, c).diff(got); diff != "" || keys[0] != me {
		f.Errorf("maildrops %q\n%s", keys, diff)
	}
}

func testClosed(f *fixture) {
	m := f.store.Maildrop(me)
	f.commit(me, state.Change{Put: entries(3)})
	if err := errors.Join(f.store.Close(), f.store.Close()); err != nil {
		f.Error(err)
	}
	_, keysErr := f.store.Keys()
	_, intentsErr := m.Intents()
	_, factsErr := m.Facts()
	for what, err := range map[string]error{
		"keys": keysErr, "intents": intentsErr, "facts": factsErr, "scan": m.Scan(nil),
		"commit": m.Commit(state.Change{Done: []string{"a"}}), "empty commit": m.Commit(state.Change{}),
	} {
		if !errors.Is(err, state.ErrClosed) {
			f.Errorf("%s: %v", what, err)
		}
	}
}

func testCloseWaits(f *fixture) {
	f.commit(me, state.Change{Put: entries(1000)})
	inside, closed, scanned := make(chan bool), make(chan error, 1), make(chan error, 1)
	go func() {
		scanned <- f.store.Maildrop(me).Scan(func(records iter.Seq2[[]byte, state.Record]) error {
			inside <- true
			n := 0
			for range records {
				n++
			}
			if n != 1000 {
				return fmt.Errorf("%d ids", n)
			}
			select {
			case <-closed:
				return errors.New("closed under a Scan")
			default:
				return nil
			}
		})
	}()
	<-inside
	go func() { closed <- f.store.Close() }()
	if err := errors.Join(<-scanned, <-closed); err != nil {
		f.Error(err)
	}
}

func testConcurrent(f *fixture) {
	const users, rounds = 16, 8
	name := func(user int) string { return fmt.Sprintf("user%02d@host", user) }
	all := entries(rounds * 10)
	errs := make(chan error, users)
	for user := range users {
		go func() {
			m := f.store.Maildrop(name(user))
			for r := range rounds {
				if err := m.Commit(state.Change{Put: all[r*10 : r*10+10]}); err != nil {
					errs <- err
					return
				}
				n := 0
				if err := m.Scan(func(records iter.Seq2[[]byte, state.Record]) error {
					for range records {
						n++
					}
					return nil
				}); err != nil || n != (r+1)*10 {
					errs <- fmt.Errorf("user %d sees %d ids in round %d: %w", user, n, r, err)
					return
				}
			}
			errs <- nil
		}()
	}
	want := contents{}
	for user := range users {
		if err := <-errs; err != nil {
			f.Error(err)
		}
		want.apply(name(user), state.Change{Put: all})
	}
	f.want(want)
}

// testRandom makes changes over few ids, so that they meet.
func testRandom(f *fixture) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		id := func() string { return fmt.Sprintf("uid%d", rnd.IntN(400)) }
		prefix := fmt.Sprintf("seed%d.", seed)
		model := contents{}
		for step := range 60 {
			var c state.Change
			for range rnd.IntN(20) {
				c.Done = append(c.Done, id())
			}
			for range rnd.IntN(20) {
				c.Forget = append(c.Forget, id())
			}
			for range rnd.IntN(40) {
				if rnd.IntN(3) == 0 {
					c.Put = append(c.Put, withIntent(id(), rnd.IntN(1000)))
				} else {
					c.Put = append(c.Put, entry(id(), rnd.IntN(1000)))
				}
			}
			key := fmt.Sprintf("%suser%d@host", prefix, rnd.IntN(4))
			f.commit(key, c)
			model.apply(key, c)
			if step%10 == 9 {
				f.reopen()
			}
			if step%5 != 4 {
				continue
			}
			got, err := read(f.store)
			if err != nil {
				f.Fatal(err)
			}
			for key := range got {
				if !strings.HasPrefix(key, prefix) {
					delete(got, key) // of an earlier seed
				}
			}
			if diff := model.diff(got); diff != "" {
				f.Fatalf("seed %d, step %d:\n%s", seed, step, diff)
			}
		}
	}
}
