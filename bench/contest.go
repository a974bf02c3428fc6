//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// contest plays scenarios with all contenders in turn.
type contest struct {
	server     *dovecot
	dir        string // for what is delivered, on a disk
	contenders []contender
	runs       int           // of each contender
	limit      time.Duration // of one run
	patience   time.Duration // who has taken longer is not asked again
	progress   io.Writer
}

// play plays one scenario: each round has one run of everybody, so that what else the
// machine does meets all alike.
func (c *contest) play(ctx context.Context, s scenario) (result, error) {
	r := result{scenario: s.name}
	for _, x := range c.contenders {
		r.entries = append(r.entries, &entry{name: x.name()})
	}
	var disk *entry
	if !s.known {
		disk = &entry{name: diskEntry}
		r.entries = append(r.entries, disk)
	}
	st, err := c.open(s)
	if err != nil {
		return r, err
	}
	defer st.close()
	for round := range c.runs {
		fmt.Fprintf(c.progress, "%s: run %d of %d\n", s.name, round+1, c.runs)
		for i, x := range c.contenders {
			e := r.entries[i]
			if e.over > 0 || e.failed != "" || len(e.seconds) > 0 && e.seconds[0] > c.patience.Seconds() {
				continue
			}
			err := st.turn(ctx, x, e)
			switch {
			case ctx.Err() != nil:
				return r, ctx.Err()
			case errors.Is(err, context.DeadlineExceeded):
				e.over = c.limit.Seconds()
			case err != nil:
				e.failed = err.Error()
				fmt.Fprintf(c.progress, "%s: %s: %v\n", s.name, x.name(), err)
			}
		}
		if disk != nil {
			if err := st.disk(disk); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// stage is a scenario about to be played.
type stage struct {
	*contest
	s     scenario
	relay *relay   // nil without a delay
	users []string // not with dele: those are new in each run
	known map[string][]message
	homes map[string]home // by contender
}

func (c *contest) open(s scenario) (st *stage, err error) {
	st = &stage{contest: c, s: s, homes: make(map[string]home)}
	addr := c.server.pop3
	if s.tls {
		addr = c.server.pop3s
	}
	if s.rtt > 0 {
		if st.relay, err = startRelay(addr, s.rtt); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if s.dele {
		return st, nil
	}
	if err := st.fill(); err != nil || !s.known {
		return st, err
	}
	st.known = make(map[string][]message)
	all := &drainer{addr: c.server.pop3, password: password}
	for _, user := range st.users {
		if st.known[user], err = all.messages(user); err != nil {
			return st, err
		}
	}
	return st, nil
}

// fill makes the maildrops of the scenario.
func (st *stage) fill() error {
	st.users = nil
	for range st.s.users {
		user, err := st.server.fill(st.s.box)
		if err != nil {
			return err
		}
		st.users = append(st.users, user)
	}
	return nil
}

// clear removes them.
func (st *stage) clear() {
	for _, user := range st.users {
		st.server.empty(user)
	}
}

func (st *stage) close() {
	st.clear()
	for _, x := range st.contenders {
		st.leave(x)
	}
	if st.relay != nil {
		st.relay.close()
	}
}

// job is what a contender has to do.
func (st *stage) job() (job, error) {
	addr := st.server.pop3
	if st.s.tls {
		addr = st.server.pop3s
	}
	if st.relay != nil {
		addr = st.relay.addr()
	}
	host, port, err := net.SplitHostPort(addr)
	j := job{host: host, port: port, users: st.users, known: st.known, dele: st.s.dele}
	if st.s.tls {
		j.ca = st.server.ca
	}
	return j, err
}

// turn is one run of one contender, and adds it to e.
func (st *stage) turn(ctx context.Context, x contender, e *entry) error {
	if st.s.dele {
		if err := st.fill(); err != nil {
			return err
		}
		defer st.clear()
	}
	at, err := st.home(ctx, x)
	if err != nil {
		return err
	}
	if !st.s.known {
		defer st.leave(x)
	}
	unix.Sync() // nobody pays for what others have left to be written
	u, stdout, err := run(ctx, st.limit, at.cmd)
	if err != nil {
		return err
	}
	o, err := x.read(at.dir, stdout)
	if err == nil {
		err = st.check(o)
	}
	if err != nil {
		return err
	}
	e.seconds = append(e.seconds, u.Seconds)
	e.rss = max(e.rss, u.RSS)
	e.roundTrips = o.roundTrips
	return nil
}

// home is where a contender has its files, and its command.
type home struct {
	dir string
	cmd command
}

// home returns that of a contender, a new one if he has none. Whoever knows all messages
// keeps it, and polls once before it counts: he has noted then what he notes of a server.
func (st *stage) home(ctx context.Context, x contender) (home, error) {
	if h, ok := st.homes[x.name()]; ok {
		return h, nil
	}
	dir, err := os.MkdirTemp(st.dir, "home")
	if err != nil {
		return home{}, err
	}
	h := home{dir: dir}
	st.homes[x.name()] = h
	j, err := st.job()
	if err == nil {
		h.cmd, err = x.setUp(dir, j)
	}
	if err == nil && st.s.known {
		_, _, err = run(ctx, st.limit, h.cmd)
	}
	if err != nil {
		st.leave(x)
		return home{}, err
	}
	st.homes[x.name()] = h
	return h, nil
}

// leave removes the home of a contender.
func (st *stage) leave(x contender) {
	os.RemoveAll(st.homes[x.name()].dir)
	delete(st.homes, x.name())
}

// check says whether a run has done what it had to.
func (st *stage) check(o outcome) error {
	if want := st.s.expected(); o.delivered != want {
		return fmt.Errorf("%d messages were delivered instead of %d", o.delivered, want)
	}
	for _, user := range st.users {
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

// disk is one run of the floor of the disk, with the texts in memory, and adds it to e.
func (st *stage) disk(e *entry) error {
	paths, err := st.s.box.masters(filepath.Join(st.server.dir, "texts"), st.server.own)
	if err != nil {
		return err
	}
	texts := make([][]byte, len(paths))
	for i, path := range paths {
		if texts[i], err = os.ReadFile(path); err != nil {
			return err
		}
	}
	return diskFloor.measure(st.dir, texts, e)
}
