package cli

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/incident"
	"popfetch/state"
)

// reporter tells the user how polls went. It remembers in the state which failures the
// user knows of, see package incident. Its methods are called one at a time.
type reporter struct {
	con       *console
	daemon    bool
	incidents map[string]state.Incident // by the keys of their maildrops
	changed   func() time.Time          // when the configuration was last changed
	// put records an incident, nil that it is over.
	put     func(key string, i *state.Incident) error
	failing func(env []string) // runs on_failure; nil = nothing
	// mine are the accounts whose next poll this process tells of. Another process asked
	// for the other polls, and tells of them. nil = this process tells of all polls.
	mine map[string]bool
	sum  *tally // of the polls that were told of
}

// newReporter returns the reporter of a run that owns the state.
func newReporter(con *console, store state.Store, changed func() time.Time, daemon bool) (*reporter, error) {
	incidents, err := store.Incidents()
	if err != nil {
		return nil, &fetch.StateError{Err: err}
	}
	return &reporter{con: con, daemon: daemon, incidents: incidents, changed: changed, put: store.PutIncident, sum: new(tally)}, nil
}

// forget ends the incidents of maildrops that have not been configured for long.
func (rp *reporter) forget(configured []*config.Account) error {
	keys := make(map[string]bool, len(configured))
	for _, a := range configured {
		keys[maildropKey(a)] = true
	}
	for key, i := range rp.incidents {
		if !keys[key] && incident.Stale(i, time.Now()) {
			delete(rp.incidents, key)
			if err := rp.put(key, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// report tells how a poll went: as JSON on standard output, and to people what they do
// not know yet. It reports whether they know of a failure already.
func (rp *reporter) report(r fetch.Report) (known bool) {
	before, notice := rp.note(r, time.Now())
	after := rp.incidents[r.Key]
	if rp.mine == nil || rp.mine[r.Account] {
		rp.sum.add(r)
		rp.show(r, notice, before, after)
	}
	delete(rp.mine, r.Account)
	if notice != incident.Nothing && rp.failing != nil {
		rp.failing(failureEnv(r, notice, before, after))
	}
	return r.Err != nil && notice == incident.Nothing
}

// show tells of a poll as report does.
func (rp *reporter) show(r fetch.Report, notice incident.Notice, before, after state.Incident) {
	con := rp.con
	now := time.Now()
	if con.json {
		con.writeJSON(newReportLine(r, now))
	} else if rp.worthALine(r) {
		con.tell(slog.LevelInfo, r.Account, summary(r))
	}
	switch {
	case notice == incident.Recovered:
		if !con.quiet {
			con.tell(levelNotice, r.Account, fmt.Sprintf("works again after %s, %s failed", inWords(now.Sub(before.Since)), polls(before.Polls)))
		}
	case r.Err == nil || (rp.daemon || con.terminal) && fetch.Classify(r.Err) == fetch.Canceled: // the user has stopped it
	case fetch.Classify(r.Err) == fetch.Canceled:
		con.complain(r.Err)
	case notice != incident.Nothing || con.verbose || !rp.daemon && (con.terminal || !remembered(r.Err)):
		con.complain(r.Err)
		if notice == incident.Continues {
			con.tell(slog.LevelError, r.Account, fmt.Sprintf("failing since %s, %s failed", after.Since.Local().Format(time.DateTime), polls(after.Polls)))
		}
	}
}

// note records what has become of the incident of the maildrop. It returns the one that
// was open before.
func (rp *reporter) note(r fetch.Report, now time.Time) (before state.Incident, notice incident.Notice) {
	var open *state.Incident
	if known, ok := rp.incidents[r.Key]; ok {
		before, open = known, &known
	}
	next, notice := incident.After(open, r, rp.changed(), now)
	switch {
	case next != nil:
		rp.incidents[r.Key] = *next
	case open != nil:
		delete(rp.incidents, r.Key)
	}
	if next != open && remembered(r.Err) {
		if err := rp.put(r.Key, next); err != nil {
			rp.con.log.Debug("the state does not keep which failures were told of", "account", r.Account, "reason", err)
		}
	}
	return before, notice
}

// remembered reports whether the state can keep that the user was told of a failure. It
// cannot if it has failed itself.
func remembered(err error) bool { return fetch.Classify(err) != fetch.State }

// worthALine reports whether people get a line about the result of the poll. Under cron
// they get none; of a daemon they get one when mail came.
func (rp *reporter) worthALine(r fetch.Report) bool {
	if rp.con.quiet {
		return false
	}
	if rp.daemon {
		return r.Delivered > 0
	}
	return rp.con.terminal
}

// failureEnv is what on_failure finds in its environment.
func failureEnv(r fetch.Report, notice incident.Notice, before, after state.Incident) []string {
	code, i := exitCodeOf(r.Err), after
	if notice == incident.Recovered {
		i = before
	}
	return []string{
		"POPFETCH_EVENT=" + notice.String(),
		"POPFETCH_ACCOUNT=" + r.Account,
		"POPFETCH_ERROR=" + printable(i.Error),
		"POPFETCH_CLASS=" + i.Class,
		"POPFETCH_EXIT_CODE=" + strconv.Itoa(code),
		"POPFETCH_SINCE=" + i.Since.Format(time.RFC3339),
		"POPFETCH_FAILED_POLLS=" + strconv.Itoa(i.Polls),
	}
}

// later makes the reporter record incidents when the function that it returns is
// called, and not after each poll: a write that fails must not end the other polls of a
// short run.
func (rp *reporter) later() (write func()) {
	put, changed := rp.put, make(map[string]*state.Incident)
	rp.put = func(key string, i *state.Incident) error {
		changed[key] = i
		return nil
	}
	return func() {
		for _, key := range slices.Sorted(maps.Keys(changed)) {
			if err := put(key, changed[key]); err != nil {
				rp.con.log.Warn("the state does not keep which failures were told of", "reason", err)
				return
			}
		}
	}
}

// polls is a number of polls in words.
func polls(n int) string {
	if n == 1 {
		return "1 poll"
	}
	return strconv.Itoa(n) + " polls"
}

// inWords is a duration as people say it.
func inWords(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()+0.5))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24+0.5))
}
