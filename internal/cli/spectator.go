package cli

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"popfetch/fetch"
	"popfetch/internal/control"
)

// spectator shows the polls of another process as if they were those of this one.
type spectator struct {
	con   *console
	lines map[string]*progressLine // by account
}

// wants is what con can show of the polls of another process.
func (con *console) wants() *control.Watch {
	return &control.Watch{Progress: con.progress.visible(), Level: int(con.level)}
}

func newSpectator(con *console) *spectator {
	return &spectator{con: con, lines: make(map[string]*progressLine)}
}

// show shows what goes on.
func (s *spectator) show(now *control.Watched) {
	if now.Lost > 0 {
		s.con.log.Warn("lines of the log of the running popfetch are missing here, because they came too fast", "lines", now.Lost)
	}
	for _, l := range now.Log {
		s.log(l)
	}
	ended := maps.Clone(s.lines)
	for _, p := range now.Progress {
		delete(ended, p.Account)
		if stage, ok := stageNamed(p.Stage); ok {
			s.line(p.Account).follow(stage, p)
		}
	}
	s.leave(ended)
}

// log writes a line in the log of this process.
func (s *spectator) log(l control.LogLine) {
	ctx, level := context.Background(), slog.Level(l.Level)
	to := s.con.log.With("account", l.Account).Handler()
	if !to.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(l.Time, level, l.Text, 0)
	for _, a := range l.Attrs {
		r.AddAttrs(slog.Any(a.Key, a.Value))
	}
	_ = to.Handle(ctx, r)
}

func (s *spectator) line(account string) *progressLine {
	l := s.lines[account]
	if l == nil {
		l = s.con.progress.of(account)
		s.lines[account] = l
	}
	return l
}

// end says that the poll of an account has ended.
func (s *spectator) end(account string) {
	s.line(account).End()
	delete(s.lines, account)
}

// close takes away the lines of polls whose end nobody will tell.
func (s *spectator) close() { s.leave(s.lines) }

// leave takes lines away whose polls are not counted as done.
func (s *spectator) leave(lines map[string]*progressLine) {
	s.con.progress.mu.Lock()
	defer s.con.progress.mu.Unlock()
	for _, l := range lines {
		l.leave()
	}
}

// stageNames are the stages of a poll as they are sent to a client.
var stageNames = [...]string{
	fetch.Connecting: "connecting", fetch.LoggingIn: "login", fetch.Listing: "listing", fetch.Receiving: "receiving", fetch.Finishing: "finishing",
}

// stageNamed returns the stage of a name; false for one that only a newer popfetch knows.
func stageNamed(name string) (fetch.Stage, bool) {
	i := slices.Index(stageNames[:], name)
	return fetch.Stage(max(i, 0)), i >= 0
}

// ofAccounts returns how far the polls under way of some accounts are.
func (p *progress) ofAccounts(accounts map[string]bool) (all []control.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if accounts[l.account] {
			all = append(all, control.Progress{
				Account: l.account, Stage: stageNames[l.stage], Messages: int(l.messages.Load()), Octets: l.octets.Load(),
				AllMessages: l.of.messages, AllOctets: l.of.octets,
			})
		}
	}
	return all
}

// follow makes the line show how far a poll of another process is.
func (l *progressLine) follow(stage fetch.Stage, p control.Progress) {
	l.all.mu.Lock()
	polled, was, of := l.polled, l.stage, l.of
	l.all.mu.Unlock()
	if !polled || was != stage {
		l.Stage(stage)
	}
	if stage != fetch.Receiving {
		return
	}
	if was != stage || of.messages != p.AllMessages || of.octets != p.AllOctets || p.Octets < l.octets.Load() {
		l.Start(p.AllMessages, p.AllOctets)
	}
	l.octets.Store(p.Octets)
	l.messages.Store(int64(p.Messages))
}
