package state

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
)

func someDrop(i int) string { return fmt.Sprintf("user%d@host", i) }

// A first poll asks several times for a maildrop that has no records. With n accounts that
// must not take n² steps. Reading the names allocates memory for each.
func TestUnknownMaildropIsFoundNewWithoutReadingAllNames(t *testing.T) {
	s := mustOpen(t, newPath(t))
	defer s.Close()
	allocations := func() float64 {
		n := 0
		return testing.AllocsPerRun(50, func() {
			n++
			if _, err := s.Maildrop(fmt.Sprintf("new%d@host", n)).Facts(); err != nil {
				t.Fatal(err)
			}
		})
	}
	for i := range 10 {
		mustCommit(t, s.Maildrop(someDrop(i)), Change{Begin: true})
	}
	few := allocations()
	for i := range 300 {
		mustCommit(t, s.Maildrop(someDrop(10+i)), Change{Begin: true})
	}
	if many := allocations(); many > few+2 {
		t.Errorf("%v allocations beside 310 maildrops, %v beside 10", many, few)
	}
	if have := len(s.roll.names); have != 310 {
		t.Errorf("%d names are known without reading them again, not 310", have)
	}
}

// The names were read when the bucket was still there.
func TestMaildropLostUnderAnOpenStoreIsDamage(t *testing.T) {
	s := mustOpen(t, newPath(t))
	defer s.Close()
	mustCommit(t, s.Maildrop("old@host"), Change{Begin: true})
	if _, err := s.Maildrop("unknown@host").Facts(); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s.Maildrop("young@host"), Change{Begin: true})
	for _, lost := range []string{"old@host", "young@host"} {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(maildropsName)).DeleteBucket([]byte(lost))
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Maildrop(lost).Facts(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", lost, err)
		}
		s.failed = nil // for the next one
	}
}

// Polls of new accounts read while others commit, several in one transaction.
func TestMaildropsMadeAtTheSameTimeAreAllKnown(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	const n = 200
	var polls sync.WaitGroup
	for i := range n {
		polls.Go(func() {
			m := s.Maildrop(someDrop(i))
			if _, err := m.Facts(); err != nil {
				t.Error(err)
			}
			if err := m.Commit(Change{Begin: true}); err != nil {
				t.Error(err)
			}
			if _, err := m.Facts(); err != nil {
				t.Error(err)
			}
		})
	}
	polls.Wait()
	if _, err := s.Maildrop("unknown@host").Facts(); err != nil {
		t.Error(err)
	}
	if have := len(s.roll.names); have != n {
		t.Errorf("%d names are known, not %d", have, n)
	}
	mustClose(t, s)
	s = mustOpen(t, path)
	defer s.Close()
	if keys, err := s.Keys(); err != nil || len(keys) != n {
		t.Errorf("%d maildrops, %v", len(keys), err)
	}
}
