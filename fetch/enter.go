package fetch

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// What a server was seen not to take is avoided for so long: commands sent ahead
// (serialFor), commands sent together with the login (patientFor).
const (
	serialFor  = 30 * 24 * time.Hour
	patientFor = 182 * 24 * time.Hour
)

// within reports whether something was seen less than age ago.
func within(age time.Duration, seen time.Time) bool {
	return !seen.IsZero() && time.Since(seen) < age
}

// enter opens a session and plans. What an earlier session has shown of the server
// saves flights; where the server seems to lose what is sent with the login, a second
// session is patient.
func (p *poll) enter() (listing *plan.Listing, todo plan.Plan, err error) {
	if p.noted, err = p.Maildrop.Facts(); err != nil {
		return nil, todo, &StateError{err}
	}
	p.facts = p.noted
	how, err := p.opening()
	if err != nil {
		return nil, todo, err
	}
	listing, todo, err = p.openAndPlan(how)
	var ahead *pop3.AheadError
	if !errors.As(err, &ahead) || p.life.reason() != nil {
		return listing, todo, err
	}
	p.log.Info("once more, with nothing sent before the login is accepted", "reason", err)
	p.drop()
	p.lost, p.report.Skipped = 0, 0
	how.Patient, p.facts.Patient = true, time.Now()
	listing, todo, again := p.openAndPlan(how)
	switch refused := (*pop3.ResponseError)(nil); {
	case errors.As(again, &refused):
		again = fmt.Errorf("%w; and then, in a second session: %w", err, again)
	case again != nil && p.session != nil: // no better so: it was not that
		p.facts.Patient = p.noted.Patient
	}
	// Where the patient login broke too, the next polls make one attempt each: it may
	// be how the server refuses a password.
	return listing, todo, again
}

// opening says how the session is to begin.
func (p *poll) opening() (how Opening, err error) {
	how = Opening{
		Serial: p.Fallback && within(serialFor, p.facts.Serial), Patient: within(patientFor, p.facts.Patient), Next: []string{"UIDL"},
	}
	likely, err := p.wantsSizes()
	if err != nil {
		return how, err
	}
	if p.sized || likely {
		how.Next = append(how.Next, "LIST")
	}
	if p.facts.Protocol == p.Protocol {
		how.Expected.Before = pop3.ParseCapabilities(p.facts.Before)
		how.Expected.After = pop3.ParseCapabilities(p.facts.After)
	}
	return how, nil
}

func (p *poll) openAndPlan(how Opening) (*plan.Listing, plan.Plan, error) {
	if err := p.open(how); err != nil {
		return nil, plan.Plan{}, err
	}
	return p.plan()
}

// open logs in. After a refusal that is not about the moment nothing is expected of
// the server any more: the next poll asks it.
func (p *poll) open(how Opening) error {
	session, err := p.Open(p.life, how)
	if err == nil {
		p.session, p.serial = session, how.Serial
		return nil
	}
	var (
		refused *pop3.AuthError
		reply   *pop3.ResponseError
	)
	if errors.As(err, &refused) && !(errors.As(err, &reply) && temporaryCode(reply.Code)) {
		p.facts.Before, p.facts.After = nil, nil
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

// learn has the next transaction note what helps the next session, where that has
// changed.
func (p *poll) learn() {
	if p.session != nil && !p.serial {
		p.facts.Protocol, p.facts.Before, p.facts.After = "", nil, nil
		if offer := p.session.Offer(); p.session.Pipelined() {
			p.facts.Protocol, p.facts.Before, p.facts.After = p.Protocol, essentials(offer.Before), essentials(offer.After)
		}
	}
	if !reflect.DeepEqual(p.facts, p.noted) {
		facts := p.facts
		p.pending.Facts = &facts
	}
}

// mostEssential is how many octets of capabilities are remembered; a server with
// more of those that count is asked each time.
const mostEssential = 2048

// essentials returns what is worth remembering of capabilities: nothing of those that
// do not say that several commands may be sent at once.
func essentials(c pop3.Capabilities) []string {
	lines := c.Essentials()
	if !c.Has("PIPELINING") || len(strings.Join(lines, "")) > mostEssential {
		return nil
	}
	return lines
}
