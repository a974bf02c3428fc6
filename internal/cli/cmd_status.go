package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/control"
	"popfetch/internal/status"
)

func (p *program) statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show how the last polls went, and when the next ones are",
		ArgsUsage: "[ACCOUNT...]",
		Flags:     flags(jsonFlag()),
		Action:    p.status,
	}
}

// statusLine is how an account is, as JSON. popfetch(1) describes the fields.
type statusLine struct {
	Account     string    `json:"account"`
	Polling     time.Time `json:"polling_since,omitzero"`
	Queued      bool      `json:"queued"`
	LastPoll    time.Time `json:"last_poll,omitzero"`
	Class       string    `json:"class"`
	Error       string    `json:"error"`
	Delivered   int       `json:"delivered"`
	Octets      int64     `json:"octets"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastMail    time.Time `json:"last_new_mail,omitzero"`
	NextPoll    time.Time `json:"next_poll,omitzero"`
	NextBecause string    `json:"next_because"`
	Failures    int       `json:"failures"`
	Waiting     int       `json:"waiting"`
	SetAside    int       `json:"set_aside"`
	Certificate time.Time `json:"certificate_expires,omitzero"`
	Owner       int       `json:"process"`

	// elsewhere is the process that polls another maildrop under the name of the account.
	elsewhere int
}

// ownerLine is the line of an owner about one of its accounts.
type ownerLine struct {
	statusLine
	Maildrop string `json:"maildrop"` // its key; "" from an owner that does not say it yet
}

func (p *program) status(c *cli.Context) error {
	con := p.console(c)
	s, err := p.selection(c, con)
	if err != nil {
		return err
	}
	path := s.config.State
	lines := make(map[string]statusLine, len(s.chosen))
	for i, line := range statusLines(s.config, status.Open(path), nil) {
		lines[s.config.Accounts[i].Name] = line
	}
	owner, err := statusOfOwner(c.Context, s, lines)
	var shown []statusLine
	for _, a := range s.chosen {
		shown = append(shown, lines[a.Name])
	}
	if con.json {
		for _, line := range shown {
			con.writeJSON(line)
		}
		return err
	}
	if err == nil {
		fmt.Fprintln(con.out, ownerInWords(owner, time.Now()))
	}
	if written := statusTable(con.out, con.width, shown, time.Now()); written != nil {
		return written
	}
	return err
}

// statusOfOwner replaces lines by those of the owner of the state file. It returns who
// that is, the zero value if nobody serves the socket.
func statusOfOwner(ctx context.Context, s *selection, lines map[string]statusLine) (control.Info, error) {
	owner, err := control.Dial(ctx, s.config.State)
	if err == nil {
		defer owner.Close()
		r := control.Request{Do: doStatus}
		maildrops := make(map[string]string, len(s.chosen))
		for _, a := range s.chosen {
			r.Accounts = append(r.Accounts, control.Account{Name: a.Name})
			maildrops[a.Name] = maildropKey(a)
		}
		err = owner.Do(ctx, r, func(a control.Answer) {
			var line ownerLine
			switch {
			case json.Unmarshal(a.Result, &line) != nil:
			case line.Maildrop != "" && line.Maildrop != maildrops[a.Account]:
				own := lines[a.Account]
				own.elsewhere = owner.Owner.PID
				lines[a.Account] = own
			default:
				line.Owner = owner.Owner.PID
				lines[a.Account] = line.statusLine
			}
		})
	}
	switch {
	case err == nil:
		return owner.Owner, nil
	case errors.Is(err, control.ErrNobody):
		// An owner that could not make its socket, or is about to.
		if pid, held := stateFile(s.config).Holder(); held {
			return control.Info{PID: pid, Command: commandUnserved}, nil
		}
		return control.Info{}, nil
	}
	return control.Info{}, ownerError(stateFile(s.config), err)
}

// statusLines returns a line for each account of a configuration, from what is known of
// its last poll and of its place in the schedule.
func statusLines(cfg *config.Config, book *status.Book, schedule []fetch.AccountStatus) []statusLine {
	places := make(map[string]fetch.AccountStatus, len(schedule))
	for _, st := range schedule {
		places[st.Name] = st
	}
	lines := make([]statusLine, len(cfg.Accounts))
	for i, a := range cfg.Accounts {
		lines[i].Account = a.Name
		if last, ok := book.Last(a.Name, maildropKey(a)); ok {
			lines[i].add(last)
		}
		if st, ok := places[a.Name]; ok {
			lines[i].place(st)
		}
	}
	return lines
}

func (l *statusLine) add(p status.Poll) {
	l.LastPoll, l.Class, l.Error = p.Time, p.Class, p.Error
	l.Delivered, l.Octets, l.Waiting, l.SetAside = p.Delivered, p.Octets, p.Waiting, p.SetAside
	l.LastSuccess, l.LastMail, l.Certificate = p.Success, p.NewMail, p.Expires
}

func (l *statusLine) place(st fetch.AccountStatus) {
	l.Polling, l.Queued, l.Failures, l.NextPoll = utc(st.Begun), st.Waiting, st.Failures, utc(st.Next)
	if st.Next.IsZero() {
		return
	}
	l.NextBecause = st.Why.String()
	if st.Why == fetch.ForFailures {
		l.NextBecause = "back-off after " + strconv.Itoa(st.Failures) + " failures"
		if st.Failures == 1 {
			l.NextBecause = "back-off after a failure"
		}
	}
}

// utc returns t as JSON has it: whole seconds of UTC.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// pollOf is what is remembered of a report.
func pollOf(r fetch.Report, now time.Time) status.Poll {
	now = utc(now)
	p := status.Poll{
		Account: r.Account, Maildrop: r.Key, Time: now, Delivered: r.Delivered, Octets: r.Octets,
		Waiting: r.Skipped + r.Failed, SetAside: r.SetAside, Expires: r.CertificateExpires, Totals: totalsOf(r),
	}
	if r.Err != nil {
		p.Class, p.Error = fetch.Classify(r.Err).String(), firstReason(r.Err)
	} else {
		p.Success = now
	}
	if r.Delivered > 0 {
		p.NewMail = now
	}
	return p
}

// totalsOf is what a poll has done.
func totalsOf(r fetch.Report) status.Totals {
	t := status.Totals{Polls: 1, Seconds: r.Seconds, Delivered: r.Delivered, Octets: r.Octets, Deleted: r.Deleted}
	if class := fetch.Classify(r.Err); class != fetch.OK && class != fetch.Canceled {
		t.Failures = map[string]int{class.String(): 1}
	}
	return t
}

// firstReason is the first line of why a poll failed.
func firstReason(err error) string {
	if account, ok := errors.AsType[*fetch.AccountError](err); ok {
		err = account.Errs[0]
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// ownerInWords is the first line of the status.
func ownerInWords(owner control.Info, now time.Time) string {
	switch owner.Command {
	case "":
		return "no daemon is running"
	case commandUnserved:
		process := ""
		if owner.PID > 0 { // a full disk may have kept it from being noted
			process = fmt.Sprintf(" (process %d)", owner.PID)
		}
		return "popfetch is running" + process + ", and does not say more: nobody serves the socket beside the state file"
	case commandOnce:
		return fmt.Sprintf("popfetch --once is running (process %d), started %s", owner.PID, shortAgo(owner.Since, now))
	case commandDaemon:
	default:
		return fmt.Sprintf("popfetch %s is running (process %d), started %s", owner.Command, owner.PID, shortAgo(owner.Since, now))
	}
	return fmt.Sprintf("the daemon is running (process %d), started %s", owner.PID, shortAgo(owner.Since, now))
}

// statusTable writes the lines as a table that fits into width columns.
func statusTable(w io.Writer, width int, lines []statusLine, now time.Time) error {
	t := table{wraps: true, columns: []column{
		{name: "ACCOUNT", shrinks: true}, {name: "LAST POLL"}, {name: "RESULT"}, {name: "NEW MAIL", dropped: 1},
		{name: "NEXT", dropped: 3}, {name: "LEFT", dropped: 2},
	}}
	for _, l := range lines {
		t.rows = append(t.rows, row{
			cells: []string{l.Account, since(l.LastPoll, now), l.result(now), since(l.LastMail, now), l.next(now), l.left()},
			note:  printable(l.note(now)),
		})
	}
	return t.write(w, width)
}

// result is how the last poll ended, or that one is under way.
func (l statusLine) result(now time.Time) string {
	switch {
	case !l.Polling.IsZero():
		return "polling " + shortSpan(now.Sub(l.Polling))
	case l.LastPoll.IsZero():
		return "-"
	case l.Class != "":
		return inShort(fetch.ClassNamed(l.Class))
	case l.Delivered > 0:
		return fmt.Sprintf("%d new", l.Delivered)
	}
	return "no new mail"
}

// inShort is a class of failures in two words.
func inShort(c fetch.Class) string {
	switch c {
	case fetch.Auth:
		return "login refused"
	case fetch.Protocol:
		return "protocol or TLS"
	case fetch.Config:
		return "misconfigured"
	case fetch.Delivery:
		return "not delivered"
	case fetch.Lost, fetch.State:
		return "no state"
	}
	return "failed"
}

func (l statusLine) next(now time.Time) string {
	switch {
	case l.Queued:
		return "queued"
	case l.NextPoll.IsZero():
		return "-"
	}
	return "in " + shortSpan(l.NextPoll.Sub(now))
}

// left is what stays on the server undelivered.
func (l statusLine) left() string {
	if l.Waiting == 0 {
		return "-"
	}
	return strconv.Itoa(l.Waiting)
}

// expiryNotice is the time before the end of a certificate in which it is mentioned.
const expiryNotice = 21 * 24 * time.Hour

// note is what is not usual about the account, "" for nothing.
func (l statusLine) note(now time.Time) string {
	text := l.Error
	add := func(format string, args ...any) {
		if text != "" {
			text += "; "
		}
		text += fmt.Sprintf(format, args...)
	}
	if l.Class != "" && !l.LastSuccess.IsZero() {
		add("last success %s", shortAgo(l.LastSuccess, now))
	}
	if l.NextBecause != "" && l.NextBecause != fetch.ForInterval.String() {
		add("next poll in %s: %s", shortSpan(l.NextPoll.Sub(now)), l.NextBecause)
	}
	if l.elsewhere > 0 {
		add("process %d has another maildrop under this name", l.elsewhere)
	}
	if l.SetAside > 0 {
		add("%s set aside; popfetch list shows why", messages(l.SetAside))
	}
	if left := l.Certificate.Sub(now); !l.Certificate.IsZero() && left < expiryNotice {
		if left < 0 {
			add("the certificate expired %s", shortAgo(l.Certificate, now))
		} else {
			add("the certificate expires in %s", shortSpan(left))
		}
	}
	return text
}

// since is how long ago t was in a few characters, "-" for never.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return shortSpan(now.Sub(t))
}

// shortAgo is a time in the past in a few characters, "-" for none.
func shortAgo(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return shortSpan(now.Sub(t)) + " ago"
}

// shortSpan is a duration in its greatest unit.
func shortSpan(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
