package settle_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/fetch/plan"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// noonThatDay is the time of these tests.
var noonThatDay = time.Unix(1e9, 0)

// lastChange keeps the last change that was committed.
type lastChange struct{ state.Change }

func (l *lastChange) Commit(c state.Change) error { l.Change = c; return nil }

// When there are as many records of undelivered messages as may be, a message that fails
// for the first time gets none. One that failed before keeps its record.
func TestFullLedgerStoresNoMoreFailures(t *testing.T) {
	kept := new(lastChange)
	l := settle.NewLedger(kept, slog.New(slog.DiscardHandler), func() time.Time { return noonThatDay })
	l.Full(true)
	failed := plan.Item{Listed: plan.Listed{ID: "again"}, Record: state.Record{Failures: 1, Reason: "no"}}
	l.Postpone(failed, state.Record{Failures: 2}, errors.New("no"))
	l.Postpone(plan.Item{Listed: plan.Listed{ID: "first"}}, state.Record{Failures: 1}, errors.New("no"))
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	want := state.Change{
		Put:    []state.Entry{{ID: "again", Record: state.Record{Failures: 2, Reason: "no", Tried: noonThatDay}}},
		Forget: []string{"first"},
	}
	if diff := cmp.Diff(want, kept.Change); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
