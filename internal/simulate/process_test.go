package simulate

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"sync"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// process is one life of popfetch. It crashes at a step: from then on nothing that it
// does has an effect.
type process struct {
	mu    sync.Mutex
	crash step // where it crashes, "" = nowhere
	left  int  // how many such steps go well before
	part  int  // how much of the step has an effect: 0 nothing, 1 a part, 2 all
	dead  bool
	conn  net.Conn // of the session, nil = none
}

type step string

const (
	atStage   step = "Stage"
	atPrepare step = "Prepare"
	atCommit  step = "Commit"
	atPublish step = "Publish"
	atDele    step = "DELE"
)

var errDead = errors.New("popfetch is dead")

// die reports whether the process is dead or dies at this step, and how much of the step
// still has an effect.
func (p *process) die(at step) (part int, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return 0, true
	}
	if p.crash != at {
		return 2, false
	}
	if p.left--; p.left >= 0 {
		return 2, false
	}
	p.dead = true
	if p.conn != nil {
		p.conn.Close()
	}
	return p.part, true
}

// mortalMaildrop is the state as the process uses it.
type mortalMaildrop struct {
	state.Maildrop
	*process
}

func (m mortalMaildrop) Commit(c state.Change) error {
	if c.Empty() {
		return m.Maildrop.Commit(c)
	}
	part, dead := m.die(atCommit)
	if part > 0 {
		if err := m.Maildrop.Commit(c); err != nil {
			return err
		}
	}
	if dead {
		return errDead
	}
	return nil
}

// mortalDestination is the destination as the process uses it.
type mortalDestination struct {
	deliver.Destination
	*process
}

func (d mortalDestination) Stage(ctx context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	part, dead := d.die(atStage)
	if part == 0 {
		return nil, errDead
	}
	staged, err := d.Destination.Stage(ctx, m, r)
	if err == nil && dead {
		err = errDead
	}
	return mortalStaged{staged, d.process}, err
}

func (d mortalDestination) Prepare(ctx context.Context, group []deliver.Staged) []error {
	part, dead := d.die(atPrepare)
	var errs []error
	if part > 0 {
		errs = d.Destination.Prepare(ctx, inner(group))
	}
	if dead {
		return each(group, errDead)
	}
	return errs
}

func (d mortalDestination) Publish(ctx context.Context, group []deliver.Staged) []error {
	part, dead := d.die(atPublish)
	var errs []error
	switch part {
	case 1:
		d.Destination.Publish(ctx, inner(group[:(len(group)+1)/2]))
	case 2:
		errs = d.Destination.Publish(ctx, inner(group))
	}
	if dead {
		return each(group, errDead)
	}
	return errs
}

// mortalStaged is a staged message that a dead process leaves behind.
type mortalStaged struct {
	deliver.Staged
	*process
}

func (s mortalStaged) Abort() error {
	s.mu.Lock()
	dead := s.dead
	s.mu.Unlock()
	if dead {
		return errDead
	}
	return s.Staged.Abort()
}

func inner(group []deliver.Staged) []deliver.Staged {
	all := make([]deliver.Staged, len(group))
	for i, s := range group {
		all[i] = s.(mortalStaged).Staged
	}
	return all
}

func each(group []deliver.Staged, err error) []error {
	errs := make([]error, len(group))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// mortalSession is a session that the process may die in.
type mortalSession struct {
	fetch.Session
	*process
}

func (s mortalSession) DeleThenQuit(nums []int) iter.Seq2[int, error] {
	s.die(atDele)
	return s.Session.DeleThenQuit(nums)
}

func (w *world) login(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
	conn, err := w.server.Dial()
	if err != nil {
		return nil, err
	}
	w.process.mu.Lock()
	dead := w.process.dead
	w.process.conn = conn
	w.process.mu.Unlock()
	if dead {
		conn.Close()
		return nil, errDead
	}
	o := &pop3.Options{Security: pop3.ClearText, Waited: how.Waited}
	if how.Serial || w.feature.serial {
		o.Pipelining = pop3.PipelineOff
	}
	client, err := pop3.NewClient(ctx, conn, host, o)
	if err != nil {
		return nil, err
	}
	credentials := pop3.Credentials{User: user, Password: "secret", Expected: how.Expected, Next: how.Next, Patient: how.Patient}
	if _, err := client.Login(credentials); err != nil {
		client.Close()
		return nil, err
	}
	return mortalSession{client, w.process}, nil
}
