package fetch

import (
	"popfetch/fetch/plan"
	"popfetch/state"
)

// lostBefore is how many polls in a row lose their sessions and bring nothing before the
// next one deals with fewer messages. A single message that breaks each session has been set
// aside by then.
const lostBefore = plan.MaxFailures + 1

// noteLost notes whether the session was lost before it had brought anything. Some servers
// and networks end each session after a time or a number of commands. If looking at what is
// due for deletion takes all of it each time, no mail comes any more and none is deleted: so
// the next poll deals with half as many messages as this one came to. A poll that reaches
// its end with such a limit doubles it, or lifts it if nothing was left over.
func (p *poll) noteLost() {
	v, f := p.visit, &p.facts
	if v == nil || p.life.outer.Err() != nil {
		return
	}
	p.noteLostAtTop()
	switch lost := p.lost(); {
	case lost && f.Most > 0:
		f.Most = max(1, min(f.Most, v.looked+v.answered)/2)
	case lost && len(v.shown) == 0 && !p.asked: // nothing but the mail that came has taken its time
	case lost && !p.broughtSomething():
		if f.Lost++; f.Lost >= lostBefore {
			f.Most = max(1, (v.looked+v.answered)/2)
			p.log.Warn("the connection was lost in several polls before they had delivered or deleted anything; the next one deals with fewer messages", "polls", f.Lost, "messages", f.Most)
		}
	case lost:
		f.Lost = 0
	default:
		p.liftLimit(f)
	}
}

// liftLimit raises the limit after a session that was not lost.
func (p *poll) liftLimit(f *state.Facts) {
	f.Lost = 0
	if v := p.visit; v.looked+v.answered >= f.Most/2 {
		f.Most *= 2
	} else {
		f.Most = 0
	}
}

// broughtSomething reports whether the poll has got on: messages were deleted, or delivered
// or recognised if none was to be deleted.
func (p *poll) broughtSomething() bool {
	if p.asked {
		return p.report.Deleted > 0
	}
	return p.ledger.Delivered() > 0 || p.visit.repeats > 0
}

// noteLostAtTop notes whether the server closes the connection at each TOP: if a session
// without it reaches its end then, popfetch does without it for some time.
func (p *poll) noteLostAtTop() {
	v, f := p.visit, &p.facts
	switch asked := len(v.shown) > 0; {
	case v.looked > 0:
		f.TopLost = 0
	case asked && p.lost():
		f.TopLost++
	case f.TopLost >= lostBefore && v.quit:
		p.log.Warn("the server closes the connection at each TOP; from now on messages in doubt are downloaded")
		f.TopLost, f.NoHeaders = 0, p.when.Now
	}
}

// lost reports whether the connection ended before the visit did.
func (p *poll) lost() bool {
	v := p.visit
	return !v.quit && (v.session == nil || v.session.Broken() != nil)
}
