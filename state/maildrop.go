package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"
)

// maildrop is one maildrop of a Bolt.
type maildrop struct {
	store *Bolt
	key   string
}

// buckets are those of one maildrop in a transaction, with their tallies.
type buckets struct {
	drop, ids, intents     *bbolt.Bucket
	idsTally, intentsTally tally
}

// buckets returns the buckets of the maildrop, nil if it is unknown.
func (m *maildrop) buckets(tx *bbolt.Tx) (*buckets, error) {
	drop := tx.Bucket([]byte(maildropsName)).Bucket([]byte(m.key))
	if drop == nil {
		return nil, m.store.checkNew(tx, m.key)
	}
	b := &buckets{drop: drop, ids: drop.Bucket([]byte(idsName)), intents: drop.Bucket([]byte(intentsName))}
	if b.ids == nil || b.intents == nil {
		return nil, m.damaged("a part is missing")
	}
	if err := decodeTallies([]byte(m.key), drop.Get([]byte(tallyName)), &b.idsTally, &b.intentsTally); err != nil {
		return nil, m.damaged("the tally " + err.Error())
	}
	return b, nil
}

// read calls fn with the buckets of the maildrop, unless it is unknown, see Bolt.read.
func (m *maildrop) read(fn func(*buckets) error) error {
	return m.store.read(func(tx *bbolt.Tx) error {
		b, err := m.buckets(tx)
		if b == nil || err != nil {
			return err
		}
		return fn(b)
	})
}

func (m *maildrop) damaged(what string) error {
	return damaged(m.store.path, fmt.Sprintf("maildrop %.80q: %s", m.key, what))
}

// unreadable is the error for the value of an id that cannot be decoded.
func (m *maildrop) unreadable(what string, id []byte, err error) error {
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("%s: maildrop %q: %s of %q: %w", m.store.path, m.key, what, id, err)
	}
	return m.damaged(fmt.Sprintf("%s of %.80q %v", what, id, err))
}

// checkTally compares what was read with what was recorded.
func (m *maildrop) checkTally(what string, have, want tally) error {
	if have != want {
		return m.damaged(fmt.Sprintf("%d %s, not the %d that were recorded", have.count, what, want.count))
	}
	return nil
}

// Scan implements Maildrop.
func (m *maildrop) Scan(fn func(known iter.Seq2[[]byte, Record]) error) error {
	s := m.store
	if err := s.enter(); err != nil {
		return err
	}
	defer s.calls.Done()
	if s.db == nil {
		return fn(none)
	}
	var (
		tx *bbolt.Tx
		b  *buckets
	)
	// fn must not run under guard, which would take a panic of it for damage. So
	// the transaction is not that of view.
	err := s.guard(func() (err error) {
		if tx, err = s.db.Begin(false); err == nil {
			b, err = m.buckets(tx)
		}
		return err
	})
	if tx != nil {
		defer func() { _ = s.guard(tx.Rollback) }()
	}
	if err != nil {
		return err
	}
	if b == nil {
		return fn(none)
	}
	r := &records{drop: m, from: b, mapped: s.mapping(tx)}
	defer func() {
		r.over = true
		// Many accounts share a file, and the pages of the others are needed too.
		if r.freed || tx.Size() > keepMapped {
			r.mapped.forget()
		}
	}()
	err = fn(r.all)
	if r.err != nil {
		return r.err
	}
	return err
}

// none is the sequence of the records of an unknown maildrop.
func none(func([]byte, Record) bool) {}

// records reads the records of one maildrop during one Scan.
type records struct {
	drop   *maildrop
	from   *buckets
	mapped mapping
	over   bool  // the Scan has ended
	freed  bool  // it was long, and has freed pages
	err    error // why the sequence ended early
}

const (
	scanPart    = 256 // records that a Scan reads ahead
	forgetEvery = 4   // parts after which it frees the pages that it has read
)

// part is the records that a Scan has read ahead. Its memory is used again for the next
// part.
type part struct {
	ids  []byte // one after the other
	ends []int  // end of each id in ids
	recs []Record
}

func (p *part) add(id []byte, r Record) {
	p.ids = append(p.ids, id...)
	p.ends, p.recs = append(p.ends, len(p.ids)), append(p.recs, r)
}

// all is the sequence that Scan passes to its caller. It reads ahead, so that the
// caller's code does not run under guard.
func (r *records) all(yield func([]byte, Record) bool) {
	if r.over || r.err != nil {
		return
	}
	var (
		next func() (key, value []byte)
		have tally
		p    part
		end  bool
	)
	for n := 1; !end; n++ {
		p.ids, p.ends, p.recs = p.ids[:0], p.ends[:0], p.recs[:0]
		r.err = r.drop.store.guard(func() error {
			if next == nil {
				c := r.from.ids.Cursor()
				next = func() ([]byte, []byte) { next = c.Next; return c.First() }
			}
			for len(p.recs) < scanPart {
				k, v := next()
				if k == nil {
					end = true
					return r.drop.checkTally("ids", have, r.from.idsTally)
				}
				rec, err := decodeRecord(k, v)
				if err != nil {
					return r.drop.unreadable("the record", k, err)
				}
				have.add(v)
				p.add(k, rec)
			}
			return nil
		})
		if r.err != nil {
			return
		}
		if n%forgetEvery == 0 {
			r.mapped.forget()
			r.freed = true
		}
		at := 0
		for i, end := range p.ends {
			if !yield(p.ids[at:end:end], p.recs[i]) {
				return
			}
			at = end
		}
	}
}

// Get implements Maildrop.
func (m *maildrop) Get(id string) (r Record, err error) {
	err = m.read(func(b *buckets) error {
		value := b.ids.Get([]byte(id))
		if value == nil {
			return nil
		}
		if r, err = decodeRecord([]byte(id), value); err != nil {
			return m.unreadable("the record", []byte(id), err)
		}
		return nil
	})
	return r, err
}

// Intents implements Maildrop.
func (m *maildrop) Intents() (open []OpenIntent, err error) {
	err = m.read(func(b *buckets) error {
		open, err = m.intents(b)
		return err
	})
	if err == nil && len(open) > 0 && !m.store.readOnly {
		err = m.store.settle()
	}
	if err != nil {
		return nil, err
	}
	return open, nil
}

func (m *maildrop) intents(b *buckets) ([]OpenIntent, error) {
	var (
		open []OpenIntent
		have tally
	)
	c := b.intents.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		in, err := decodeIntent(k, v)
		if err != nil {
			return nil, m.unreadable("the intent", k, err)
		}
		// An intent is never recorded without its record.
		rec, err := decodeRecord(k, b.ids.Get(k))
		if err != nil {
			return nil, m.unreadable("the record", k, err)
		}
		have.add(v)
		open = append(open, OpenIntent{ID: string(k), Intent: in, Record: rec})
	}
	return open, m.checkTally("intents", have, b.intentsTally)
}

// Facts implements Maildrop.
func (m *maildrop) Facts() (facts Facts, err error) {
	err = m.read(func(b *buckets) error {
		value := b.drop.Get([]byte(factsName))
		if value == nil {
			return nil
		}
		text, err := unseal([]byte(m.key), value)
		if err == nil {
			err = json.Unmarshal(text, &facts)
		}
		if err != nil {
			return m.damaged("the facts of the server: " + err.Error())
		}
		return nil
	})
	return facts, err
}

// Commit implements Maildrop.
func (m *maildrop) Commit(c Change) error { return m.store.commit(m, c) }
