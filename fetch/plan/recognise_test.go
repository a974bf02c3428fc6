package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// letter is a message with a header block of its own. n names it.
func letter(n int) plan.Identity {
	return identityOf(fmt.Sprintf("Message-ID: <%d@example.org>\r\nSubject: letter %d\r\n\r\nbody %d\r\n", n, n, n))
}

// memo is a message that only its body tells from other memos.
func memo(n int) plan.Identity {
	return identityOf(fmt.Sprintf("Subject: memo\r\n\r\nbody %d\r\n", n))
}

func identityOf(text string) plan.Identity {
	d := plan.NewIdentifier()
	d.Write([]byte(text))
	return d.Identity()
}

// delivered is the record of a message that was delivered this long before noon.
func delivered(m plan.Identity, octets int64, ago time.Duration) state.Record {
	r := seen(ago)
	r.Octets = octets
	m.Record(&r)
	return r
}

// box is a maildrop as a server has it: message k has number k+1.
type box []boxed

type boxed struct {
	id     string
	octets int64
	plan.Identity
	hidden bool // TOP is refused
}

func (b box) listing() *plan.Listing {
	l := new(plan.Listing)
	for i, m := range b {
		l.AddUID(i+1, []byte(m.id))
	}
	l.MarkTwins()
	sizes := l.Sizes()
	for i, m := range b {
		sizes.Set(i+1, m.octets)
	}
	return l
}

// decide makes a plan and shows it what it wants to see. It returns the plan and the
// numbers of the messages whose header blocks it looked at.
func (b box) decide(t *testing.T, known records, p plan.Policy, when plan.When) (plan.Plan, []int) {
	t.Helper()
	l, shown := b.listing(), plan.Shown{}
	for range 4 {
		todo := plan.New(l, known.sorted, p, when, shown)
		if todo.Look.Len() == 0 {
			return todo, slices.Sorted(maps.Keys(shown))
		}
		for _, num := range nums(todo.Look) {
			if _, twice := shown[num]; twice {
				t.Fatalf("message %d is looked at twice", num)
			}
			shown[num] = nil
			if m := b[num-1]; !m.hidden {
				header := m.Identity
				header.Body = [16]byte{}
				shown[num] = &header
			}
		}
	}
	t.Fatal("the plan wants to see ever more")
	panic("unreachable")
}

// apply stores what a plan has learned.
func (r records) apply(p plan.Plan) {
	for _, id := range p.Change.Forget {
		delete(r, id)
	}
	for _, e := range p.Change.Put {
		r[e.ID] = e.Record
	}
	r.store(p)
}

func TestWhatHeaderBlocksDecide(t *testing.T) {
	keep, remove, later := plan.Policy{}, plan.Policy{Delete: true}, plan.Policy{Delete: true, After: 14 * day}
	old := 20 * day
	gone := func(r state.Record) state.Record { r.Deleted, r.Absent = true, noon.Add(-day); return r }
	away := func(r state.Record) state.Record {
		r.Absent, r.Counted, r.Absences = noon.Add(-day), noon.Add(-day), 1
		return r
	}
	old1 := func(n int, octets int64) state.Record { // version 1
		return state.Record{Delivered: noon.Add(-old), Octets: octets, Digest: letter(n).Block}
	}
	first := old1(1, 100)
	stamped := first
	stamped.Digest = [16]byte{9}
	bodiless := delivered(letter(1), 100, day) // as version 3 recorded it
	bodiless.Body, bodiless.Strong = [16]byte{}, false
	moved := delivered(letter(1), 100, old)
	moved.Moved = true
	handed := state.Record{Octets: 100, Fingerprint: letter(1).Fingerprint, Nonce: 7, Failures: 1, Reason: "75"}
	for name, tt := range map[string]struct {
		box      box
		known    records
		policy   plan.Policy
		daily    bool
		looked   []int
		retrieve []int
		remove   []int
		compare  bool
	}{
		"due, the same message":                      {box{{"a", 100, letter(1), false}}, records{"a": delivered(letter(1), 100, old)}, later, false, []int{1}, nil, []int{1}, false},
		"due, another message of the same size":      {box{{"a", 100, letter(2), false}}, records{"a": delivered(letter(1), 100, old)}, later, false, []int{1}, []int{1}, nil, true},
		"due, not shown":                             {box{{"a", 100, letter(1), true}}, records{"a": delivered(letter(1), 100, old)}, later, false, []int{1}, []int{1}, nil, true},
		"due, weak":                                  {box{{"a", 100, memo(1), false}}, records{"a": delivered(memo(1), 100, old)}, later, false, []int{1}, []int{1}, nil, true},
		"not due, another message, same size":        {box{{"a", 100, letter(2), false}}, records{"a": delivered(letter(1), 100, day)}, later, false, nil, nil, nil, false},
		"the same in the daily look":                 {box{{"a", 100, letter(2), false}}, records{"a": delivered(letter(1), 100, day)}, later, true, []int{1}, []int{1}, nil, true},
		"other size, the same message":               {box{{"a", 101, letter(1), false}}, records{"a": delivered(letter(1), 100, day)}, keep, false, []int{1}, nil, nil, false},
		"other size, not shown":                      {box{{"a", 101, letter(1), true}}, records{"a": delivered(letter(1), 100, day)}, keep, false, []int{1}, []int{1}, nil, true},
		"deleted, listed again":                      {box{{"a", 100, letter(1), false}}, records{"a": gone(delivered(letter(1), 100, day))}, remove, false, []int{1}, []int{1}, nil, true},
		"deleted, listed again, body not recorded":   {box{{"a", 100, letter(1), false}}, records{"a": gone(bodiless)}, remove, false, []int{1}, nil, []int{1}, false},
		"deleted, listed again, too big":             {box{{"a", 100, letter(1), false}}, records{"a": gone(delivered(letter(1), 100, day))}, plan.Policy{Delete: true, MaxOctets: 50}, false, []int{1}, nil, nil, false},
		"deleted, id reused":                         {box{{"a", 100, letter(2), false}}, records{"a": gone(delivered(letter(1), 100, day))}, remove, false, []int{1}, []int{1}, nil, true},
		"away and back, the same":                    {box{{"a", 100, letter(1), false}}, records{"a": away(delivered(letter(1), 100, day))}, keep, false, []int{1}, nil, nil, false},
		"away and back, another":                     {box{{"a", 100, letter(2), false}}, records{"a": away(delivered(letter(1), 100, day))}, keep, false, []int{1}, []int{1}, nil, true},
		"away and back, not shown":                   {box{{"a", 100, letter(1), true}}, records{"a": away(delivered(letter(1), 100, day))}, keep, false, []int{1}, nil, nil, false},
		"all ids new":                                {box{{"b", 100, letter(1), false}, {"c", 100, letter(2), false}}, records{"a": delivered(letter(1), 100, day)}, keep, false, []int{1, 2}, []int{2}, nil, true},
		"all ids new, due":                           {box{{"b", 100, letter(1), false}}, records{"a": delivered(letter(1), 100, old)}, later, false, []int{1}, []int{1}, nil, true},
		"all ids new, due, body not recorded":        {box{{"b", 100, letter(1), false}}, records{"a": bodiless}, remove, false, []int{1}, nil, []int{1}, false},
		"moved, due":                                 {box{{"b", 100, letter(1), false}}, records{"b": moved}, later, false, []int{1}, []int{1}, nil, true},
		"moved, not due":                             {box{{"b", 100, letter(1), false}}, records{"b": moved}, keep, true, []int{1}, nil, nil, false},
		"all ids new, deleted by us":                 {box{{"b", 100, letter(1), false}}, records{"a": gone(delivered(letter(1), 100, day))}, keep, false, nil, []int{1}, nil, true},
		"weak, and one has the size of another":      {box{{"1", 200, memo(2), false}, {"2", 200, memo(3), false}, {"3", 300, memo(4), false}}, records{"1": delivered(memo(1), 100, day), "2": delivered(memo(2), 200, day), "3": delivered(memo(3), 200, day), "4": delivered(memo(4), 300, day)}, keep, false, []int{1, 2, 3}, []int{1, 2, 3}, nil, true},
		"some ids new":                               {box{{"a", 100, letter(1), false}, {"c", 100, letter(2), false}}, records{"a": delivered(letter(1), 100, day), "b": delivered(letter(2), 100, day)}, keep, false, nil, []int{2}, nil, true},
		"ids that shift":                             {box{{"1", 200, letter(2), false}, {"2", 300, letter(3), false}}, records{"1": delivered(letter(1), 100, day), "2": delivered(letter(2), 200, day), "3": delivered(letter(3), 300, day)}, keep, false, []int{1, 2}, nil, nil, true},
		"ids that shift, and one has the old size":   {box{{"1", 200, letter(2), false}, {"2", 200, letter(3), false}, {"x", 5, letter(4), false}}, records{"1": delivered(letter(1), 100, day), "2": delivered(letter(2), 200, day), "3": delivered(letter(3), 200, day), "x": delivered(letter(4), 5, day)}, keep, false, []int{1, 2, 3}, nil, nil, true},
		"twins that change places":                   {box{{"x", 200, letter(2), false}, {"x", 100, letter(1), false}}, records{"x": delivered(letter(1), 100, day), "x\x002": delivered(letter(2), 200, day)}, keep, false, []int{1, 2}, nil, nil, false},
		"a twin that is new and listed first":        {box{{"x", 100, letter(2), false}, {"x", 100, letter(1), false}}, records{"x": delivered(letter(1), 100, day)}, keep, false, []int{1, 2}, []int{1}, nil, true},
		"version 1, due":                             {box{{"a", 100, letter(1), false}}, records{"a": first}, later, false, []int{1}, nil, nil, false},
		"version 1, due, stamped":                    {box{{"a", 101, letter(1), false}}, records{"a": stamped}, later, false, []int{1}, nil, nil, false},
		"version 1, much larger, other header":       {box{{"a", 900, letter(2), false}}, records{"a": first}, keep, false, []int{1}, []int{1}, nil, true},
		"version 1, other header, size not listed":   {box{{"a", -1, letter(2), false}}, records{"a": first}, keep, true, []int{1}, nil, nil, false},
		"version 1, other header, no size recorded":  {box{{"a", -1, letter(2), false}}, records{"a": old1(1, -1)}, keep, true, []int{1}, nil, nil, false},
		"version 1, away and back, the same":         {box{{"a", 100, letter(1), false}}, records{"a": away(first)}, keep, true, []int{1}, nil, nil, false},
		"version 1, away and back, other header":     {box{{"a", 101, letter(2), false}}, records{"a": away(first)}, keep, true, []int{1}, []int{1}, nil, true},
		"version 1, ids that shift, similar sizes":   {box{{"a", 101, letter(2), false}, {"b", 102, letter(3), false}, {"c", 103, letter(4), false}}, records{"a": first, "b": old1(2, 101), "c": old1(3, 102)}, keep, true, []int{1, 2, 3}, []int{3}, nil, true},
		"version 1, ids that shift, beside others":   {box{{"a", 101, letter(2), false}, {"b", 102, letter(3), false}, {"c", 50, letter(9), false}}, records{"a": first, "b": old1(2, 101), "c": delivered(letter(8), 50, day)}, keep, false, []int{1, 2, 3}, []int{2, 3}, nil, true},
		"version 1, ids that shift, and one is free": {box{{"a", 101, letter(2), false}, {"c", 103, letter(4), false}}, records{"a": first, "b": old1(2, 101), "c": old1(3, 102)}, keep, true, []int{1, 2}, []int{2}, nil, true},
		"version 1, all ids new":                     {box{{"b", 100, letter(1), false}}, records{"a": first}, later, false, []int{1}, nil, nil, false},
		"away and back, weak, size unknown":          {box{{"a", -1, memo(1), false}}, records{"a": away(delivered(memo(1), 100, day))}, keep, false, []int{1}, []int{1}, nil, true},
		"version 1, stamped, beside a reused id":     {box{{"a", 101, letter(2), false}, {"b", 101, letter(3), false}}, records{"a": delivered(letter(4), 100, day), "b": stamped}, keep, false, []int{1, 2}, []int{1, 2}, nil, true},
		"ids that shift, one not shown":              {box{{"a", 200, letter(2), false}, {"b", 200, letter(3), true}}, records{"a": delivered(letter(1), 100, day), "b": delivered(letter(2), 200, day)}, keep, false, []int{1, 2}, []int{2}, nil, true},
		"places that shift, sizes unknown":           {box{{"a", -1, letter(1), false}, {"b", -1, letter(2), false}, {"c", -1, letter(3), false}}, records{"a": delivered(letter(2), 100, day), "b": delivered(letter(3), 100, day)}, keep, false, []int{1, 2}, []int{1, 3}, nil, true},
		"handed over, the same":                      {box{{"a", 100, letter(1), false}}, records{"a": handed}, keep, false, []int{1}, []int{1}, nil, false},
		"handed over, another":                       {box{{"a", 100, letter(2), false}, {"b", 100, letter(1), false}}, records{"a": handed}, keep, false, []int{1}, []int{1, 2}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			when := at(noon)
			when.Daily = tt.daily
			known := maps.Clone(tt.known)
			todo, looked := tt.box.decide(t, known, tt.policy, when)
			retrieve := slices.Sorted(slices.Values(nums(todo.Retrieve)))
			if !slices.Equal(looked, tt.looked) || !slices.Equal(retrieve, tt.retrieve) || !slices.Equal(nums(todo.Delete), tt.remove) || todo.Compare != tt.compare && len(retrieve) > 0 {
				t.Errorf("looked at %v, retrieves %v, deletes %v, compares %v;\nwant %v, %v, %v, %v", looked, retrieve, nums(todo.Delete), todo.Compare, tt.looked, tt.retrieve, tt.remove, tt.compare)
			}
			known.apply(todo)
			for _, it := range slices.Collect(todo.Retrieve.All()) {
				if _, ok := known[it.ID]; ok && it.Record == (state.Record{}) {
					t.Errorf("a record of another message is left under %q", it.ID)
				}
			}
		})
	}
}

// If the server does not list the sizes for once, a record of version 1 whose message shows
// another header block is left alone: the size tells whether it is another message.
func TestRecordOfVersion1WaitsForTheSize(t *testing.T) {
	known := records{"a": {Delivered: noon, Octets: 100, Digest: letter(1).Block}}
	when := at(noon)
	when.Daily = true
	for _, tt := range []struct {
		octets int64
		want   int
	}{{-1, 0}, {900, 1}} {
		todo, _ := box{{"a", tt.octets, letter(2), false}}.decide(t, known, plan.Policy{}, when)
		if known.apply(todo); todo.Retrieve.Len() != tt.want {
			t.Errorf("with the size %d: %v", tt.octets, todo)
		}
	}
}

// A record of version 1 takes the fingerprint over, and its message is deleted at the
// next poll; one that was changed since is not deleted on the word of its id.
func TestRecordOfVersion1IsVerifiedBeforeItsMessageIsDeleted(t *testing.T) {
	for name, tt := range map[string]struct {
		digest [16]byte
		remove int
	}{"the same header block": {letter(1).Block, 1}, "another header block": {[16]byte{9}, 0}} {
		t.Run(name, func(t *testing.T) {
			known := records{"a": {Delivered: noon.Add(-20 * day), Octets: 100, Digest: tt.digest}}
			b := box{{"a", 100, letter(1), false}}
			p := plan.Policy{Delete: true, After: 14 * day}
			todo, _ := b.decide(t, known, p, at(noon))
			known.apply(todo)
			if todo.Delete.Len() > 0 || known["a"].Fingerprint != letter(1).Fingerprint {
				t.Errorf("deletes %v; %+v", nums(todo.Delete), known["a"])
			}
			if todo, _ = b.decide(t, known, p, at(noon)); todo.Delete.Len() != tt.remove || todo.Retrieve.Len() > 0 {
				t.Errorf("then deletes %v, retrieves %v", nums(todo.Delete), nums(todo.Retrieve))
			}
		})
	}
}

// A server reuses ids after a restore and puts the old mail back later: every record
// finds its message again.
func TestRecordThatLostItsIDFindsItsMessageAgain(t *testing.T) {
	known := records{"1": delivered(letter(1), 100, day), "2": delivered(letter(2), 100, day)}
	reused := box{{"1", 200, letter(3), false}, {"2", 200, letter(4), false}}
	todo, _ := reused.decide(t, known, plan.Policy{}, at(noon))
	if todo.Retrieve.Len() != 2 || todo.Reused != 2 {
		t.Fatalf("%v", todo)
	}
	known.apply(todo)
	known["1"], known["2"] = delivered(letter(3), 200, 0), delivered(letter(4), 200, 0)
	back := box{{"1", 100, letter(1), false}, {"2", 100, letter(2), false}, {"3", 200, letter(3), false}, {"4", 200, letter(4), false}}
	todo, _ = back.decide(t, known, plan.Policy{}, at(noon.Add(day)))
	if todo.Moved != 2 || todo.Seen != 2 {
		t.Errorf("%v, %d moved", todo, todo.Moved)
	}
	known.apply(todo)
	u := plan.NewUnclaimed(back.listing(), known.sorted)
	for it := range todo.Retrieve.All() {
		if _, ok, _ := u.Find(it.ID, letter(it.Num), known.get); !ok {
			t.Errorf("message %d is not known when it is received", it.Num)
		}
	}
}

func (r records) get(id string) (state.Record, error) { return r[id], nil }

func TestUnclaimedRecordsAreFoundOnceAndByTheirBodies(t *testing.T) {
	known := records{"listed": delivered(letter(1), 1, day), "a": delivered(letter(2), 1, day), "b": delivered(memo(1), 1, day), "c": delivered(memo(2), 1, day),
		"v1": {Delivered: noon, Digest: letter(3).Block}, "v1 memo": {Delivered: noon, Digest: memo(5).Block}, "failed": {Fingerprint: letter(4).Fingerprint, Failures: 1}}
	gone := delivered(letter(5), 1, day)
	gone.Deleted = true
	known["deleted"] = gone
	gone = delivered(memo(4), 1, day)
	gone.Deleted = true
	known["deleted memo"] = gone
	u := plan.NewUnclaimed(list("listed"), known.sorted)
	for _, tt := range []struct {
		m    plan.Identity
		want string
	}{{letter(1), ""}, {letter(2), "a"}, {letter(2), ""}, {memo(2), "c"}, {memo(3), ""}, {memo(1), "b"}, {letter(3), "v1"}, {letter(4), ""}, {letter(5), "deleted"}, {memo(4), ""}, {memo(5), ""}, {letter(6), ""}} {
		e, ok, err := u.Find("", tt.m, known.get)
		if ok != (tt.want != "") || e.ID != tt.want || err != nil {
			t.Errorf("found %q, %v, %v, want %q", e.ID, ok, err, tt.want)
		}
	}
}

func TestLibraryRecognisesCopiesBeneathTheStampsOfFetchers(t *testing.T) {
	const mail = "Received: from a by b; now\nMessage-ID: <%d@x>\nSubject: s\n\nbody\n"
	const stamp = "Received: from pop.example.org by localhost with POP3 (a fetcher);\n\tThu, 1 Jan 2026 10:00:00 +0000\n"
	const report = "Subject: report\n\nall is well\n"
	shown := func(text string) plan.Identity { return identityOf(strings.ReplaceAll(text, "\n", "\r\n")) }
	var l plan.Library
	for _, text := range []string{
		fmt.Sprintf(mail, 1), "Return-Path: <a@x>\n" + stamp + fmt.Sprintf(mail, 2), stamp + stamp + fmt.Sprintf(mail, 3), report, report,
	} {
		stored, err := plan.Inspect(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		l.Add(stored)
	}
	for n := range 4 {
		l.Show(plan.Listed{Num: n + 1, ID: fmt.Sprint("u", n+1), Octets: 7}, shown(fmt.Sprintf(mail, n+1)))
	}
	l.Show(plan.Listed{Num: 9, ID: "report"}, shown(report)) // which of the two copies?
	got := l.Match()
	var ids []string
	for _, e := range got.Entries {
		ids = append(ids, e.ID)
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"u1", "u2", "u3"}) || got.Unknown != 1 || len(got.Ambiguous) != 1 {
		t.Errorf("recognised %q, %d unknown, ambiguous %+v", ids, got.Unknown, got.Ambiguous)
	}
}

// checkIdentity holds the promises of a plan for any maildrop and any records: nothing
// is deleted that was not shown to be delivered, no record serves two messages, and none
// of a delivered message gets lost.
func checkIdentity(t *testing.T, octets []byte) {
	t.Helper()
	next := func() int {
		if len(octets) == 0 {
			return 0
		}
		b := octets[0]
		octets = octets[1:]
		return int(b)
	}
	which := func() plan.Identity {
		n := next()
		if n%5 == 0 {
			return memo(n / 5 % 3)
		}
		return letter(n % 12)
	}
	p := []plan.Policy{{}, {Delete: true}, {Delete: true, After: 14 * day}}[next()%3]
	when := at(noon)
	when.Daily, when.NoHeaders = next()%2 == 0, next()%8 == 0
	var b box
	for range next() % 12 {
		b = append(b, boxed{fmt.Sprint(next() % 9), int64(100 + next()%3), which(), next()%9 == 0})
	}
	known := records{}
	for range next() % 12 {
		m := which()
		r := delivered(m, int64(100+next()%3), time.Duration(next()%30)*day)
		switch next() % 8 {
		case 0:
			r.Deleted = true
		case 1:
			r.Absent, r.Counted, r.Absences = noon.Add(-day), noon.Add(-day), 1
		case 2:
			r.Fingerprint, r.Body, r.Strong, r.Digest = plan.Fingerprint{}, [16]byte{}, false, m.Block
		case 3:
			r.Delivered, r.Failures, r.Reason = time.Time{}, 1, "75"
		}
		known[fmt.Sprint(next()%11)] = r
	}
	before := maps.Clone(known)
	todo, _ := b.decide(t, known, p, when)
	count := map[plan.Fingerprint]int{} // delivered messages by fingerprint
	for _, r := range before {
		if r.Seen() && r.Fingerprint != (plan.Fingerprint{}) {
			count[r.Fingerprint]++
		}
	}
	for it := range todo.Delete.All() {
		m := b[it.Num-1]
		if count[m.Fingerprint]--; m.hidden || m.Weak || when.NoHeaders || count[m.Fingerprint] < 0 {
			t.Errorf("message %d is deleted: %+v", it.Num, m)
		}
	}
	known.apply(todo)
	for _, r := range known {
		if r.Seen() && r.Fingerprint != (plan.Fingerprint{}) {
			count[r.Fingerprint]--
		}
	}
	for it := range todo.Delete.All() {
		m := b[it.Num-1]
		count[m.Fingerprint]++
		if r := known[it.ID]; r.Fingerprint != m.Fingerprint || !r.Seen() {
			t.Errorf("message %d is deleted, and its record is %+v", it.Num, r)
		}
	}
	for id, r := range before {
		if r.Deleted || !r.Seen() || r.Fingerprint == (plan.Fingerprint{}) {
			continue
		}
		if count[r.Fingerprint] > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(before)), func(o state.Record) bool { return o.Deleted && o.Fingerprint == r.Fingerprint }) {
			t.Errorf("the record of %q is lost", id)
		}
	}
}

func TestPlanDeletesOnlyWhatWasShown(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for range 3000 {
		octets := make([]byte, random.Uint64()%150)
		random.Read(octets)
		checkIdentity(t, octets)
		if t.Failed() {
			t.Fatalf("of %x", octets)
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 1, 1, 3, 1, 0, 7, 1, 2, 0, 8, 1, 3, 3, 7, 0, 20, 4, 1, 8, 0, 20, 4, 2})
	f.Fuzz(func(t *testing.T, octets []byte) { checkIdentity(t, octets) })
}

// Two records that had to leave the same id, one after the other, are both kept.
func TestRecordsThatLostTheSameIDAreBothKept(t *testing.T) {
	known := records{"1": delivered(memo(1), 100, day)}
	for n := 2; n <= 3; n++ {
		todo, _ := box{{"1", int64(100 * n), memo(n), false}}.decide(t, known, plan.Policy{}, at(noon))
		known.apply(todo)
		known["1"] = delivered(memo(n), int64(100*n), day)
	}
	if len(known) != 3 {
		t.Errorf("%d records of three messages", len(known))
	}
}

// The daily look shows all messages. Where the server has deleted none for some time, it is
// still asked for one of them only.
func TestOneMessageIsDueAlthoughAllAreLookedAt(t *testing.T) {
	known, all := records{}, box{}
	for n := 1; n <= 5; n++ {
		id := fmt.Sprint("u", n)
		known[id] = delivered(letter(n), 100, day)
		all = append(all, box{{id, 100, letter(n), false}}...)
	}
	for _, one := range []bool{true, false} {
		for _, daily := range []bool{true, false} {
			when := at(noon)
			when.OneDue, when.Daily = one, daily
			todo, _ := all.decide(t, known, plan.Policy{Delete: true}, when)
			if n := todo.Delete.Len(); one != (n == 1) || !one && n != 5 {
				t.Errorf("one: %v, daily: %v: %d are due", one, daily, n)
			}
		}
	}
}

// The id of a message that was too big is that of a small one now.
func TestIDOfAMessageThatWasTooBigIsReused(t *testing.T) {
	known := records{"1": {Octets: 5000, Reason: plan.LargerThanMaxSize}}
	p := plan.Policy{MaxOctets: 1000}
	if todo, _ := (box{{"1", 100, letter(2), false}}).decide(t, known, p, at(noon)); todo.Retrieve.Len() != 1 {
		t.Errorf("%v", todo)
	}
	known["1"] = state.Record{Octets: 5000, Reason: "larger than announced", Fingerprint: letter(1).Fingerprint}
	if todo, _ := (box{{"1", 100, letter(1), false}}).decide(t, known, p, at(noon)); todo.TooBig.Len() != 1 {
		t.Errorf("larger than announced: %v", todo)
	}
	when := at(noon)
	when.Daily = true
	if todo, _ := (box{{"1", 100, letter(2), false}}).decide(t, known, p, when); todo.Retrieve.Len() != 1 {
		t.Errorf("another message under its id: %v", todo)
	}
}

// The server shows no header block of the message whose id is in doubt, so that any other
// id is in doubt too.
func TestHeaderBlockThatIsRefusedPutsOtherIDsInDoubt(t *testing.T) {
	gone := delivered(letter(1), 100, day)
	gone.Deleted = true
	known := records{"1": gone, "2": delivered(letter(2), 100, day), "3": delivered(letter(3), 100, day)}
	todo, looked := box{{"1", 100, letter(2), true}, {"2", 100, letter(3), false}}.decide(t, known, plan.Policy{}, at(noon))
	if !slices.Equal(looked, []int{1, 2}) || todo.Moved != 1 || todo.Retrieve.Len() != 1 {
		t.Errorf("looked at %v: %v, %d moved", looked, todo, todo.Moved)
	}
}

// Where ids are message numbers, the last known message shows whether they have shifted: a
// message under a new number may have been delivered.
func TestNewNumberMayBeThatOfAKnownMessage(t *testing.T) {
	known := records{"1": delivered(letter(2), -1, day), "2": delivered(letter(3), -1, day)}
	todo, _ := box{{"1", -1, letter(1), false}, {"2", -1, letter(2), false}, {"3", -1, letter(3), false}}.decide(t, known, plan.Policy{}, at(noon))
	if got := nums(todo.Retrieve); !slices.Equal(got, []int{1, 3}) || todo.Moved != 1 {
		t.Errorf("retrieves %v, %d moved", got, todo.Moved)
	}
	known.apply(todo)
	if _, ok, _ := plan.NewUnclaimed(list("1", "2", "3"), known.sorted).Find("3", letter(3), known.get); !ok {
		t.Error("message 3 is not known when it is received")
	}
}

// The body is not in a record of version 1, so another message may have its header block.
func TestWeakRecordOfVersion1IsFoundUnderItsOwnIDOnly(t *testing.T) {
	known := records{"a": {Delivered: noon, Octets: 5000, Digest: memo(1).Block}}
	// The header block that TOP shows and the size are not those of the record.
	todo, _ := box{{"a", 100, letter(2), false}, {"b", 100, memo(1), false}}.decide(t, known, plan.Policy{}, at(noon))
	known.apply(todo)
	u := plan.NewUnclaimed(list("a", "b"), known.sorted)
	for _, tt := range []struct {
		id   string
		want bool
	}{{"b", false}, {"a", true}, {"a", false}} {
		if _, ok, err := u.Find(tt.id, memo(1), known.get); ok != tt.want || err != nil {
			t.Errorf("under %s: %v, %v", tt.id, ok, err)
		}
	}
}

// The record of a copy that is gone ages, although its twin is compared every day.
func TestOfCopiesTheOneListedLastIsFound(t *testing.T) {
	old, last := delivered(memo(1), 1, day), delivered(memo(1), 1, day)
	old.Absent, last.Absent = noon.Add(-day), noon
	known := records{"a": old, "b": last, "c": old}
	u := plan.NewUnclaimed(list(), known.sorted)
	if e, _, _ := u.Find("", memo(1), known.get); e.ID != "b" {
		t.Errorf("found %q", e.ID)
	}
}

// A message that popfetch has deleted and that somebody puts back is known, and stays:
// it may be the last copy. A server that did not carry the deletion out is asked again.
func TestMessageThatIsPutBackIsNotDeletedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		id       string
		absences int
		remove   int
	}{
		"not deleted by the server": {"a", 1, 1},
		"away for a day":            {"a", 2, 0},
		"another unique-id":         {"b", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := delivered(letter(1), 100, day)
			r.Deleted, r.Absent, r.Counted, r.Absences = true, noon.Add(-day), noon.Add(-day), tt.absences
			known := records{"a": r}
			b := box{{tt.id, 100, letter(1), false}}
			for range 2 {
				todo, _ := b.decide(t, known, plan.Policy{Delete: true}, at(noon))
				known.apply(todo)
				var deleted int
				for it := range todo.Retrieve.All() {
					u := plan.NewUnclaimed(b.listing(), known.sorted)
					e, ok, _ := u.Find(it.ID, letter(1), known.get)
					if !ok {
						t.Fatalf("%s is taken for new mail", it.ID)
					}
					record, due := plan.Recognised(it, e, letter(1), plan.Policy{Delete: true}, at(noon))
					delete(known, e.ID)
					known[it.ID] = record
					if due {
						deleted++
					}
				}
				if deleted += todo.Delete.Len(); deleted != tt.remove {
					t.Errorf("%d deleted, want %d: %v", deleted, tt.remove, todo)
				}
			}
		})
	}
}

// Twins change places when one goes. If no header block shows that, all are compared.
func TestTwinsOfADeletedMessageAreComparedWithoutHeaderBlocks(t *testing.T) {
	gone := delivered(letter(1), -1, day)
	gone.Deleted = true
	known := records{"x": gone, "x\x002": delivered(letter(2), -1, day), "x\x003": delivered(letter(3), -1, day)}
	when := at(noon)
	when.NoHeaders = true
	todo, _ := box{{"x", -1, letter(2), false}, {"x", -1, letter(3), false}}.decide(t, known, plan.Policy{}, when)
	if got := nums(todo.Retrieve); !slices.Equal(got, []int{1, 2}) {
		t.Fatalf("retrieves %v", got)
	}
	known.apply(todo)
	unclaimed := plan.NewUnclaimed(list("x", "x"), known.sorted)
	for n := 2; n <= 3; n++ {
		if _, ok, _ := unclaimed.Find("", letter(n), known.get); !ok {
			t.Errorf("message %d is not known when it is received", n)
		}
	}
}

// A message that is deferred may be the one of a record that had to leave its id.
func TestDisplacedRecordStaysWhileMessagesAreDeferred(t *testing.T) {
	known := records{"a": delivered(letter(1), 100, 50*day)}
	todo, _ := box{{"a", 101, letter(2), false}}.decide(t, known, plan.Policy{}, at(noon.Add(-40*day)))
	known.apply(todo)
	for id, r := range known {
		r.Absent, r.Counted, r.Absences = noon.Add(-40*day), noon.Add(-2*day), 9
		known[id] = r
	}
	for most, forgotten := range map[int]int{0: 1, 1: 0} {
		todo, _ = box{{"b", 100, letter(2), false}, {"c", 100, letter(3), false}}.decide(t, known, plan.Policy{MaxMessages: most}, at(noon))
		if len(todo.Forget) != forgotten {
			t.Errorf("with max_messages %d forgets %q", most, todo.Forget)
		}
	}
}

// Where ids are message numbers, those behind a deleted message have changed, and no header
// block shows that of messages without Message-ID.
func TestNumbersBehindADeletedMessageHaveChanged(t *testing.T) {
	gone := delivered(memo(1), 100, day)
	gone.Deleted = true
	known := records{"1": gone, "2": delivered(memo(2), 100, day), "3": delivered(memo(3), 100, day)}
	todo, _ := box{{"1", -1, memo(2), false}, {"2", -1, memo(3), false}}.decide(t, known, plan.Policy{}, at(noon))
	if got := nums(todo.Retrieve); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("retrieves %v", got)
	}
}
