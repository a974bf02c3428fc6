//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// contest runs scenarios with all contenders in turn.
//
// Delivered mail stays until the end: with the mount option discard, removing it would slow
// down the next run.
type contest struct {
	server     *dovecot
	network    *network // nil = all clients run on the server's machine
	dir        string   // where mail is delivered; on a disk
	contenders []contender
	runs       int           // of each contender
	limit      time.Duration // of one run
	slow       time.Duration // a contender that took longer runs only once
	progress   io.Writer

	filled map[crowd]*audience
}

// crowd describes maildrops. Scenarios that delete nothing share those that are alike.
type crowd struct {
	kind         string
	count, users int
}

// audience is the users whose maildrops fit a crowd.
type audience struct {
	users []string
	held  map[string][]message // the listing of each; nil until a scenario needs it
}

// play runs one scenario. Each round has one run of every contender, so that other load on
// the machine slows all of them alike.
func (c *contest) play(ctx context.Context, s scenario) (result, error) {
	r := result{Scenario: s.name, Messages: s.expected()}
	st, err := c.open(s)
	if err != nil {
		return r, err
	}
	for _, x := range st.players {
		r.Entries = append(r.Entries, &entry{Name: x.name()})
	}
	var texts [][]byte
	disk, both := &entry{Name: diskEntry}, &entry{Name: bothEntry}
	if !s.known {
		r.Entries = append(r.Entries, disk, both)
		if texts, err = st.texts(); err != nil {
			return r, err
		}
	}
	for round := range c.runs {
		fmt.Fprintf(c.progress, "%s: run %d of %d\n", s.name, round+1, c.runs)
		for i, x := range st.players {
			if err := st.turn(ctx, x, r.Entries[i]); err != nil {
				return r, err
			}
		}
		if texts != nil {
			if err := diskFloor.measure(c.dir, texts, disk); err != nil {
				return r, err
			}
			if err := st.both(ctx, texts, both); err != nil {
				return r, err
			}
		}
	}
	return r, st.traceSyncs(ctx, r.find(subject))
}

// stage is a scenario with everything that its runs need.
type stage struct {
	*contest
	s       scenario
	players []contender
	at      namespace // of the clients
	host    string    // the server, as they see it
	users   []string  // nil with dele: each run gets new users
	known   map[string][]message
	homes   map[string]home // by contender, for scenarios in which all messages are known
}

func (c *contest) open(s scenario) (*stage, error) {
	st := &stage{contest: c, s: s, host: "127.0.0.1", homes: make(map[string]home)}
	for _, x := range c.contenders {
		if !s.alone || !isPeer(x.name()) {
			st.players = append(st.players, x)
		}
	}
	if c.network != nil {
		var host net.IP
		st.at, host = c.network.at(s.rtt)
		st.host = host.String()
	} else if s.rtt > 0 {
		return nil, errors.New("there is no distance without a network")
	}
	if s.dele {
		return st, nil
	}
	a, err := c.audience(s)
	if err != nil {
		return nil, err
	}
	st.users = a.users
	if s.known {
		st.known = a.held
	}
	return st, nil
}

// audience returns users with the maildrops of the scenario.
func (c *contest) audience(s scenario) (*audience, error) {
	of := crowd{s.box.kind, s.box.count, s.users}
	a, ok := c.filled[of]
	if !ok {
		a = new(audience)
		var err error
		fmt.Fprintf(c.progress, "%s: filling %d maildrops with %d messages each\n", s.name, of.users, of.count)
		if a.users, err = c.fill(s); err != nil {
			return nil, err
		}
		if c.filled == nil {
			c.filled = make(map[crowd]*audience)
		}
		c.filled[of] = a
	}
	if s.known && a.held == nil {
		a.held = make(map[string][]message)
		for _, user := range a.users {
			var err error
			if a.held[user], err = c.server.messages(user); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}

// fill makes new maildrops for the scenario.
func (c *contest) fill(s scenario) (users []string, err error) {
	for range s.users {
		user, err := c.server.fill(s.box)
		if err != nil {
			return nil, err
		}
		users = append(users, user)
	}
	return users, nil
}

// turn runs one contender once and adds the result to e. A contender that failed or took too
// long is left out. The error is one of the benchmark itself.
func (st *stage) turn(ctx context.Context, x contender, e *entry) error {
	if e.Over > 0 || e.Failed != "" || e.Once {
		return nil
	}
	limit := st.limit
	if own := x.limit(); own > 0 {
		limit = min(limit, own)
	}
	var u usage
	var o outcome
	at, err := st.home(ctx, x, limit)
	if err == nil {
		u, o, err = st.perform(ctx, x, limit, at, at.cmd)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		e.Over = limit.Seconds()
	case err != nil:
		e.Failed = err.Error()
		fmt.Fprintf(st.progress, "%s: %s: %v\n", st.s.name, x.name(), err)
	default:
		e.Seconds = append(e.Seconds, u.Seconds)
		e.RSS = max(e.RSS, u.RSS)
		e.RoundTrips = o.roundTrips
		e.Once = st.runs > 1 && u.Seconds > st.slow.Seconds()
	}
	return nil
}

// both runs the two floors at the same time: on a machine with few processors they slow
// each other down.
func (st *stage) both(ctx context.Context, texts [][]byte, e *entry) error {
	at, err := st.home(ctx, drain{}, st.limit)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(st.dir, "disk")
	if err != nil {
		return err
	}
	unix.Sync()
	begin := time.Now()
	var floors errgroup.Group
	floors.Go(func() error {
		_, _, err := run(ctx, st.at, st.limit, at.cmd)
		return err
	})
	floors.Go(func() error {
		_, err := diskFloor.write(dir, texts)
		return err
	})
	if err := floors.Wait(); err != nil {
		return err
	}
	e.Seconds = append(e.Seconds, time.Since(begin).Seconds())
	return nil
}

// perform runs the command of a contender in its home, and checks that the job was done.
func (st *stage) perform(ctx context.Context, x contender, limit time.Duration, at home, cmd command) (usage, outcome, error) {
	unix.Sync() // no run pays for what an earlier one left to be written
	u, stdout, err := run(ctx, st.at, limit, cmd)
	if err != nil {
		return u, outcome{}, err
	}
	o, err := x.read(at.dir, stdout)
	if err == nil {
		err = st.check(at.users, o)
	}
	return u, o, err
}

// home is the directory of a contender, the users whose mail it fetches, and its command.
type home struct {
	dir   string
	users []string
	cmd   command
}

// home returns the home for a run. If all messages are known, a contender keeps its home
// and polls once before it is measured, so that it has recorded what it records about a
// server; peers with many accounts do not, it would take too long.
func (st *stage) home(ctx context.Context, x contender, limit time.Duration) (home, error) {
	if h, ok := st.homes[x.name()]; ok {
		return h, nil
	}
	h := home{users: st.users}
	var err error
	if st.s.dele {
		if h.users, err = st.fill(st.s); err != nil {
			return h, err
		}
	}
	if h.dir, err = os.MkdirTemp(st.dir, "home"); err != nil {
		return h, err
	}
	h.cmd, err = x.setUp(h.dir, st.job(h.users))
	if err == nil && h.cmd.as != nil {
		err = h.cmd.as.chown(h.dir)
	}
	if err != nil || !st.s.known {
		return h, err
	}
	if len(h.users) > 1 && isPeer(x.name()) {
		st.homes[x.name()] = h
		return h, nil
	}
	if _, _, err = run(ctx, st.at, limit, h.cmd); err == nil {
		st.homes[x.name()] = h
	}
	return h, err
}

// job describes what a contender has to do.
func (st *stage) job(users []string) job {
	j := job{host: st.host, port: st.server.port(st.s.tls), users: users, parallel: st.s.parallel, known: st.known, dele: st.s.dele}
	if os.Getuid() == 0 {
		j.nobody = &owner{st.server.UID, st.server.GID}
	}
	if st.s.tls {
		j.ca = st.server.CertFile
	}
	return j
}

// check returns an error unless a run did its job.
func (st *stage) check(users []string, o outcome) error {
	if want := st.s.expected(); o.delivered != want {
		return fmt.Errorf("%d messages were delivered instead of %d", o.delivered, want)
	}
	for _, user := range users {
		left, err := st.server.holds(user)
		if err == nil && left != st.s.left() {
			err = fmt.Errorf("%d messages are left on the server instead of %d", left, st.s.left())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// traceFactor is how many times the limit a run under strace may take. It is not measured.
const traceFactor = 10

// traceSyncs counts the syncs of one more run of popfetch if strace is installed. e is the
// entry of popfetch.
func (st *stage) traceSyncs(ctx context.Context, e *entry) error {
	if _, err := exec.LookPath("strace"); err != nil || !e.counts() {
		return nil
	}
	i := slices.IndexFunc(st.players, func(x contender) bool { return x.name() == e.Name })
	x := st.players[i]
	at, err := st.home(ctx, x, st.limit)
	if err != nil {
		return err
	}
	if _, _, err := st.perform(ctx, x, traceFactor*st.limit, at, traced(at.dir, at.cmd)); err != nil {
		return fmt.Errorf("under strace: %w", err)
	}
	n, err := countSyncs(at.dir)
	e.Syncs = &n
	return err
}

// texts reads the texts of the scenario into memory, for the floor of the disk.
func (st *stage) texts() ([][]byte, error) {
	paths, err := st.server.texts(st.s.box)
	if err != nil {
		return nil, err
	}
	texts := make([][]byte, len(paths))
	for i, path := range paths {
		if texts[i], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
