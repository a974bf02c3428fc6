package fetch

import (
	"cmp"
	"log/slog"
	"time"

	"popfetch/fetch/plan"
	"popfetch/state"
)

// Report is the result of one poll.
type Report struct {
	Account    string
	Key        string // of the account's maildrop in the state
	Listed     int    // messages in the maildrop
	Delivered  int    // messages that were delivered, including those whose delivery an earlier run had begun
	Seen       int    // messages that earlier polls delivered
	Skipped    int    // messages left on the server: too big, set aside, deferred, unreadable in the listing
	SetAside   int    // of these, set aside after plan.MaxFailures
	Deleted    int    // messages that the server has confirmed to be deleted
	Failed     int    // messages that this poll tried and did not deliver
	Octets     int64  // received in messages
	RoundTrips int    // of the longest chain of commands that waited for one another, QUIT included
	Seconds    float64
	LoginDelay time.Duration // the server wants no earlier login than this much later
	// TooSoon is set if the server was not visited because it wants no login before then.
	// That is not an error.
	TooSoon time.Time
	// CertificateExpires is when the server's certificate expires; zero without TLS and
	// if the poll did not get as far as the login.
	CertificateExpires time.Time
	Err                error // what Poll returned
	// Next is when the scheduler polls the account again, as the wall clock shows time;
	// zero: not by itself.
	Next time.Time
}

// addCounts enters what the ledger and the latest visit have counted.
func (p *poll) addCounts(r *Report) {
	r.Delivered = p.ledger.Delivered()
	if v := p.visit; v != nil {
		r.Listed, r.Seen, r.Skipped, r.SetAside, r.Failed = v.listed, v.seen, v.skipped, v.setAside, v.settler.Failed()
	}
}

// note counts and logs what the plan has found.
func (v *visit) note() {
	todo := v.plan
	v.log.Debug("planned", "plan", todo.String())
	v.listed = len(todo.Verdicts)
	v.seen = todo.Seen + todo.Delete.Len()
	v.setAside = todo.SetAside.Len()
	v.skipped += todo.TooBig.Len() + todo.SetAside.Len() + todo.Deferred
	for it := range todo.SetAside.All() {
		v.notices.add(slog.LevelInfo, "message is set aside", "num", it.Num, "uid", it.UID(), "failures", it.Record.Failures, "reason", it.Record.Reason)
	}
	v.remind(todo)
	v.warnOfExpiry()
	v.ledger.Full(todo.Undelivered >= plan.MaxUndelivered)
	v.leaveTooBig()
}

// remind tells the user once a day that messages are set aside or not deleted, unless their
// failures have said so within a day.
func (v *visit) remind(todo plan.Plan) {
	if !plan.ReminderIsDue(v.facts.Reminded, v.when.Now) {
		return
	}
	if it := todo.FirstUndeleted; todo.Undeleted > 0 && plan.ReminderIsDue(it.Record.Tried, v.when.Now) {
		v.log.Warn("delivered messages stay on the server, which does not delete them", "messages", todo.Undeleted, "uid", it.UID(), "reason", cmp.Or(it.Record.Reason, errBack.Error()))
		v.facts.Reminded = v.when.Now
	}
	aside := todo.SetAside
	for it := range aside.All() {
		if !plan.ReminderIsDue(it.Record.Tried, v.when.Now) {
			continue
		}
		v.log.Warn("messages are set aside and stay on the server; popfetch list shows them", "messages", aside.Len(), "uid", it.UID(), "reason", it.Record.Reason)
		v.facts.Reminded = v.when.Now
		return
	}
}

// mostTooBig limits the records of messages that stay on the server for their size,
// together with all other records of undelivered messages.
const mostTooBig = plan.MaxUndelivered / 2

// leaveTooBig warns of the messages that stay on the server for their size, and records
// that, so that each is warned of once. When there are very many, the others are
// warned of in the daily look.
func (v *visit) leaveTooBig() {
	room := mostTooBig - v.plan.Undelivered
	for it := range v.plan.TooBig.All() {
		if it.Record.Reason == plan.LargerThanMaxSize {
			continue
		}
		level := slog.LevelWarn
		if room <= 0 && !v.when.Daily {
			level = slog.LevelDebug
		}
		v.notices.add(level, "message is larger than max_size and stays on the server",
			"num", it.Num, "uid", it.UID(), "octets", max(it.Octets, it.Record.Octets), "max_size", v.Policy.MaxOctets)
		if room > 0 || it.Tried() {
			v.recordTooBig(it)
			room--
		}
	}
}

// recordTooBig records that a message stays on the server for its size.
func (v *visit) recordTooBig(it plan.Item) {
	r := it.Record
	r.Octets, r.Reason = max(it.Octets, r.Octets), plan.LargerThanMaxSize
	v.ledger.Put(state.Entry{ID: it.ID, Record: r})
}
