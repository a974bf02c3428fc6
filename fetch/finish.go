package fetch

import (
	"errors"
	"fmt"
	"slices"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// finish deletes what may be deleted and enters the UPDATE state. The session is
// in step.
func (v *visit) finish() error {
	doomed := v.doomed()
	if len(doomed) == 0 {
		if err := v.session.Bye(); err != nil {
			v.log.Debug("the session did not end with QUIT", "reason", err)
		}
		return nil
	}
	v.asked = true
	marked, err := v.mark(doomed)
	if err != nil {
		return v.because(err)
	}
	// RFC 1939 section 6: the server deletes at QUIT, and its reply says whether it
	// did.
	if err := v.session.Quit(); err != nil && len(marked) > 0 {
		if v.undeleted.last != nil && connectionEnded(err) {
			return v.closed()
		}
		// It may have deleted them. The next listing shows whether this one is left.
		err = v.lostAt(marked[0], 1, err)
		return fmt.Errorf("%s: %w", unconfirmed(len(marked)), v.because(err))
	} else if err != nil {
		v.log.Debug("the server did not confirm QUIT", "reason", err)
	}
	v.report.Deleted = len(marked)
	return v.recordDeleted(marked)
}

// unconfirmed says that the server did not confirm the deletion of n messages.
func unconfirmed(n int) string {
	if n == 1 {
		return "1 message was delivered and marked as deleted, but the server did not confirm that it is gone; " +
			"it is not delivered again, and the next poll asks for its deletion once more"
	}
	return fmt.Sprintf("%d messages were delivered and marked as deleted, but the server did not confirm that they are gone; "+
		"they are not delivered again, and the next poll asks for their deletion once more", n)
}

// recordDeleted records that messages are deleted, in transactions of limited size. The
// last one is that of the poll.
func (v *visit) recordDeleted(gone []settle.Removable) error {
	for i, d := range gone {
		if i > 0 && i%changedAtOnce == 0 {
			if err := v.ledger.Commit(); err != nil {
				return err
			}
		}
		r, err := v.memory.Get(d.ID)
		if err != nil {
			return err
		}
		if plan.ComesBack(r) {
			v.undeleted.add(fmt.Errorf("message %d (unique-id %q): %w", d.Num, d.ID, errBack))
		}
		r.Deleted, r.Absent, r.Counted, r.Absences = true, v.when.Steady, v.when.Steady, 1
		v.ledger.Put(state.Entry{ID: d.ID, Record: r})
	}
	return nil
}

// mark marks messages as deleted (RFC 1939 section 5, DELE) and returns those that the
// server accepted. Where it takes several commands at once, QUIT is on its way then.
func (v *visit) mark(doomed []settle.Removable) (marked []settle.Removable, err error) {
	nums := make([]int, len(doomed))
	for i, d := range doomed {
		nums[i] = d.Num
	}
	refusals, k := 0, 0
	for _, err := range v.session.DeleThenQuit(nums) {
		var refused *pop3.ResponseError
		switch {
		case err == nil:
			v.undeleted.last = nil
			marked = append(marked, doomed[k])
		case errors.As(err, &refused):
			refusals++
			if err := v.keeps(doomed[k], refused); err != nil {
				return marked, err
			}
		case v.undeleted.last != nil && connectionEnded(err):
			return marked, v.closed()
		default:
			return marked, v.lostAt(doomed[min(k, len(doomed)-1)], atTheSecond, err)
		}
		if k++; refusals < mostRefusals {
			continue
		}
		v.session.Drain()
		if v.session.Owed() == 0 {
			break
		}
	}
	return marked, nil
}

// doomed returns the messages to delete, in ascending order of their numbers. When there
// are more than the server may refuse, another one is the first in each poll.
func (v *visit) doomed() []settle.Removable {
	all := v.settler.Removable
	for it := range v.plan.Delete.All() {
		all = append(all, settle.Removable{Num: it.Num, ID: it.ID})
	}
	slices.SortFunc(all, func(a, b settle.Removable) int { return a.Num - b.Num })
	if len(all) > mostRefusals {
		first := int(v.when.Turn % uint32(len(all)))
		all = slices.Concat(all[first:], all[:first])
	}
	return all
}
