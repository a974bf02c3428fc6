package statetest

import (
	"errors"
	"iter"
	"slices"

	"popfetch/state"
)

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
