package state

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// contents is what a store holds, by key of the maildrop and id.
type contents map[string]map[string]known

type known struct {
	Record Record
	Intent *Intent
}

// read reads all of a store, but for maildrops without ids.
func read(s Store) (contents, error) {
	keys, err := s.Keys()
	if err != nil {
		return nil, err
	}
	all := contents{}
	for _, key := range keys {
		drop := map[string]known{}
		if err := s.Maildrop(key).Scan(func(seq iter.Seq2[[]byte, Record]) error {
			for id, r := range seq {
				drop[string(id)] = known{Record: r}
			}
			return nil
		}); err != nil {
			return nil, err
		}
		open, err := s.Maildrop(key).Intents()
		if err != nil {
			return nil, err
		}
		for _, o := range open {
			drop[o.ID] = known{Record: o.Record, Intent: &o.Intent}
		}
		if len(drop) > 0 {
			all[key] = drop
		}
	}
	return all, nil
}

// apply changes the map as Commit changes a maildrop.
func (c contents) apply(key string, ch Change) {
	drop := c[key]
	if drop == nil {
		drop = map[string]known{}
		c[key] = drop
	}
	for _, id := range ch.Done {
		if k, ok := drop[id]; ok {
			drop[string(id)] = known{Record: k.Record}
		}
	}
	for _, id := range ch.Forget {
		delete(drop, id)
	}
	for _, e := range ch.Put {
		k := known{Record: e.Record, Intent: e.Intent}
		if k.Intent == nil {
			k.Intent = drop[e.ID].Intent
		}
		drop[e.ID] = k
	}
	if len(drop) == 0 {
		delete(c, key)
	}
}

// equal is cmp.Equal, made fast for tests that compare often.
func (c contents) equal(d contents) bool {
	return maps.EqualFunc(c, d, func(c, d map[string]known) bool {
		return maps.EqualFunc(c, d, func(a, b known) bool {
			return a.Record == b.Record && (a.Intent == nil) == (b.Intent == nil) && (a.Intent == nil || *a.Intent == *b.Intent)
		})
	})
}

func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "state.db") }

// fileAt is the file at path. It does not wait for the lock.
func fileAt(path string) File { return File{Path: path} }

func mustOpen(t testing.TB, path string) *Bolt {
	t.Helper()
	s, err := File{Path: path, Wait: time.Second}.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustClose(t testing.TB, s Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustCommit(t testing.TB, m Maildrop, c Change) {
	t.Helper()
	if err := m.Commit(c); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t testing.TB, s Store) contents {
	t.Helper()
	c, err := read(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantContents(t testing.TB, s Store, want contents) {
	t.Helper()
	if diff := cmp.Diff(want, mustRead(t, s)); diff != "" {
		t.Fatalf("contents differ (-want +got):\n%s", diff)
	}
}

// sample returns a record that differs with n in every field.
func sample(n int) Record {
	r := Record{Octets: int64(n) * 1000, Delivered: time.Unix(1_700_000_000+int64(n), 0).UTC()}
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

func entries(from, to int) []Entry {
	var put []Entry
	for n := from; n < to; n++ {
		put = append(put, Entry{ID: fmt.Sprintf("id-%05d", n*7919%100_003), Record: sample(n)})
	}
	return put
}

func TestKeyLowersTheHostOnly(t *testing.T) {
	if got := Key("Me@Example.ORG", "POP.Example.ORG"); got != "Me@Example.ORG@pop.example.org" {
		t.Error(got)
	}
}

func TestSeenIsDelivered(t *testing.T) {
	if (Record{Failures: 3}).Seen() || !(Record{Delivered: time.Unix(1, 0)}).Seen() {
		t.Error("seen is not delivered")
	}
}

func TestEmptyChangeWritesNothing(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: entries(0, 3)})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s.Maildrop("me@host"), Change{})
	mustCommit(t, s.Maildrop("you@host"), Change{Done: []string{}, Put: []Entry{}})
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) { // even an empty transaction raises a number in a meta page
		t.Error("an empty change has changed the file")
	}
}
