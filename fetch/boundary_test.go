package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// way is how the chosen call of a tap goes wrong.
type way uint8

const (
	dieBefore  way = iota // the process ends before the call has its effect
	dieAfter              // … after it, before the caller hears of it
	failBefore            // the call reports an error and has had no effect
	failAfter             // … and has had its effect
	refuseOne             // of a destination: it refuses the message, without effect
	ways
)

func (w way) String() string {
	return [...]string{"die before", "die after", "fail before", "fail after", "refuse"}[w]
}

// tap sits at the boundaries of a poll, through several lives of the process. It
// counts the calls, makes one of them fail, and checks the order of safety.
type tap struct {
	at  int // the call that goes wrong in this life, from 1; 0 = none
	way way

	mu    sync.Mutex // for the calls, which two goroutines make while a group is settled
	calls int        // of this life
	where string
	dead  bool
	cut   func() // ends the connection

	// One goroutine at a time uses the rest: no DELE is sent while a group is
	// settled.
	uids      map[int]string  // of this session
	prepared  map[string]bool // notes of the intents that are durable
	recorded  map[string]bool // unique-ids with a recorded intent
	note      map[string]string
	published map[string]bool // unique-ids that are delivered and durable
	deles     int
	wrong     []string // breaches of the order of safety
}

// death is the panic value that stands for the end of the process.
type death struct{}

var errInjected = errors.New("injected")

func newTap() *tap {
	return &tap{prepared: map[string]bool{}, recorded: map[string]bool{}, note: map[string]string{}, published: map[string]bool{}}
}

// life begins a new life.
func (t *tap) life(at int, w way) {
	t.at, t.way, t.calls, t.dead, t.where, t.uids = at, w, 0, false, "", map[int]string{}
}

func (t *tap) die() {
	t.mu.Lock()
	t.dead = true
	cut := t.cut
	t.mu.Unlock()
	if cut != nil {
		cut()
	}
	panic(death{})
}

// isDead reports whether the process has ended: no call has an effect any more.
func (t *tap) isDead() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dead
}

// count counts a call and reports whether it is the one that goes wrong.
func (t *tap) count(name string) (hit bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		panic(death{})
	}
	t.calls++
	if hit = t.calls == t.at; hit {
		t.where = name
	}
	return hit
}

// connected sets how the connection is cut.
func (t *tap) connected(cut func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cut = cut
}

func (t *tap) breach(format string, args ...any) {
	t.wrong = append(t.wrong, fmt.Sprintf(format, args...))
}

// do makes one call over a boundary and returns the injected error only; the
// caller handles an error of f.
func (t *tap) do(name string, f func()) error {
	hit := t.count(name)
	switch {
	case hit && t.way == dieBefore:
		t.die()
	case hit && (t.way == failBefore || t.way == refuseOne):
		return errInjected
	}
	f()
	switch {
	case hit && t.way == dieAfter:
		t.die()
	case hit && t.way == failAfter:
		return errInjected
	}
	return nil
}

// fault returns an injected error as a destination would report it.
func (t *tap) fault(err error) error {
	if err == nil {
		return nil
	}
	scope := deliver.Place
	if t.way == refuseOne {
		scope = deliver.Message
	}
	return &deliver.Error{Op: "do", Path: "mail", Scope: scope, Temporary: true, Err: err}
}

// install puts the tap around everything that an account calls.
func (t *tap) install(a *fetch.Account, outer func(deliver.Destination) deliver.Destination, group int) {
	open, destination, rec := a.Open, a.Destination, a.Recover
	a.Open = func(ctx context.Context, how fetch.Opening) (s fetch.Session, err error) {
		if injected := t.do("Open", func() { s, err = open(ctx, how); t.connected(closer(s)) }); injected != nil {
			closer(s)()
			return nil, injected
		}
		if err != nil {
			return nil, err
		}
		return &tappedSession{Session: s, t: t}, nil
	}
	a.Destination = func(ctx context.Context) (d deliver.Destination, err error) {
		if injected := t.do("Destination", func() { d, err = destination(ctx) }); injected != nil {
			if d != nil {
				d.Close()
			}
			return nil, t.fault(injected)
		}
		if err != nil {
			return nil, err
		}
		d = &tappedDestination{d, t, group}
		if outer != nil {
			d = outer(d)
		}
		return d, nil
	}
	a.Recover = func(ctx context.Context, i deliver.Intent) (o deliver.Outcome, err error) {
		injected := t.do("Recover", func() {
			o, err = rec(ctx, i)
			if err == nil && o != deliver.Again {
				t.published[t.note[i.Note]] = true
			}
		})
		if injected != nil {
			return 0, t.fault(injected)
		}
		return o, err
	}
	a.Maildrop = &tappedMaildrop{Maildrop: a.Maildrop, t: t}
}

func closer(s fetch.Session) func() {
	return func() {
		if s != nil {
			s.Close()
		}
	}
}

// tappedSession is a session behind a tap. After an injected error it is broken.
type tappedSession struct {
	fetch.Session
	t      *tap
	broken error
}

func (s *tappedSession) Broken() error {
	if s.broken != nil {
		return s.broken
	}
	return s.Session.Broken()
}

// steps taps an iteration: its start and each reply.
func steps[T any](s *tappedSession, name string, zero T, inner iter.Seq2[T, error], see func(T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := s.t.do(name, func() {}); err != nil {
			s.broken = err
			yield(zero, err)
			return
		}
		for v, err := range inner {
			if injected := s.t.do(name+" reply", func() {}); injected != nil {
				s.broken = injected
				yield(zero, injected)
				return
			}
			if see != nil {
				see(v, err)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

func (s *tappedSession) Uidl() iter.Seq2[pop3.UniqueID, error] {
	return steps(s, "UIDL", pop3.UniqueID{}, s.Session.Uidl(), func(u pop3.UniqueID, err error) { s.t.uids[u.Num] = string(u.ID) })
}

func (s *tappedSession) List() iter.Seq2[pop3.ScanListing, error] {
	return steps(s, "LIST", pop3.ScanListing{}, s.Session.List(), nil)
}

func (s *tappedSession) Retr(nums []int, octets func(int) int64) iter.Seq2[*pop3.Message, error] {
	inner := steps(s, "RETR", &pop3.Message{Body: noBody{}}, s.Session.Retr(nums, octets), nil)
	return func(yield func(*pop3.Message, error) bool) {
		for m, err := range inner {
			if err == nil {
				m = &pop3.Message{Num: m.Num, Octets: m.Octets, Body: &tappedBody{m.Body, s}}
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

func (s *tappedSession) DeleThenQuit(nums []int) iter.Seq2[int, error] {
	for _, num := range nums {
		uid := s.t.uids[num]
		if !s.t.recorded[uid] || !s.t.published[uid] {
			s.t.breach("DELE of %s: recorded %v, delivered %v", uid, s.t.recorded[uid], s.t.published[uid])
		}
		s.t.deles++
	}
	if len(nums) == 0 {
		return s.Session.DeleThenQuit(nums)
	}
	return steps(s, "DELE", 0, s.Session.DeleThenQuit(nums), nil)
}

func (s *tappedSession) Quit() (err error) {
	if injected := s.t.do("QUIT", func() { err = s.Session.Quit() }); injected != nil {
		return injected
	}
	return err
}

func (s *tappedSession) Bye() (err error) {
	if injected := s.t.do("QUIT", func() { err = s.Session.Bye() }); injected != nil {
		return injected
	}
	return err
}

type noBody struct{}

func (noBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// tappedBody is a body behind a tap: each read is a call.
type tappedBody struct {
	io.Reader
	s *tappedSession
}

func (b *tappedBody) Read(p []byte) (n int, err error) {
	if injected := b.s.t.do("body", func() { n, err = b.Reader.Read(p) }); injected != nil {
		b.s.broken = injected
		return 0, injected
	}
	return n, err
}

// tappedDestination is a destination behind a tap.
type tappedDestination struct {
	deliver.Destination
	t     *tap
	group int
}

func (d *tappedDestination) Group() int {
	if d.group > 0 {
		return d.group
	}
	return d.Destination.Group()
}

// tappedStaged tells the tap which intent belongs to which message.
type tappedStaged struct {
	deliver.Staged
	uid string
	t   *tap
}

func (s tappedStaged) Abort() error {
	if s.t.isDead() {
		return nil
	}
	return s.Staged.Abort()
}

func (s tappedStaged) Intent() deliver.Intent {
	i := s.Staged.Intent()
	s.t.note[i.Note] = s.uid
	return i
}

func (d *tappedDestination) Stage(ctx context.Context, m deliver.Meta, r io.Reader) (s deliver.Staged, err error) {
	injected := d.t.do("Stage", func() { s, err = d.Destination.Stage(ctx, m, r) })
	if injected != nil {
		if s != nil {
			s.Abort()
		}
		return nil, d.t.fault(injected)
	}
	if err != nil {
		return nil, err
	}
	return tappedStaged{s, m.UID, d.t}, nil
}

func bare(group []deliver.Staged) []deliver.Staged {
	all := make([]deliver.Staged, len(group))
	for i, s := range group {
		all[i] = s.(tappedStaged).Staged
	}
	return all
}

func (d *tappedDestination) Prepare(ctx context.Context, group []deliver.Staged) (errs []error) {
	injected := d.t.do("Prepare", func() {
		errs = d.Destination.Prepare(ctx, bare(group))
		for i, s := range group {
			if errs == nil || errs[i] == nil {
				d.t.prepared[s.Intent().Note] = true
			}
		}
	})
	if injected != nil {
		return each(group, d.t.fault(injected))
	}
	return errs
}

func (d *tappedDestination) Publish(ctx context.Context, group []deliver.Staged) (errs []error) {
	for _, s := range group {
		if uid := s.(tappedStaged).uid; !d.t.recorded[uid] {
			d.t.breach("%s is published before it is recorded", uid)
		}
	}
	injected := d.t.do("Publish", func() {
		errs = d.Destination.Publish(ctx, bare(group))
		for i, s := range group {
			if errs == nil || errs[i] == nil {
				d.t.published[s.(tappedStaged).uid] = true
			}
		}
	})
	if injected != nil {
		return each(group, d.t.fault(injected))
	}
	return errs
}

// tappedMaildrop is a state.Maildrop behind a tap. After an error every call
// fails, as the contract says.
type tappedMaildrop struct {
	state.Maildrop
	t      *tap
	failed error
}

func (m *tappedMaildrop) guard(name string, f func() error) (err error) {
	if m.failed != nil {
		return m.failed
	}
	if m.failed = m.t.do(name, func() { err = f() }); m.failed != nil {
		return m.failed
	}
	return err
}

func (m *tappedMaildrop) Intents() (open []state.OpenIntent, err error) {
	err = m.guard("Intents", func() error { open, err = m.Maildrop.Intents(); return err })
	return open, err
}

func (m *tappedMaildrop) Scan(fn func(seq) error) error {
	return m.guard("Scan", func() error { return m.Maildrop.Scan(fn) })
}

func (m *tappedMaildrop) Commit(c state.Change) error {
	if c.Empty() {
		return m.Maildrop.Commit(c)
	}
	for _, e := range c.Put {
		if e.Intent != nil && !m.t.prepared[e.Intent.Note] {
			m.t.breach("%s is recorded before it is durable", e.ID)
		}
	}
	return m.guard("Commit", func() error {
		err := m.Maildrop.Commit(c)
		for _, e := range c.Put {
			if err == nil && e.Intent != nil {
				m.t.recorded[e.ID] = true
				m.t.note[e.Intent.Note] = e.ID
			}
		}
		if err == nil {
			m.forget(c)
		}
		return err
	})
}

// forget notes which intents were closed without a delivery.
func (m *tappedMaildrop) forget(c state.Change) {
	for _, e := range c.Put {
		if e.Intent == nil && !e.Record.Seen() && slices.Contains(c.Done, e.ID) {
			m.t.recorded[e.ID] = false
		}
	}
}
