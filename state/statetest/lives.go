package statetest

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"popfetch/state"
)

func testOutlives(f *fixture) {
	c := state.Change{Put: append(entries(300), withIntent("intent", 5))}
	f.commit(me, c)
	got, err := read(f.store)
	keys, keysErr := f.store.Keys()
	if err := errors.Join(err, keysErr, f.store.Close()); err != nil {
		f.Fatal(err)
	}
	if diff := after(me, c).diff(got); diff != "" || keys[0] != me {
		f.Errorf("maildrops %q\n%s", keys, diff)
	}
}

func testClosed(f *fixture) {
	m := f.store.Maildrop(me)
	f.commit(me, state.Change{Put: entries(3)})
	if err := errors.Join(f.store.Close(), f.store.Close()); err != nil {
		f.Error(err)
	}
	_, keysErr := f.store.Keys()
	_, intentsErr := m.Intents()
	_, factsErr := m.Facts()
	_, getErr := m.Get("a")
	for what, err := range map[string]error{
		"keys": keysErr, "intents": intentsErr, "facts": factsErr, "get": getErr, "scan": m.Scan(nil),
		"commit": m.Commit(state.Change{Done: []string{"a"}}), "empty commit": m.Commit(state.Change{}),
	} {
		if !errors.Is(err, state.ErrClosed) {
			f.Errorf("%s: %v", what, err)
		}
	}
}

func testCloseWaits(f *fixture) {
	f.commit(me, state.Change{Put: entries(1000)})
	inside, closed, scanned := make(chan bool), make(chan error, 1), make(chan error, 1)
	go func() {
		scanned <- f.store.Maildrop(me).Scan(func(records iter.Seq2[[]byte, state.Record]) error {
			inside <- true
			n := 0
			for range records {
				n++
			}
			if n != 1000 {
				return fmt.Errorf("%d ids", n)
			}
			select {
			case <-closed:
				return errors.New("closed under a Scan")
			default:
				return nil
			}
		})
	}()
	<-inside
	go func() { closed <- f.store.Close() }()
	if err := errors.Join(<-scanned, <-closed); err != nil {
		f.Error(err)
	}
}

func testConcurrent(f *fixture) {
	const users, rounds = 16, 8
	name := func(user int) string { return fmt.Sprintf("user%02d@host", user) }
	all := entries(rounds * 10)
	errs := make(chan error, users)
	for user := range users {
		go func() {
			m := f.store.Maildrop(name(user))
			for r := range rounds {
				if err := m.Commit(state.Change{Put: all[r*10 : r*10+10]}); err != nil {
					errs <- err
					return
				}
				n := 0
				if err := m.Scan(func(records iter.Seq2[[]byte, state.Record]) error {
					for range records {
						n++
					}
					return nil
				}); err != nil || n != (r+1)*10 {
					errs <- fmt.Errorf("user %d sees %d ids in round %d: %w", user, n, r, err)
					return
				}
			}
			errs <- nil
		}()
	}
	want := contents{}
	for user := range users {
		if err := <-errs; err != nil {
			f.Error(err)
		}
		want.apply(name(user), state.Change{Put: all})
	}
	f.want(want)
}

// testRandom makes changes over few ids, so that they meet.
func testRandom(f *fixture) {
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		id := func() string { return fmt.Sprintf("uid%d", rnd.IntN(400)) }
		prefix := fmt.Sprintf("seed%d.", seed)
		model := contents{}
		for step := range 60 {
			var c state.Change
			for range rnd.IntN(20) {
				c.Done = append(c.Done, id())
			}
			for range rnd.IntN(20) {
				c.Forget = append(c.Forget, id())
			}
			for range rnd.IntN(40) {
				if rnd.IntN(3) == 0 {
					c.Put = append(c.Put, withIntent(id(), rnd.IntN(1000)))
				} else {
					c.Put = append(c.Put, entry(id(), rnd.IntN(1000)))
				}
			}
			key := fmt.Sprintf("%suser%d@host", prefix, rnd.IntN(4))
			f.commit(key, c)
			model.apply(key, c)
			if step%10 == 9 {
				f.reopen()
			}
			if step%5 != 4 {
				continue
			}
			got, err := read(f.store)
			if err != nil {
				f.Fatal(err)
			}
			for key := range got {
				if !strings.HasPrefix(key, prefix) {
					delete(got, key) // of an earlier seed
				}
			}
			if diff := model.diff(got); diff != "" {
				f.Fatalf("seed %d, step %d:\n%s", seed, step, diff)
			}
		}
	}
}
