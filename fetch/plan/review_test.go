package plan_test

import (
	"testing"

	"popfetch/fetch/plan"
	"popfetch/state"
)

var shownA, shownB = [16]byte{1}, [16]byte{2}

func TestReviewOfAMessageThatThePlanCannotDecideAbout(t *testing.T) {
	remove := plan.Policy{Delete: true}
	known := state.Record{Delivered: noon.Add(-day), Octets: 100, Digest: shownA}
	gone, old := known, known
	gone.Deleted, gone.Absent, gone.Absences = true, noon, 1
	old.Digest = [16]byte{}
	for name, tt := range map[string]struct {
		policy plan.Policy
		octets int64
		twin   bool
		record state.Record
		shown  [16]byte
		want   plan.Verdict
		unseen bool
	}{
		"other size, same header block":            {remove, 101, false, known, shownA, plan.Seen, false},
		"other size, other header block":           {remove, 101, false, known, shownB, plan.Fresh, false},
		"other size, not shown":                    {remove, 101, false, known, [16]byte{}, plan.Seen, false},
		"other size, no digest recorded":           {remove, 101, false, old, shownB, plan.Seen, false},
		"came back":                                {remove, 100, false, gone, shownA, plan.Due, false},
		"came back, kept":                          {plan.Policy{}, 100, false, gone, shownA, plan.Seen, false},
		"came back, deleted later":                 {plan.Policy{Delete: true, After: day}, 100, false, gone, shownA, plan.Seen, false},
		"came back, a twin":                        {remove, 100, true, gone, shownA, plan.Seen, false},
		"came back, not shown":                     {remove, 100, false, gone, [16]byte{}, plan.Fresh, true},
		"id reused":                                {remove, 100, false, gone, shownB, plan.Fresh, false},
		"id reused, same header block, other size": {remove, 101, false, gone, shownA, plan.Fresh, false},
		"id reused, too big":                       {plan.Policy{MaxOctets: 50}, 100, false, gone, shownB, plan.TooBig, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := listing(plan.Listed{Num: 1, ID: "id", Octets: tt.octets, Repeated: tt.twin})
			todo := plan.New(l, records{"id": tt.record}.sorted, tt.policy, noon)
			if todo.Verify.Len() != 1 {
				t.Fatalf("%v", todo)
			}
			got := todo.Review(tt.policy).Judge(todo.Verify.At(0), tt.shown)
			if got.Verdict != tt.want || got.Unseen != tt.unseen {
				t.Errorf("%+v, want %v, unseen %v", got, tt.want, tt.unseen)
			}
			if got.Record.Deleted || !got.Record.Absent.IsZero() {
				t.Errorf("the record of a listed message: %+v", got.Record)
			}
		})
	}
}

// A renumbered maildrop is accepted when at most a fifth of it is not recognised.
func TestMatchNeedsFourFifthsOfTheMissingMessages(t *testing.T) {
	for found, want := range map[int]bool{0: false, 1: false, 19: false, 20: true, 25: true} {
		m := plan.Match{Found: found}
		if got := m.Enough(25); got != want {
			t.Errorf("%d of 25 found: %v", found, got)
		}
	}
}

func TestMatchFindsEachMessageOnce(t *testing.T) {
	var m plan.Match
	m.Know(state.Entry{ID: "old", Record: state.Record{Delivered: noon, Digest: shownA, Octets: 10}})
	for i, l := range []plan.Listed{{ID: "other size", Octets: 11}, {ID: "new", Octets: 10}, {ID: "copy", Octets: 10}} {
		m.Show(l, shownA)
		if want := min(i, 1); m.Found != want {
			t.Errorf("after %s: %d found, want %d", l.ID, m.Found, want)
		}
	}
	if len(m.Change.Put) != 1 || m.Change.Put[0].ID != "new" || len(m.Change.Forget) != 1 || m.Change.Forget[0] != "old" {
		t.Errorf("%+v", m.Change)
	}
}
