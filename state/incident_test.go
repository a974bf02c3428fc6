package state

import (
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// What an incident says decides only what the user is told, so damage to one must not
// keep mail from anybody.
func TestIncidentThatCannotBeReadCountsAsNone(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	for _, name := range []string{"work", "home", "odd"} {
		if err := s.PutIncident(name, &Incident{Since: time.Now(), Polls: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(incidentsName))
		broken := append([]byte(nil), b.Get([]byte("work"))...)
		broken[3] ^= 1
		if err := b.Put([]byte("work"), broken); err != nil {
			return err
		}
		return b.Put([]byte("odd"), seal([]byte("odd"), []byte("[]")))
	}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if _, err := fileAt(path).Check(); err != nil {
		t.Error(err)
	}
	s = mustOpen(t, path)
	defer mustClose(t, s)
	got, err := s.Incidents()
	if err != nil || len(got) != 1 || got["home"].Polls != 1 {
		t.Errorf("%v, %v", got, err)
	}
}
