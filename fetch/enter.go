package fetch

import (
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	"popfetch/fetch/pop3"
	"popfetch/state"
)

// spareFor is how long a server is spared what it was seen not to take: commands
// sent ahead, or before the reply to the login.
const spareFor = 30 * 24 * time.Hour

func lasts(since time.Time) bool { return !since.IsZero() && time.Since(since) < spareFor }

// enter opens a session and plans. What an earlier session has shown of the server
// saves flights; where a session breaks on that, another one relies on nothing.
func (p *poll) enter() (listing *Listing, plan Plan, err error) {
	if p.noted, err = p.Maildrop.Facts(); err != nil {
		return nil, plan, &StateError{err}
	}
	p.facts = p.noted
	if p.likely, err = p.wantsSizes(); err != nil {
		return nil, plan, err
	}
	how := Opening{
		Serial: p.Fallback && lasts(p.facts.Serial), Patient: lasts(p.facts.Patient), Next: []string{"UIDL"},
	}
	if p.sized || p.likely {
		how.Next = append(how.Next, "LIST")
	}
	if p.facts.Protocol == p.Protocol {
		how.Expected.Before = pop3.ParseCapabilities(p.facts.Before)
		how.Expected.After = pop3.ParseCapabilities(p.facts.After)
	}
	listing, plan, err = p.openAndPlan(how)
	if how.Patient || err == nil || !p.brokeAhead(err) {
		return listing, plan, err
	}
	p.log.Info("the session broke on commands sent with the login; once more without", "reason", err)
	p.drop()
	p.lost, p.report.Skipped = 0, 0
	how.Patient = true
	if listing, plan, err = p.openAndPlan(how); err == nil {
		p.facts.Patient = time.Now()
	}
	return listing, plan, err
}

func (p *poll) openAndPlan(how Opening) (*Listing, Plan, error) {
	if err := p.open(how); err != nil {
		return nil, Plan{}, err
	}
	return p.plan()
}

// open logs in. A server that refuses the login is asked at the next poll what it
// offers.
func (p *poll) open(how Opening) error {
	session, err := p.Open(p.life, how)
	if err == nil {
		p.session, p.serial = session, how.Serial
		return nil
	}
	if refused := (*pop3.AuthError)(nil); p.facts.Before != nil && errors.As(err, &refused) {
		p.facts.Before, p.facts.After = nil, nil
		if err := p.Maildrop.Commit(state.Change{Facts: &p.facts}); err != nil {
			p.unsure = true
			p.fail(&StateError{err})
		}
	}
	return p.because(err)
}

// wantsSizes says whether a poll that finds anything at all will want the sizes,
// so that they are worth asking for together with the unique-ids: nothing is known
// yet, or nothing that is known stays on the server.
func (p *poll) wantsSizes() (bool, error) {
	if p.Policy.Delete && p.Policy.After == 0 {
		return true, nil
	}
	blank := true
	err := p.Maildrop.Scan(func(known iter.Seq2[[]byte, state.Record]) error {
		for range known {
			blank = false
			break
		}
		return nil
	})
	if err != nil {
		return false, &StateError{err}
	}
	return blank, nil
}

// brokeAhead says whether the session may have ended because of commands that were
// sent with the login.
func (p *poll) brokeAhead(err error) bool {
	var (
		ahead   *pop3.AheadError
		refused *pop3.ResponseError
	)
	if p.life.reason() != nil || Classify(err) == State || errors.As(err, &refused) {
		return false
	}
	return p.session != nil && p.session.Pipelined() || errors.As(err, &ahead)
}

// learn has the state remember what helps the next session, where that has changed.
func (p *poll) learn() {
	if p.session != nil && !p.serial {
		p.facts.Protocol, p.facts.Before, p.facts.After = "", nil, nil
		if offer := p.session.Offer(); p.session.Pipelined() {
			p.facts.Protocol, p.facts.Before, p.facts.After = p.Protocol, telling(offer.Before), telling(offer.After)
		}
	}
	if !reflect.DeepEqual(p.facts, p.noted) {
		facts := p.facts
		p.pending.Facts = &facts
	}
}

// mostTelling is how many octets of capabilities are remembered; a server with more
// of those that count is asked each time.
const mostTelling = 2048

// telling returns the capabilities that the next session can make use of. Others
// may change from session to session.
func telling(c pop3.Capabilities) (lines []string) {
	octets := 0
	for _, line := range c.Lines() {
		name, _, _ := strings.Cut(line, " ")
		if slices.Contains([]string{"PIPELINING", "SASL", "TOP", "UIDL", "USER"}, name) {
			lines = append(lines, line)
			octets += len(line)
		}
	}
	if octets > mostTelling {
		return nil
	}
	return lines
}
