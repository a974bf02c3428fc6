package fetch_test

import (
	"context"
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

// guest is an account of the scheduler whose server is a function.
type guest struct {
	name string
	host string
	// visit is the login: it takes as long as it likes.
	visit func(ctx context.Context) error
	fresh int // new messages at every poll
	caps  pop3.Capabilities
	stage func() error     // of the destination
	body  func() io.Reader // of its messages, nil = a short one
	state error            // of the state store

	mu    sync.Mutex
	polls []time.Time
}

func (g *guest) account() *fetch.Account {
	return &fetch.Account{
		Name: g.name, Host: g.host, Key: g.name, Interval: time.Minute,
		Open: g.open, Maildrop: &notebook{records: records{}, err: g.state},
		Destination: func(context.Context) (deliver.Destination, error) {
			return picky{Destination: newBox(), stage: g.staged}, nil
		},
	}
}

func (g *guest) open(ctx context.Context, _ fetch.Opening) (fetch.Session, error) {
	g.mu.Lock()
	g.polls = append(g.polls, time.Now())
	n := len(g.polls)
	g.mu.Unlock()
	if g.visit != nil {
		if err := g.visit(ctx); err != nil {
			return nil, err
		}
	}
	return &calm{guest: g, visit: n}, nil
}

// gaps are the times between the polls.
func (g *guest) gaps() []time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []time.Duration
	for i := 1; i < len(g.polls); i++ {
		all = append(all, g.polls[i].Sub(g.polls[i-1]))
	}
	return all
}

// sleeping is a visit that takes d.
func sleeping(d time.Duration) func(context.Context) error {
	return func(context.Context) error {
		time.Sleep(d)
		return nil
	}
}

// calm is the session of a guest, where all goes well.
type calm struct {
	*guest
	visit int
}

func (c *calm) Capabilities() pop3.Capabilities { return c.caps }

func (c *calm) Uidl() iter.Seq2[pop3.UniqueID, error] {
	return func(yield func(pop3.UniqueID, error) bool) {
		for i := range c.fresh {
			if !yield(pop3.UniqueID{Num: i + 1, ID: fmt.Appendf(nil, "%d-%d", c.visit, i)}, nil) {
				return
			}
		}
	}
}

func (c *calm) List() iter.Seq2[pop3.ScanListing, error] {
	return func(func(pop3.ScanListing, error) bool) {}
}

func (c *calm) Top([]int, int) iter.Seq2[*pop3.Message, error] { return c.Retr(nil) }

func (c *calm) Retr(nums []int) iter.Seq2[*pop3.Message, error] {
	return func(yield func(*pop3.Message, error) bool) {
		for _, num := range nums {
			m := &pop3.Message{Num: num, Body: strings.NewReader("A: b\r\n\r\n")}
			if c.body != nil {
				m.Body = c.body()
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}

func (c *calm) Dele([]int) iter.Seq2[int, error] { return func(func(int, error) bool) {} }
func (c *calm) Pipelined() bool                  { return false }
func (c *calm) Drain()                           {}
func (c *calm) Confirmed() int                   { return 0 }
func (c *calm) Owed() int                        { return 0 }
func (c *calm) Offer() pop3.Offer                { return pop3.Offer{} }
func (c *calm) Bye() error                       { return nil }
func (c *calm) Noop() error                      { return nil }
func (c *calm) Broken() error                    { return nil }
func (c *calm) SurplusReply(int, []byte) error   { return nil }
func (c *calm) Quit() error                      { return nil }
func (c *calm) Close() error                     { return nil }
func (c *calm) RoundTrips() int                  { return 1 }

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

// notebook is a maildrop of the state that lives in memory.
type notebook struct {
	records records
	err     error
}

func (n *notebook) Scan(fn func(seq) error) error { return errors.Join(n.err, fn(n.records.sorted)) }
func (n *notebook) Facts() (state.Facts, error)   { return state.Facts{}, n.err }

func (n *notebook) Intents() ([]state.OpenIntent, error) { return nil, n.err }
func (n *notebook) Commit(c state.Change) error {
	for _, e := range c.Put {
		n.records[e.ID] = e.Record
	}
	return n.err
}
func (g *guest) staged(context.Context, deliver.Meta, io.Reader) error {
	if g.stage == nil {
		return nil
	}
	return g.stage()
}
