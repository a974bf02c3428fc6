package fetch_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/state"
)

// fakeAccount is an account for the scheduler whose server is a function.
type fakeAccount struct {
	name string
	host string
	// visit is called for each login and may take any time.
	visit func(ctx context.Context) error
	fresh int // new messages at every poll
	caps  pop3.Capabilities
	stage func() error     // of the destination
	body  func() io.Reader // of its messages, nil = a short one
	state error            // of the state store

	mu    sync.Mutex
	polls []time.Time
}

func (g *fakeAccount) account() *fetch.Account {
	return &fetch.Account{
		Name: g.name, Host: g.host, Key: g.name, Interval: time.Minute,
		Open: g.open, Maildrop: &fakeMaildrop{records: records{}, err: g.state},
		Destination: func(context.Context) (deliver.Destination, error) {
			return hookedDestination{Destination: newFakeMDA(), stage: g.staged}, nil
		},
	}
}

func (g *fakeAccount) open(ctx context.Context, _ fetch.Opening) (fetch.Session, error) {
	g.mu.Lock()
	g.polls = append(g.polls, time.Now())
	n := len(g.polls)
	g.mu.Unlock()
	if g.visit != nil {
		if err := g.visit(ctx); err != nil {
			return nil, err
		}
	}
	return &fakeSession{fakeAccount: g, visit: n}, nil
}

// polled returns the number of polls so far.
func (g *fakeAccount) polled() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.polls)
}

// gaps returns the times between the polls.
func (g *fakeAccount) gaps() []time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []time.Duration
	for i := 1; i < len(g.polls); i++ {
		all = append(all, g.polls[i].Sub(g.polls[i-1]))
	}
	return all
}

// sleeping returns a visit that takes d.
func sleeping(d time.Duration) func(context.Context) error {
	return func(context.Context) error {
		time.Sleep(d)
		return nil
	}
}

// fakeSession is the session of a fakeAccount. Nothing fails in it.
type fakeSession struct {
	*fakeAccount
	visit int
}

func (c *fakeSession) Capabilities() pop3.Capabilities { return c.caps }

func (c *fakeSession) Uidl() iter.Seq2[pop3.UniqueID, error] {
	return func(yield func(pop3.UniqueID, error) bool) {
		for i := range c.fresh {
			if !yield(pop3.UniqueID{Num: i + 1, ID: fmt.Appendf(nil, "%d-%d", c.visit, i)}, nil) {
				return
			}
		}
	}
}

func (c *fakeSession) List() iter.Seq2[pop3.ScanListing, error] {
	return func(func(pop3.ScanListing, error) bool) {}
}

func (c *fakeSession) Top([]int, int) iter.Seq2[*pop3.Message, error] { return c.Retr(nil, nil) }

func (c *fakeSession) Retr(nums []int, _ func(int) int64) iter.Seq2[*pop3.Message, error] {
	return func(yield func(*pop3.Message, error) bool) {
		for _, num := range nums {
			m := &pop3.Message{Num: num, Body: strings.NewReader(fmt.Sprintf("Message-ID: <%d.%d@example.org>\r\n\r\n", c.visit, num))}
			if c.body != nil {
				m.Body = c.body()
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (c *fakeSession) Stat() (int, int64, error) { return c.fresh, 0, nil }

func (c *fakeSession) DeleThenQuit([]int) iter.Seq2[int, error] {
	return func(func(int, error) bool) {}
}

func (c *fakeSession) Pipelined() bool { return false }

func (c *fakeSession) Drain() {}

func (c *fakeSession) Confirmed() int { return 0 }

func (c *fakeSession) Owed() int { return 0 }

func (c *fakeSession) Offer() pop3.Offer { return pop3.Offer{} }

func (c *fakeSession) Bye() error { return nil }

func (c *fakeSession) Broken() error { return nil }

func (c *fakeSession) SurplusReply(int, []byte) error { return nil }

func (c *fakeSession) Quit() error { return nil }

func (c *fakeSession) Close() error { return nil }

func (c *fakeSession) RoundTrips() int { return 1 }

func (c *fakeSession) TLS() (tls.ConnectionState, bool) { return tls.ConnectionState{}, false }

// records is what the state has of a maildrop, by id.
type records map[string]state.Record

// sorted yields the records as state.Maildrop.Scan does: in byte order, in a buffer
// that the next record overwrites.
func (r records) sorted(yield func([]byte, state.Record) bool) {
	var buf []byte
	for _, id := range slices.Sorted(maps.Keys(r)) {
		buf = append(buf[:0], id...)
		if !yield(buf, r[id]) {
			return
		}
	}
	clear(buf)
}

// fakeMaildrop is a state.Maildrop in memory.
type fakeMaildrop struct {
	records records
	err     error
}

func (n *fakeMaildrop) Scan(fn func(seq) error) error {
	return errors.Join(n.err, fn(n.records.sorted))
}

func (n *fakeMaildrop) Get(id string) (state.Record, error) { return n.records[id], n.err }

func (n *fakeMaildrop) Facts() (state.Facts, error) { return state.Facts{}, n.err }

func (n *fakeMaildrop) Intents() ([]state.OpenIntent, error) { return nil, n.err }

func (n *fakeMaildrop) Commit(c state.Change) error {
	for _, id := range c.Forget {
		delete(n.records, id)
	}
	for _, e := range c.Put {
		n.records[e.ID] = e.Record
	}
	return n.err
}

func (g *fakeAccount) staged(context.Context, deliver.Meta, io.Reader) error {
	if g.stage == nil {
		return nil
	}
	return g.stage()
}
