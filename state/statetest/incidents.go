package statetest

import (
	"errors"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"popfetch/state"
)

func testIncident(f *fixture) {
	want := func(when string, want map[string]state.Incident) {
		f.Helper()
		got, err := f.store.Incidents()
		if err != nil {
			f.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			f.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	put := func(key string, i *state.Incident) {
		f.Helper()
		if err := f.store.PutIncident(key, i); err != nil {
			f.Fatal(err)
		}
	}
	want("at first", map[string]state.Incident{})
	put("none", nil)
	at := time.Date(2026, 11, 26, 3, 4, 5, 678, time.FixedZone("", 3600))
	work := state.Incident{
		Since: at, Last: at.Add(time.Hour), Polls: 12, Class: "auth", Error: "no\x1b\xff", Said: at.Add(time.Minute),
		Messages: []string{"a", "b"}, Changed: at, Failures: 11, Next: at.Add(2 * time.Hour),
	}
	put("work", &work)
	put("home", &state.Incident{Since: at, Polls: 1})
	kept := work
	kept.Error = strings.ToValidUTF8(kept.Error, "\ufffd")
	for _, t := range []*time.Time{&kept.Since, &kept.Last, &kept.Next} {
		*t = t.UTC().Truncate(time.Second)
	}
	kept.Said, kept.Changed = kept.Said.UTC(), kept.Changed.UTC()
	first := state.Incident{Since: kept.Since, Polls: 1}
	both := map[string]state.Incident{"work": kept, "home": first}
	want("after two", both)
	f.reopen()
	want("after a reopen", both)
	if keys, err := f.store.Keys(); err != nil || len(keys) > 0 {
		f.Errorf("an incident has made the maildrops %q, %v", keys, err)
	}
	kept.Polls = 13
	put("work", &kept)
	put("home", nil)
	want("after the end of one", map[string]state.Incident{"work": kept})
	for _, key := range []string{"", strings.Repeat("a", state.MaxKey+1)} {
		if err := f.store.PutIncident(key, &kept); !errors.Is(err, state.ErrInvalid) {
			f.Errorf("a key of %d octets: %v", len(key), err)
		}
	}
	f.store.Close()
	if _, err := f.store.Incidents(); !errors.Is(err, state.ErrClosed) {
		f.Errorf("after Close: %v", err)
	}
	if err := f.store.PutIncident("work", nil); !errors.Is(err, state.ErrClosed) {
		f.Errorf("after Close: %v", err)
	}
}
