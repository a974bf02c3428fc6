package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// How long popfetch avoids what a server has failed at: commands sent ahead, commands
// sent together with the login, and TOP if it shows header blocks that are not those of
// the messages.
const (
	serialFor  = 30 * 24 * time.Hour
	steppedFor = 24 * time.Hour // one command at a time, in case that helps
	patientFor = 182 * 24 * time.Hour
	headersFor = 182 * 24 * time.Hour
)

// within reports whether something was seen less than age ago.
func (p *poll) within(age time.Duration, seen time.Time) bool {
	return !seen.IsZero() && p.when.Now.Sub(seen) < age
}

// enter begins a visit: it logs in, lists and plans. What earlier sessions have
// shown of the server saves round trips. If the server seems to lose what is sent
// with the login, a second session waits for the reply to the login.
func (p *poll) enter() (err error) {
	if p.noted, err = p.memory.Facts(); err != nil {
		return err
	}
	p.facts = p.noted
	p.when.Now = p.now()
	p.when.Turn = rand.Uint32()
	observed, store := plan.Observe(p.noted, p.when.Now, p.Policy)
	p.when.Observed, p.when.Steady = observed.Observed, observed.Steady
	if p.records {
		p.when.Daily = plan.LookIsDue(p.noted, p.when.Now)
		if store {
			p.facts = observed
		}
	}
	how, err := p.opening()
	if err != nil {
		return err
	}
	err = p.firstVisit(how)
	var ahead *pop3.AheadError
	if !errors.As(err, &ahead) || p.life.reason() != nil {
		return err
	}
	p.log.Info("trying again, with nothing sent before the login is accepted", "reason", err)
	if p.visit != nil {
		p.visit.close()
		p.visit = nil
	}
	how.Patient, p.facts.Patient = true, p.when.Now
	again := p.firstVisit(how)
	switch refused := (*pop3.ResponseError)(nil); {
	case errors.As(again, &refused):
		again = fmt.Errorf("%w; and then, in a second session: %w", err, again)
	case again != nil && p.visit != nil: // the login went well and the rest still failed: that was not it
		p.facts.Patient = p.noted.Patient
	}
	// If the patient login broke too, the next polls make one attempt each: that may
	// be how the server refuses a password.
	return again
}

// firstVisit makes the first visit of a poll. If there is no room for the listing, it
// waits for that without a session, and visits the server again.
func (p *poll) firstVisit(how Opening) (err error) {
	for waits := 0; ; waits++ {
		if p.visit, err = p.login(how); err != nil {
			return err
		}
		err = p.planWithout(how, p.visit.makePlan())
		var full *noRoomError
		if !errors.As(err, &full) || waits == mostWaits {
			return err
		}
		p.log.Debug("waiting for other accounts", "reason", err)
		p.visit.close()
		p.visit = nil
		if err := p.share.wait(p.life, full.need); err != nil {
			return p.because(err)
		}
	}
}

// opening returns how the session is to begin.
func (p *poll) opening() (how Opening, err error) {
	how = Opening{
		Serial:  p.Fallback && p.within(serialFor, p.facts.Serial) || p.within(steppedFor, p.facts.OutOfStep),
		Patient: p.within(patientFor, p.facts.Patient),
		Next:    []string{"UIDL"},
	}
	likely, err := p.wantsSizes()
	if err != nil {
		return how, err
	}
	if p.alwaysSizes || p.when.Daily || likely {
		how.Next = append(how.Next, "LIST")
	}
	if p.facts.Protocol == p.Protocol {
		how.Expected.Before = pop3.ParseCapabilities(p.facts.Before)
		how.Expected.After = pop3.ParseCapabilities(p.facts.After)
	}
	return how, nil
}

// wantsSizes reports whether a poll that finds any message will need the sizes, so
// that they are worth asking for together with the unique-ids: nothing is recorded
// yet, no recorded message stays on the server, or the unique-ids look like message
// numbers.
func (p *poll) wantsSizes() (bool, error) {
	if p.Policy.DeletesAtOnce() {
		return true, nil
	}
	likely := true
	err := p.memory.Scan(func(known iter.Seq2[[]byte, state.Record]) {
		const few = 8
		n := 0
		for id := range known {
			if n++; n > few {
				break
			}
			likely = likely && len(id) < few && bytes.Trim(id, "0123456789") == nil
		}
	})
	return likely, err
}

// learned returns what helps the next session, nil if that is recorded already.
func (p *poll) learned() *state.Facts {
	facts := p.facts
	if v := p.visit; v != nil && v.session != nil && !v.serial {
		facts.Protocol, facts.Before, facts.After = "", nil, nil
		if offer := v.session.Offer(); v.session.Pipelined() {
			facts.Protocol, facts.Before, facts.After = p.Protocol, essentials(offer.Before), essentials(offer.After)
		}
	}
	if v := p.visit; v != nil && v.session != nil {
		facts.NotBefore = p.notBefore()
	}
	if v := p.visit; v != nil && p.expiryIsDue() {
		facts.CertificateExpires = v.expires
	}
	if reflect.DeepEqual(facts, p.noted) {
		return nil
	}
	return &facts
}

// expiresSoon is the time before the end of a certificate in which people want to know
// that it has been renewed.
const expiresSoon = 14 * 24 * time.Hour

// expiryIsDue reports whether a changed expiry of the certificate is worth a record. The
// servers behind one name may have different certificates, and no poll with nothing new
// shall write for that; so a change is recorded once a day, and at once if the recorded
// certificate ends soon.
func (p *poll) expiryIsDue() bool {
	return p.noted.CertificateExpires.Before(p.when.Now.Add(expiresSoon)) || p.when.Daily
}

// mostEssential is how many octets of capabilities are recorded at most. A server that
// announces more is asked each time.
const mostEssential = 2048

// essentials returns what is worth recording of capabilities: nothing if they do
// not allow several commands at once.
func essentials(c pop3.Capabilities) []string {
	lines := c.Essentials()
	if !c.Has("PIPELINING") || len(strings.Join(lines, "")) > mostEssential {
		return nil
	}
	return lines
}
