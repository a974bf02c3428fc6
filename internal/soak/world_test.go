package soak

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/internal/incident"
	"popfetch/state"
)

// kind is how a server is.
type kind int

const (
	healthy  kind = iota
	slow          // each reply takes seconds
	nightly       // does not answer for 7 hours of each third night
	nameless      // its name is not found for an hour of each day
	locked        // refuses the login for a week of each month
	dead          // never answers
	kinds
)

func (k kind) String() string {
	return [...]string{"healthy", "slow", "nightly", "nameless", "locked", "dead"}[k]
}

// world is what is outside of the daemon: servers, the clock, and the user.
type world struct {
	mu       sync.Mutex
	began    time.Time
	ahead    time.Duration // of the wall clock
	mail     map[string][]int
	arrived  int
	taken    map[string]int // how often a message was delivered
	polls    int
	failed   int
	told     map[string]int // notices by account
	sessions sync.WaitGroup
}

func newWorld() *world {
	return &world{began: time.Now(), mail: make(map[string][]int), taken: make(map[string]int), told: make(map[string]int)}
}

// wall reads the clock that people see.
func (w *world) wall() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// set moves the wall clock.
func (w *world) set(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += by
}

// post puts a message on the server of each account.
func (w *world) post(names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		w.arrived++
		w.mail[name] = append(w.mail[name], w.arrived)
	}
}

// account is an account at a server of some kind.
func (w *world) account(name string, k kind, store state.Store) *fetch.Account {
	return &fetch.Account{
		Name: name, User: name, Host: k.String(), Key: name + "@" + k.String(), Maildrop: store.Maildrop(name + "@" + k.String()),
		Policy: plan.Policy{Delete: true}, Interval: 30 * time.Minute, Now: w.wall,
		Open:        func(ctx context.Context, how fetch.Opening) (fetch.Session, error) { return w.open(ctx, name, k, how) },
		Destination: func(context.Context) (deliver.Destination, error) { return &mailbox{w}, nil },
		Recover:     func(context.Context, deliver.Intent) (deliver.Outcome, error) { return deliver.Again, nil },
	}
}

func (w *world) open(ctx context.Context, name string, k kind, how fetch.Opening) (fetch.Session, error) {
	age := time.Since(w.began)
	day, hour := int(age/(24*time.Hour)), age%(24*time.Hour)
	switch {
	case k == dead, k == nightly && day%3 == 2 && hour < 7*time.Hour:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	case k == nameless && hour < time.Hour:
		return nil, &net.DNSError{Err: "server misbehaving", Name: "pop.example.org", IsTemporary: true}
	}
	near, far := net.Pipe()
	w.sessions.Go(func() { w.serve(far, name, k == slow, k == locked && day%30 < 7) })
	c, err := pop3.NewClient(ctx, near, k.String(), &pop3.Options{Security: pop3.ClearText, Waited: how.Waited})
	if err != nil {
		return nil, err
	}
	if _, err := c.Login(pop3.Credentials{User: name, Password: "secret"}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// serve is a small POP3 server for one session.
func (w *world) serve(conn net.Conn, name string, slow, locked bool) {
	defer conn.Close()
	w.mu.Lock()
	mail := slices.Clone(w.mail[name])
	w.mu.Unlock()
	var deleted []int
	listing := func(value func(int) any) string {
		var b strings.Builder
		b.WriteString("+OK\r\n")
		for i, id := range mail {
			fmt.Fprintf(&b, "%d %v\r\n", i+1, value(id))
		}
		return b.String() + ".\r\n"
	}
	r := bufio.NewReader(conn)
	for reply := "+OK\r\n"; ; {
		if slow {
			time.Sleep(5 * time.Second)
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		num := 0
		verb, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		fmt.Sscan(arg, &num)
		reply = "+OK\r\n"
		switch {
		case verb == "PASS" && locked:
			reply = "-ERR [AUTH] the account is locked\r\n"
		case verb == "UIDL":
			reply = listing(func(id int) any { return fmt.Sprint("id", id) })
		case verb == "LIST":
			reply = listing(func(id int) any { return len(message(id)) })
		case verb == "RETR", verb == "TOP":
			reply = "+OK\r\n" + message(mail[num-1]) + ".\r\n"
		case verb == "DELE":
			deleted = append(deleted, mail[num-1])
		case verb == "QUIT":
			w.mu.Lock()
			w.mail[name] = slices.DeleteFunc(w.mail[name], func(id int) bool { return slices.Contains(deleted, id) })
			w.mu.Unlock()
			_, _ = io.WriteString(conn, reply)
			return
		case verb != "USER" && verb != "PASS" && verb != "STAT" && verb != "NOOP":
			reply = "-ERR\r\n"
		}
	}
}

func message(id int) string {
	return fmt.Sprintf("Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\ntext\r\n", id, id)
}

// mailbox is a destination that counts.
type mailbox struct{ w *world }

func (m *mailbox) Group() int        { return 10 }
func (m *mailbox) Recoverable() bool { return false }
func (m *mailbox) Close() error      { return nil }

func (m *mailbox) Stage(_ context.Context, meta deliver.Meta, r io.Reader) (deliver.Staged, error) {
	text, err := io.ReadAll(r)
	return staged(text), err
}

func (m *mailbox) Prepare(context.Context, []deliver.Staged) []error { return nil }

func (m *mailbox) Publish(_ context.Context, group []deliver.Staged) []error {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	for _, s := range group {
		m.w.taken[string(s.(staged))]++
	}
	return nil
}

type staged string

func (staged) Intent() deliver.Intent { return deliver.Intent{Kind: "soak"} }
func (staged) Abort() error           { return nil }

// life is the daemon from a start to a stop.
type life struct {
	w         *world
	store     *state.Bolt
	incidents map[string]state.Incident
}

// report is what the daemon does after each poll.
func (l *life) report(r fetch.Report) {
	var open *state.Incident
	if i, ok := l.incidents[r.Key]; ok {
		open = &i
	}
	next, notice := incident.After(open, r, time.Time{}, l.w.wall())
	if next != open {
		_ = l.store.PutIncident(r.Key, next)
	}
	delete(l.incidents, r.Key)
	if next != nil {
		l.incidents[r.Key] = *next
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.polls++
	if r.Err != nil {
		l.w.failed++
	}
	if notice != incident.Nothing {
		l.w.told[r.Account]++
	}
}
