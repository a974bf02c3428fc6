package fetch

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// UndeletedError is mail that was delivered and is to be deleted, and that the server keeps.
type UndeletedError struct {
	// Messages is how many the server was asked to delete in this poll, 0 if none: the
	// next attempt waits, because the latest ones brought nothing.
	Messages int
	Polls    int   // without Messages: how many polls in a row have brought nothing
	Err      error // what came of one of the messages, or of the latest attempt
}

func (e *UndeletedError) Error() string {
	switch {
	case e.Messages == 0:
		return fmt.Sprintf("delivered messages stay on the server: it was asked %s to delete some, and deleted none; it is asked again once a day, later once a week; the latest reason: %v", inARow(e.Polls), e.Err)
	case e.Messages == 1:
		return fmt.Sprintf("1 message was delivered and stays on the server, which does not delete it: %v", e.Err)
	}
	return fmt.Sprintf("%d messages were delivered and stay on the server, which does not delete them; the first: %v", e.Messages, e.Err)
}

// inARow is a number of polls in words.
func inARow(polls int) string {
	if polls == 1 {
		return "by a poll"
	}
	return fmt.Sprintf("by %d polls in a row", polls)
}

// Unwrap returns the reason.
func (e *UndeletedError) Unwrap() error { return e.Err }

// undeleted is what a poll was to delete and did not.
type undeleted struct {
	messages int
	first    error // of one of them
	// last is the message of the latest DELE, and refused the refusal, if it was refused.
	last    *settle.Removable
	refused *pop3.ResponseError
}

// add counts a message.
func (u *undeleted) add(why error) {
	u.messages++
	u.first = cmp.Or(u.first, why)
}

// costly reports whether each message has to be downloaded before it may be deleted.
func (v *visit) costly() bool { return v.noHeaders() }

// weight returns for how many attempts one counts that has not deleted a message: those that
// cost a download are few.
func (v *visit) weight(most int) int {
	if v.costly() {
		return plan.Weekly
	}
	return most
}

// postponeDeletions has the visit delete nothing, or one message, if the server has deleted
// nothing in the latest polls that asked for it.
func (v *visit) postponeDeletions() {
	if !v.policy.Delete {
		return
	}
	v.postponed, v.oneDue = plan.DeletionWaits(v.facts, v.costly(), v.when.Now)
	v.policy.Delete = !v.postponed
}

// keeps notes that the server refuses to delete a message.
func (v *visit) keeps(m settle.Removable, refused *pop3.ResponseError) error {
	v.undeleted.add(refused)
	v.undeleted.last, v.undeleted.refused = &m, refused
	if temporaryCode(refused.Code) {
		return v.noteAsked(m.ID, 1, refused)
	}
	return v.noteAsked(m.ID, v.weight(1), refused)
}

// closed notes that the server has closed the connection behind its latest refusal. So it has
// deleted nothing, and another session does without that message.
func (v *visit) closed() error {
	why := &deniedError{v.undeleted.refused}
	if v.undeleted.messages == 1 {
		v.undeleted.first = why
	}
	if err := v.noteAsked(v.undeleted.last.ID, v.weight(plan.MaxFailures), why); err != nil {
		return err
	}
	return why
}

// atTheSecond is the weight of a lost connection: at the second one in a row the others are
// deleted without the message at which it was lost.
const atTheSecond = (plan.MaxFailures + 1) / 2

// lostAt notes at which message the session was lost, with the weight of that, and returns why
// it was.
func (v *visit) lostAt(m settle.Removable, weight int, why error) error {
	if v.life.Err() != nil {
		return why
	}
	if err := v.noteAsked(m.ID, weight, why); err != nil {
		return err
	}
	return why
}

// noteAsked records an attempt to delete a message that the server has not deleted.
func (v *visit) noteAsked(id string, weight int, why error) error {
	r, err := v.memory.Get(id)
	if err != nil {
		return err
	}
	v.ledger.Put(state.Entry{ID: id, Record: plan.NotDeleted(r, weight, settle.Bounded(why.Error()), v.when.Now)})
	return nil
}

// errBack is the reason of a message that the server lists again and again.
var errBack = errors.New("the server has confirmed several times that it is deleted, and lists it again")

// finish deletes and quits, in a second session if the server closes the first behind a
// DELE that it refuses: without the QUIT it has deleted nothing. Where each message has to be
// downloaded before it may be deleted, the next poll deletes the others.
func (p *poll) finish() error {
	first := p.visit
	err := first.finish()
	kept := first.undeleted
	var closed *deniedError
	if errors.As(err, &closed) && !p.ledger.Unsure() && p.life.reason() == nil && !first.costly() {
		if again := p.visitAgain(); again != nil {
			p.log.Info("a second visit, to delete the others, was not possible", "reason", again)
		} else {
			p.visit.settler.Problems = first.settler.Problems
			err = p.visit.finish()
			kept.messages += p.visit.undeleted.messages
		}
	}
	if errors.As(err, &closed) {
		err = nil // kept says so
	}
	p.noteDeletions(kept, err)
	return err
}

// noteDeletions notes whether the server deletes messages at all, and what it keeps.
func (p *poll) noteDeletions(kept undeleted, err error) {
	if kept.messages > 0 {
		p.fail(&UndeletedError{Messages: kept.messages, Err: kept.first})
	}
	f := &p.facts
	if p.report.Deleted > 0 || !p.visit.plan.AskedFor && !p.visit.askedFor {
		// The server deletes, although it may not have confirmed it.
		f.Undeleted, f.UndeletedAt, f.UndeletedWhy = 0, time.Time{}, ""
	}
	switch {
	case p.report.Deleted > 0: // the others are for the next poll
	case p.asked && p.life.outer.Err() == nil:
		f.Undeleted, f.UndeletedAt, f.UndeletedWhy = f.Undeleted+1, p.when.Now, settle.Bounded(cmp.Or(err, kept.first).Error())
	case f.Undeleted > 0 && (p.visit.postponed && p.visit.seen > 0 || p.visit.plan.Undeleted > 0):
		p.fail(&UndeletedError{Polls: f.Undeleted, Err: errors.New(f.UndeletedWhy)})
	}
}
