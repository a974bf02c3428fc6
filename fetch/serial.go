package fetch

import (
	"time"

	"popfetch/fetch/plan"
)

// onceMore visits the server a second time, without sending commands ahead, when
// the first session was lost in the middle of messages that were asked for
// ahead, and nothing else went wrong. Where that goes well it was the server that
// cannot do it, or else the network; it is noted for some time, and the failure
// forgotten.
func (p *poll) onceMore() (todo plan.Plan, inStep bool) {
	lost := p.lostStep
	if lost == nil || len(p.failures) != 1 || p.failures[0] != lost || !p.Fallback || p.unsure ||
		p.life.reason() != nil || !p.session.Pipelined() {
		return todo, false
	}
	todo, err := p.secondVisit()
	if Classify(err) == State {
		p.fail(err)
	}
	if err != nil {
		p.log.Info("a second visit, without commands sent ahead, was not possible", "reason", err)
		return todo, false
	}
	p.failures = nil
	if !p.retrieve(todo) {
		return todo, false
	}
	p.log.Warn("the server lost its step when commands were sent ahead; it is asked one at a time from now on", "reason", lost)
	p.facts.Serial = time.Now()
	return todo, true
}

// secondVisit opens a session that sends one command at a time, and plans anew:
// message numbers belong to one session. What the first visit delivered is
// recorded and published by now; a message of which that is not so has made the
// poll fail.
func (p *poll) secondVisit() (todo plan.Plan, err error) {
	if err := p.commit(nil); err != nil {
		return todo, err
	}
	p.drop()
	if err := p.open(Opening{Serial: true}); err != nil {
		return todo, err
	}
	p.lostStep, p.shifted, p.removable = nil, false, nil
	p.problems, p.failed, p.report.Skipped, p.lost = nil, 0, 0, 0
	if _, todo, err = p.plan(); err != nil {
		return todo, err
	}
	if most := p.Policy.MaxMessages; most > 0 {
		todo.DeferBeyond(max(0, most-p.delivered))
	}
	p.note(todo)
	return todo, nil
}
