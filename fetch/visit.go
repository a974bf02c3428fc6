package fetch

import (
	"errors"
	"os"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// visit is one session with the server and everything that is true in this session
// only, such as message numbers. A second visit in the same poll is a new value.
type visit struct {
	*poll
	session Session   // nil once it is closed
	expires time.Time // the certificate of the server; zero without TLS
	serial  bool      // the session sends one command at a time
	listing *plan.Listing
	policy  plan.Policy // of the account, but for deletions that wait
	plan    plan.Plan
	settler *settle.Settler

	listed, seen, skipped, setAside int // for the report
	lostLines                       int // lines of the listing that could not be read

	shown     plan.Shown      // header blocks that the server has shown
	unclaimed *plan.Unclaimed // what received messages are compared with, nil = nothing
	again     []recognised    // received messages that were delivered before, in the order of seq
	repeats   int             // how many received messages were delivered before
	withheld  []withheld      // what the server refused to give
	given     bool            // the server gave a message

	answered  int  // messages that the server has given or refused
	before    int  // of these, before the Retr that runs
	sure      int  // of these, known to be what was asked for
	tight     bool // the destination has room for so many more octets only:
	room      int64
	crowded   int       // messages that were not retrieved for that
	refit     bool      // room has shrunk: what is still to be retrieved may not fit
	denied    bool      // the latest answer to RETR was a refusal
	undeleted undeleted // what the server has refused to delete
	postponed bool      // nothing is deleted in this visit, see plan.DeletionWaits
	oneDue    bool      // one message is, to see whether the server deletes
	askedFor  bool      // a received message is one that the server was asked to delete, see also plan
	ended     bool      // the server closed the connection behind a refusal
	shifted   bool      // replies may belong to other commands, see pop3.Client.Confirmed
	lostStep  error     // why the session broke while messages were received
}

// login opens a session. After a refusal that is not about the moment, nothing that
// was known about the server's capabilities counts: the next poll asks for them. What
// the server does not offer any more stays known.
func (p *poll) login(how Opening) (*visit, error) {
	how.Waited, how.Trusted, how.Trust = p.life.waited, p.facts.Trusted, p.trust
	how.Connected = func() { p.showStage(LoggingIn) }
	p.showStage(Connecting)
	session, err := p.Open(p.life, how)
	if err == nil {
		p.showStage(Listing)
		p.report.CertificateExpires = expiry(session)
		v := &visit{poll: p, session: session, expires: p.report.CertificateExpires, serial: how.Serial, policy: p.Policy, shown: make(plan.Shown)}
		v.postponeDeletions()
		v.settler = settle.New(p.ledger, settle.Options{
			Destination: p.dest, Context: p.life.late, Delete: v.policy.DeletesAtOnce(), Temporary: temporary,
		})
		return v, nil
	}
	var reply *pop3.ResponseError
	if errors.As(err, &reply) && reply.Code == pop3.LoginDelay {
		p.facts.Insists = p.when.Now
	}
	if errors.As(err, new(*pop3.AuthError)) && !errors.Is(err, pop3.ErrWeaker) && !(reply != nil && (temporaryCode(reply.Code) || busy(reply))) {
		p.facts.Before, p.facts.After = nil, nil
	}
	return nil, p.because(err)
}

// trust remembers the fingerprint of the server: in the state before the login if this is
// a poll, together with what they record in Seed and Relearn, and not at all in Look.
func (p *poll) trust(fingerprint string) error {
	p.facts.Trusted = fingerprint
	if !p.records {
		return nil
	}
	noted := p.noted
	noted.Trusted = fingerprint
	if err := p.ledger.CommitOnly(state.Change{Facts: &noted}); err != nil {
		return err
	}
	p.noted = noted
	return nil
}

// trusted returns the facts to record if trust has changed them, nil otherwise.
func (p *poll) trusted() *state.Facts {
	if p.facts.Trusted == p.noted.Trusted {
		return nil
	}
	facts := p.noted
	facts.Trusted = p.facts.Trusted
	return &facts
}

// expiry returns when the certificate of the server expires, zero without TLS.
func expiry(s Session) time.Time {
	if state, ok := s.TLS(); ok && len(state.PeerCertificates) > 0 {
		return state.PeerCertificates[0].NotAfter.UTC()
	}
	return time.Time{}
}

// close closes the connection, without UPDATE. The maildrop is free for another
// session then.
func (v *visit) close() {
	if v.session == nil {
		return
	}
	v.report.RoundTrips += v.session.RoundTrips()
	v.report.LoginDelay = loginDelay(v.session.Capabilities())
	v.session.Close()
	v.session = nil
}

// usable reports whether the session is in step and the poll may go on with it.
// Only then may it see a QUIT.
func (v *visit) usable() bool {
	return v.session != nil && v.session.Broken() == nil && v.life.Err() == nil
}

// stepLost notes why the session broke when a reply was due, and returns that.
func (v *visit) stepLost(err error) error {
	var garbled *pop3.ProtocolError
	v.shifted = errors.As(err, &garbled) || errors.Is(err, os.ErrDeadlineExceeded)
	// Exchange answers RETR of a message that it cannot convert with -ERR and closes the
	// connection. That says nothing about the next message.
	v.ended = v.denied && !v.shifted && connectionEnded(err)
	v.lostStep = v.because(err)
	return v.lostStep
}

// fallBack visits the server a second time, one command at a time, if the first
// session broke while messages were received that had been asked for ahead, or behind
// a refusal, and nothing else went wrong. If the second visit succeeds, the failure of
// the first is dropped. Without a refusal the server cannot take commands ahead, or the
// network failed: that is recorded for some time. If there is no second visit, or it fails
// too, the polls of the next day send one command at a time, so that a reply too many or too
// few costs one message and does not keep the others back at each poll.
func (p *poll) fallBack() {
	first := p.visit
	lost := first.lostStep
	if first.shifted && first.session.Pipelined() {
		p.facts.OutOfStep = p.when.Now
	}
	outOfStep := p.Fallback && first.session.Pipelined()
	if lost == nil || len(p.failures) != 1 || p.failures[0] != lost || p.ledger.Unsure() ||
		p.life.reason() != nil || !outOfStep && !first.ended {
		return
	}
	// Copies, so that the second visit does not keep the listing of the first in memory.
	ended, given, problems := first.ended, first.given, first.settler.Problems
	if err := p.visitAgain(); err != nil {
		if Classify(err) == State {
			p.fail(err)
		}
		p.log.Info("a second visit, one command at a time, was not possible", "reason", err)
		p.visit.close()
		return
	}
	p.failures = nil
	if ended {
		p.leaveOut(problems)
		p.visit.given = given
	}
	p.visit.retrieve()
	if !p.visit.usable() || ended {
		return
	}
	p.log.Warn("the server got out of step when commands were sent ahead; from now on it is asked one at a time", "reason", lost)
	p.facts.Serial, p.facts.OutOfStep = p.when.Now, p.noted.OutOfStep
}

// leaveOut does not retrieve in this visit what an earlier one could not deliver, so that
// it does not end this one too.
func (p *poll) leaveOut(problems []settle.Problem) {
	left := make(map[string]bool)
	for _, problem := range problems {
		left[problem.ID] = true
	}
	p.visit.plan.LeaveOut(func(it plan.Item) bool { return left[it.ID] })
	p.visit.settler.Problems = append(p.visit.settler.Problems, problems...)
}

// visitAgain opens a session that sends one command at a time, lists and plans.
// Everything that the first visit delivered is recorded and published by now;
// otherwise the poll would have failed.
func (p *poll) visitAgain() error {
	if err := p.ledger.Commit(); err != nil {
		return err
	}
	p.visit.close()
	second, err := p.login(Opening{Serial: true})
	if err != nil {
		return err
	}
	p.visit = second
	if err := second.makePlan(); err != nil {
		return err
	}
	if err := second.apply(); err != nil {
		return err
	}
	if most := p.Policy.MaxMessages; most > 0 {
		second.plan.DeferBeyond(max(0, most-p.ledger.Delivered()))
	}
	second.note()
	second.trim()
	return nil
}
