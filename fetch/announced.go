package fetch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
)

// mostDelay bounds what a server may demand by LOGIN-DELAY.
const mostDelay = 24 * time.Hour

// loginDelay reads the capability LOGIN-DELAY (RFC 2449 section 6.5). It returns 0
// if the server does not ask for a delay, and at most a day.
func loginDelay(c pop3.Capabilities) time.Duration {
	params := c.Params("LOGIN-DELAY")
	if len(params) == 0 {
		return 0
	}
	seconds, err := strconv.ParseUint(params[0], 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, mostDelay)
}

// tooSoon returns when the server admits the next login, zero if it does now. A clock that
// was set back must not keep an account waiting for more than a day.
func (p *poll) tooSoon() time.Time {
	facts, err := p.memory.Facts()
	now := p.now()
	if err != nil || !now.Before(facts.NotBefore) || facts.NotBefore.Sub(now) > mostDelay {
		return time.Time{} // if the state fails, the next step says so
	}
	return facts.NotBefore
}

// insistsFor is how long a server that has refused a login for coming too soon is taken to
// insist on its LOGIN-DELAY. Gmail and Courier announce one and do not insist, and a person
// who asks for mail now wants an answer.
const insistsFor = 182 * 24 * time.Hour

// notBefore returns when the server of the latest visit admits the next login, zero if it
// does not insist on a delay.
func (p *poll) notBefore() time.Time {
	delay := loginDelay(p.visit.session.Capabilities())
	if delay == 0 || !p.within(insistsFor, p.facts.Insists) {
		return time.Time{}
	}
	return p.now().Add(delay).Round(0).UTC()
}

// Expiry returns why messages that popfetch leaves on the server may be lost there, "" if
// they are not: the server announces that it removes messages earlier than policy deletes
// them. RFC 2449 section 6.7
func Expiry(c pop3.Capabilities, policy plan.Policy) string {
	params := c.Params("EXPIRE")
	if len(params) == 0 || strings.EqualFold(params[0], "NEVER") || policy.DeletesAtOnce() {
		return ""
	}
	days, err := strconv.ParseUint(params[0], 10, 16)
	switch {
	case err != nil || policy.Delete && policy.After <= time.Duration(days)*24*time.Hour:
		return ""
	case days == 0:
		return "the server may remove each message once it was fetched (EXPIRE 0), although keep says that it stays there"
	case policy.Delete:
		return fmt.Sprintf("the server removes messages after %s (EXPIRE), which is earlier than keep says", inDays(days))
	}
	return fmt.Sprintf("the server removes messages after %s (EXPIRE), although keep says that they stay there", inDays(days))
}

// inDays is a number of days in words.
func inDays(n uint64) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// warnOfExpiry tells the user what Expiry finds: once as a warning, and then once a day in
// the log, because some servers announce what they do not do (Gmail has EXPIRE 0).
func (v *visit) warnOfExpiry() {
	text := Expiry(v.session.Capabilities(), v.Policy)
	switch {
	case text == "":
		v.facts.Expiry = time.Time{}
		return
	case v.facts.Expiry.IsZero():
		v.log.Warn(text)
	case plan.ReminderIsDue(v.facts.Expiry, v.when.Now):
		v.log.Info(text)
	default:
		return
	}
	v.facts.Expiry = v.when.Now
}
