package delivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"popfetch/deliver"
)

// Faults makes calls fail that a destination makes to the outside: an operation of a
// file system, a command of a protocol, the run of a program. Calls of Open do not
// count.
type Faults interface {
	// Arm makes call number n from now on fail, counted from 0. It has no effect on
	// the outside then, unless its kind can fail after its effect too: that is
	// a call of its own. With dead every later call fails as well, as if the
	// process had been killed at that one.
	Arm(n int, dead bool)
	// Failed returns the name of the call that failed since Arm, "" = none did.
	Failed() string
	// Disarm lets all calls through again.
	Disarm()
}

// testFaults makes each call of a delivery fail in turn, once alone and once as a kill, and
// then delivers what is not known to be delivered, as the next run of popfetch does.
func testFaults(t *testing.T, setup func(t *testing.T) Fixture) {
	for _, dead := range []bool{false, true} {
		for n, failed := 0, "first"; failed != ""; n++ {
			p := open(t, setup)
			if p.Faults == nil {
				return
			}
			failed = p.interrupt(n, dead, "")
			if t.Failed() {
				t.Fatalf("after call %d (%s), killed %v", n, failed, dead)
			}
		}
	}
}

// testFaultsInRecover stops deliveries after their intents are recorded, before Publish,
// and makes each call of Recover fail in turn.
func testFaultsInRecover(t *testing.T, setup func(t *testing.T) Fixture) {
	for _, dead := range []bool{false, true} {
		for n, failed := 0, "first"; failed != ""; n++ {
			p := open(t, setup)
			if p.Faults == nil {
				return
			}
			failed = p.interrupt(n, dead, "Recover")
			if t.Failed() {
				t.Fatalf("after call %d of Recover (%s), killed %v", n, failed, dead)
			}
		}
	}
}

// interrupt delivers messages with a fault at call n of Stage, Prepare and Publish, or of
// Recover, and delivers the rest without faults. It returns the name of the call that
// failed.
func (p *place) interrupt(n int, dead bool, at string) (failed string) {
	r := &run{place: p, dead: dead}
	for i := range min(p.d.Group(), 3) {
		r.messages = append(r.messages, &message{text: fmt.Sprintf("Subject: %d\r\n\r\ntext\r\n", i)})
	}
	if at != "Recover" {
		p.Faults.Arm(n, dead)
		r.deliver(p.Context(), true)
		failed = p.Faults.Failed()
		p.Faults.Disarm()
	} else {
		r.deliver(p.Context(), false)
		p.d.Close()
		p.Faults.Arm(n, dead)
		r.recoverOpen(p.Context())
		failed = p.Faults.Failed()
		p.Faults.Disarm()
	}
	r.check(dead && failed != "")
	r.dead = false
	p.d.Close()
	p.d = p.Open()
	if err := r.recoverOpen(p.Context()); err != nil {
		p.Errorf("Recover: %v", err)
	}
	again := &run{place: p}
	for _, m := range r.messages {
		if !m.done {
			again.messages = append(again.messages, m)
		}
	}
	again.deliver(p.Context(), true)
	r.checkEnd()
	return failed
}

// run delivers messages as package fetch does, as one process.
type run struct {
	*place
	dead     bool // the process is killed where a call fails
	messages []*message
}

// message is one message and what is recorded of it.
type message struct {
	text   string
	staged deliver.Staged
	intent *deliver.Intent // that is open, nil = none
	done   bool            // recorded as delivered
}

// killed reports whether the process has been killed.
func (r *run) killed() bool { return r.dead && r.Faults.Failed() != "" }

// deliver takes the messages through the steps until their intents are recorded, and with
// publish to the end.
func (r *run) deliver(ctx context.Context, publish bool) {
	var group []*message
	for _, m := range r.messages {
		s, err := r.d.Stage(ctx, meta(), strings.NewReader(m.text))
		if r.killed() {
			return
		}
		if r.explained("Stage", err) {
			m.staged = s
			group = append(group, m)
		}
	}
	for part := range slices.Chunk(group, r.d.Group()) {
		errs := r.d.Prepare(ctx, staged(part))
		if r.killed() {
			return
		}
		var ready []*message
		for i, m := range part {
			if errs == nil || r.explained("Prepare", errs[i]) {
				in := m.staged.Intent()
				m.intent = &in
				ready = append(ready, m)
			} else if err := m.staged.Abort(); err != nil {
				r.Errorf("Abort: %v", err)
			}
		}
		if publish && len(ready) > 0 {
			r.publish(ctx, ready)
		}
	}
}

func (r *run) publish(ctx context.Context, part []*message) {
	errs := r.d.Publish(ctx, staged(part))
	if r.killed() {
		return
	}
	for i, m := range part {
		if errs == nil || r.explained("Publish", errs[i]) {
			m.done, m.intent = true, nil
			continue
		}
		var e *deliver.Error
		if errors.As(errs[i], &e) && e.Scope == deliver.Message {
			m.intent = nil
			if err := m.staged.Abort(); err != nil {
				r.Errorf("Abort: %v", err)
			}
		}
	}
}

// recoverOpen asks Recover about the open intents. One with an error stays open.
func (r *run) recoverOpen(ctx context.Context) error {
	var errs []error
	for _, m := range r.messages {
		if m.intent == nil {
			continue
		}
		outcome, err := r.Recover(ctx, *m.intent)
		if r.killed() {
			return nil
		}
		if !r.explained("Recover", err) {
			errs = append(errs, err)
			continue
		}
		m.intent, m.done = nil, outcome != deliver.Again && outcome != deliver.Behind
	}
	return errors.Join(errs...)
}

// explained reports whether err is nil. It checks that an error says what was tried, and
// where.
func (r *run) explained(step string, err error) bool {
	var e *deliver.Error
	if err != nil && (!errors.As(err, &e) || e.Op == "" || e.Path == "" || strings.Contains(err.Error(), "\n")) {
		r.Errorf("%s: error %q is not an *Error of one line that says what was tried", step, err)
	}
	return err == nil
}

// check checks that readers see the messages that count as delivered, and none that will
// be fetched again. Unless the process was killed, those leave nothing behind.
func (r *run) check(killed bool) {
	seen := r.Delivered()
	open := 0
	for _, m := range r.messages {
		n := count(seen, r.Stored(m.text))
		switch {
		case m.done && n != 1:
			r.Errorf("%q counts as delivered, and readers see it %d times", m.text, n)
		case !m.done && m.intent == nil && n > 0 && r.d.Recoverable():
			r.Errorf("%q will be fetched again, and readers see it", m.text)
		}
		if m.intent != nil {
			open++
		}
	}
	if left := r.Leftovers(); len(left) > open && !killed {
		r.Errorf("left behind with %d open intents: %q", open, left)
	}
}

// checkEnd checks that readers see each message once, or at most twice if the destination
// is not recoverable, and nothing else.
func (r *run) checkEnd() {
	seen := r.Delivered()
	for _, m := range r.messages {
		n := count(seen, r.Stored(m.text))
		if n != 1 && (r.d.Recoverable() || n != 2) {
			r.Errorf("in the end readers see %q %d times", m.text, n)
		}
	}
	for _, text := range seen {
		if !slices.ContainsFunc(r.messages, func(m *message) bool { return r.Stored(m.text) == text }) {
			r.Errorf("in the end readers see %q, a part of a message or none", text)
		}
	}
}

func staged(part []*message) []deliver.Staged {
	var group []deliver.Staged
	for _, m := range part {
		group = append(group, m.staged)
	}
	return group
}

func count(texts []string, text string) int {
	n := 0
	for _, t := range texts {
		if t == text {
			n++
		}
	}
	return n
}
