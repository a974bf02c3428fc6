package fetch_test

import (
	"context"
	"errors"
	"io"
	"iter"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// seq is the argument of Scan's callback.
type seq = iter.Seq2[[]byte, state.Record]

// watched is a session with hooks.
type watched struct {
	fetch.Session
	body func(num int, r io.Reader) io.Reader // of a message, nil = as it is
	dele func(nums []int)                     // before the first DELE
}

func (w watched) Retr(nums []int, octets func(int) int64) iter.Seq2[*pop3.Message, error] {
	return func(yield func(*pop3.Message, error) bool) {
		for m, err := range w.Session.Retr(nums, octets) {
			if err == nil && w.body != nil {
				changed := *m
				changed.Body = w.body(m.Num, m.Body)
				m = &changed
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

func (w watched) DeleThenQuit(nums []int) iter.Seq2[int, error] {
	if w.dele != nil {
		w.dele(nums)
	}
	return w.Session.DeleThenQuit(nums)
}

// watch puts the hooks of w into the sessions of the account.
func (h *fixture) watch(w watched) {
	open := h.account.Open
	h.account.Open = func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
		s, err := open(ctx, how)
		if err != nil {
			return nil, err
		}
		w.Session = s
		return w, nil
	}
}

// atRead calls f before the first read.
type atRead struct {
	r io.Reader
	f func()
}

func (a *atRead) Read(p []byte) (int, error) {
	if a.f != nil {
		a.f()
		a.f = nil
	}
	return a.r.Read(p)
}

// hookedDestination is a destination with hooks. A nil hook changes nothing; an
// error of a hook replaces the call.
type hookedDestination struct {
	deliver.Destination
	group   int
	stage   func(ctx context.Context, m deliver.Meta, r io.Reader) error
	prepare func(staged []deliver.Staged) []error
	publish func(staged []deliver.Staged) []error
	close   func()
}

func (p hookedDestination) Group() int {
	if p.group > 0 {
		return p.group
	}
	return p.Destination.Group()
}

func (p hookedDestination) Stage(ctx context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	if p.stage != nil {
		if err := p.stage(ctx, m, r); err != nil {
			return nil, err
		}
	}
	return p.Destination.Stage(ctx, m, r)
}

func (p hookedDestination) Prepare(ctx context.Context, group []deliver.Staged) []error {
	if p.prepare != nil {
		if errs := p.prepare(group); errs != nil {
			return errs
		}
	}
	return p.Destination.Prepare(ctx, group)
}

func (p hookedDestination) Publish(ctx context.Context, group []deliver.Staged) []error {
	if p.publish != nil {
		if errs := p.publish(group); errs != nil {
			return errs
		}
	}
	return p.Destination.Publish(ctx, group)
}

func (p hookedDestination) Close() error {
	if p.close != nil {
		p.close()
	}
	return p.Destination.Close()
}

// through delivers the mail of the account through p.
func (h *fixture) through(p hookedDestination) {
	h.account.Destination = func(ctx context.Context) (deliver.Destination, error) {
		d, err := h.maildir(ctx)
		if err != nil {
			return nil, err
		}
		p.Destination = d
		return p, nil
	}
}

// failingMaildrop is a state.Maildrop whose disk is broken.
type failingMaildrop struct {
	state.Maildrop
	commits int // how many succeed
	err     error
	scan    error
	intents error
}

var errDisk = errors.New("input/output error")

func (f *failingMaildrop) Scan(fn func(seq) error) error {
	if f.scan != nil {
		return f.scan
	}
	return f.Maildrop.Scan(fn)
}

func (f *failingMaildrop) Intents() ([]state.OpenIntent, error) {
	if f.intents != nil {
		return nil, f.intents
	}
	return f.Maildrop.Intents()
}

func (f *failingMaildrop) Commit(c state.Change) error {
	if c.Empty() || f.err == nil {
		return f.Maildrop.Commit(c)
	}
	if f.commits == 0 {
		return f.err
	}
	f.commits--
	return f.Maildrop.Commit(c)
}

// refusal returns the error of a destination that refuses.
func refusal(scope deliver.Scope, temporary bool) error {
	return &deliver.Error{Op: "write", Path: "mail", Scope: scope, Temporary: temporary, Err: errors.New("no space left on device")}
}

// each returns the same error for every message of a group.
func each(group []deliver.Staged, err error) []error {
	errs := make([]error, len(group))
	for i := range errs {
		errs[i] = err
	}
	return errs
}
