package statetest

import (
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"

	"popfetch/state"
)

// contents is what a store holds, or should: the model that it is compared with.
type contents map[string]map[string]known // by key of the maildrop and id

// known is what is known of one id.
type known struct {
	Record state.Record
	Intent *state.Intent
}

// read reads all of a store.
func read(s state.Store) (contents, error) {
	keys, err := s.Keys()
	if err != nil {
		return nil, err
	}
	all := contents{}
	for _, key := range keys {
		m := s.Maildrop(key)
		drop := map[string]known{}
		if err := m.Scan(func(records iter.Seq2[[]byte, state.Record]) error {
			for id, r := range records {
				drop[string(id)] = known{Record: r}
			}
			return nil
		}); err != nil {
			return nil, err
		}
		open, err := m.Intents()
		if err != nil {
			return nil, err
		}
		for _, o := range open {
			drop[o.ID] = known{Record: o.Record, Intent: &o.Intent}
		}
		all[key] = drop
	}
	return all, nil
}

// apply changes the model as Commit changes a maildrop.
func (c contents) apply(key string, change state.Change) {
	if change.Empty() {
		return
	}
	drop := c[key]
	if drop == nil {
		drop = map[string]known{}
		c[key] = drop
	}
	for _, id := range change.Done {
		if k, ok := drop[id]; ok {
			drop[id] = known{Record: k.Record}
		}
	}
	for _, id := range change.Forget {
		delete(drop, id)
	}
	for _, e := range change.Put {
		k := known{Record: e.Record, Intent: e.Intent}
		if k.Intent == nil {
			k.Intent = drop[e.ID].Intent
		}
		drop[e.ID] = k
	}
}

// after returns what a store holds that was changed once.
func after(key string, change state.Change) contents {
	c := contents{}
	c.apply(key, change)
	return c
}

// diff returns the first differences of what a store holds, "" for none.
func (c contents) diff(got contents) string {
	var b strings.Builder
	if want, have := slices.Sorted(maps.Keys(c)), slices.Sorted(maps.Keys(got)); !slices.Equal(want, have) {
		fmt.Fprintf(&b, "maildrops %.200q, want %.200q\n", have, want)
	}
	for key, want := range c {
		have := got[key]
		if len(have) != len(want) {
			fmt.Fprintf(&b, "%.80q: %d ids, want %d\n", key, len(have), len(want))
		}
		for _, id := range slices.Sorted(maps.Keys(want)) {
			if !reflect.DeepEqual(have[id], want[id]) && b.Len() < 2000 {
				fmt.Fprintf(&b, "%.80q %.80q: %v, want %v\n", key, id, have[id], want[id])
			}
		}
	}
	return b.String()
}

func (k known) String() string {
	if k.Intent == nil {
		return fmt.Sprintf("%+v", k.Record)
	}
	return fmt.Sprintf("%+v with the intent %q", k.Record, *k.Intent)
}
