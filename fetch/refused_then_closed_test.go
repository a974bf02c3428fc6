package fetch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// refusedAndClosed is how Exchange answers a command that it cannot carry out.
func refusedAndClosed(at string) func(*pop3test.Server) {
	return faults(pop3test.Fault{At: at, Do: pop3test.Err, Text: "Server unavailable. 21"}, pop3test.Fault{At: at, Do: pop3test.Drop, After: pop3test.AfterStatus})
}

func TestMessageWhoseRefusalClosesTheConnectionIsBlamedAndNoOther(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		for bad := 1; bad <= 4; bad++ {
			t.Run(fmt.Sprint(name, ", message ", bad), func(t *testing.T) {
				h := newFixture(t, 4, refusedAndClosed(fmt.Sprint("RETR ", bad)))
				h.options.Pipelining = p
				h.account.Policy.Delete = true
				others := slices.DeleteFunc(upTo(4), func(n int) bool { return n == bad })
				_, err := h.poll()
				class(t, err, fetch.Temporary)
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf(`message %d (unique-id "u%d"): RETR %d: server said "-ERR Server unavailable`, bad, bad, bad)) {
					t.Errorf("the message is not named: %v", err)
				}
				h.delivered(others...)
				h.onServer(fmt.Sprint("u", bad))
				for id, r := range h.known() {
					if r.Seen() == (id == fmt.Sprint("u", bad)) || r.Seen() && r.Failures > 0 {
						t.Errorf("%s: %+v", id, r)
					}
				}
				h.server.SetFaults(pop3test.Fault{At: "RETR 1", Do: pop3test.Err, Text: "Server unavailable. 21"}, pop3test.Fault{At: "RETR 1", Do: pop3test.Drop, After: pop3test.AfterStatus})
				polls := 1
				for ; err != nil; polls++ {
					if polls > plan.MaxFailures+1 {
						t.Fatalf("not set aside: %v", err)
					}
					_, err = h.poll()
				}
				if got := h.known()[fmt.Sprint("u", bad)].Failures; got != plan.MaxFailures {
					t.Errorf("%d failures", got)
				}
			})
		}
	}
}

// A server that goes down refuses everything and closes the connection.
func TestServerThatGoesDownDuringAPollSetsNothingAside(t *testing.T) {
	h := newFixture(t, 3, refusedAndClosed("RETR"))
	for range 2 * plan.MaxFailures {
		if _, err := h.poll(); err == nil {
			t.Error("no error")
		}
	}
	h.server.SetFaults()
	h.mustPoll()
	h.delivered(1, 2, 3)
}

// Each session ends at a refused message, so none of those behind it is given. After some days
// that is no trouble of the server any more, but of the messages.
func TestMessagesWhoseRefusalsCloseTheConnectionAreSetAsideInTheEnd(t *testing.T) {
	for mode, p := range modes {
		for _, closes := range []bool{true, false} {
			for _, bad := range [][]int{{5}, {4, 5}, {1, 5}, {1, 2}, {2, 4}, {1, 2, 3, 4, 5}} {
				t.Run(fmt.Sprint(mode, ", closes: ", closes, ", ", bad), func(t *testing.T) {
					t.Parallel()
					h := newFixture(t, 5, nil)
					h.options.Pipelining = p
					c := h.clock()
					var f []pop3test.Fault
					for _, n := range bad {
						at := fmt.Sprint("RETR ", n)
						f = append(f, pop3test.Fault{At: at, Do: pop3test.Err, Text: "cannot convert"})
						if closes {
							f = append(f, pop3test.Fault{At: at, Do: pop3test.Drop, After: pop3test.AfterStatus})
						}
					}
					h.server.SetFaults(f...)
					good := slices.DeleteFunc(upTo(5), func(n int) bool { return slices.Contains(bad, n) })
					for hour := 0; hour < 8*24; hour += 2 {
						h.poll()
						if hour == 4 {
							h.delivered(good...)
						}
						c.now = c.now.Add(2 * time.Hour)
					}
					for id, r := range h.known() {
						isBad := slices.ContainsFunc(bad, func(n int) bool { return id == fmt.Sprint("u", n) })
						if isBad != (r.Failures >= plan.MaxFailures) || isBad == r.Seen() {
							t.Errorf("%s: %+v", id, r)
						}
					}
					h.drop.Add(message(6))
					h.poll()
					h.delivered(append(good, 6)...)
					h.server.SetFaults()
					for range 8 {
						c.now = c.now.Add(24 * time.Hour)
						h.poll()
					}
					h.delivered(upTo(6)...)
				})
			}
		}
	}
}

func TestRefusedDELEThatClosesTheConnectionHoldsUpNoOther(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		for bad := 1; bad <= 3; bad++ {
			t.Run(fmt.Sprint(name, ", message ", bad), func(t *testing.T) {
				h := newFixture(t, 3, refusedAndClosed(fmt.Sprint("DELE ", bad)))
				h.options.Pipelining = p
				h.account.Policy.Delete = true
				c := h.clock()
				for range 2 {
					h.poll()
					h.delivered(1, 2, 3)
					h.server.SetFaults(pop3test.Fault{At: "DELE 1", Do: pop3test.Err}, pop3test.Fault{At: "DELE 1", Do: pop3test.Drop, After: pop3test.AfterStatus})
				}
				h.onServer(fmt.Sprint("u", bad))
				h.server.SetFaults()
				c.now = c.now.Add(24 * time.Hour)
				h.mustPoll()
				h.delivered(1, 2, 3)
				h.onServer()
			})
		}
	}
}

// The header block that the server does not show is that of a delivered message, which
// is looked at once a day.
func TestRefusedCommandThatClosesTheConnectionIsDoneWithout(t *testing.T) {
	for _, at := range []string{"TOP 1", "TOP 2", "LIST"} {
		for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
			t.Run(at+", "+name, func(t *testing.T) {
				h := newFixture(t, 2, nil)
				h.options.Pipelining = p
				c := h.clock()
				h.mustPoll()
				c.now = c.now.Add(25 * time.Hour)
				refusedAndClosed(at)(h.server)
				h.server.SetFaults(h.server.Faults...)
				h.drop.Add(message(3))
				if r := h.mustPoll(); r.Delivered != 1 {
					t.Errorf("%+v", r)
				}
				h.delivered(1, 2, 3)
				for id, r := range h.known() {
					if !r.Seen() || r.Failures > 0 {
						t.Errorf("%s: %+v", id, r)
					}
				}
			})
		}
	}
}

func TestRefusedUIDLThatClosesTheConnectionIsNamed(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 2, refusedAndClosed("UIDL"))
			h.options.Pipelining = p
			_, err := h.poll()
			class(t, err, fetch.Temporary)
			if err == nil || !strings.Contains(err.Error(), `UIDL: server said "-ERR Server unavailable. 21", and closed the connection`) {
				t.Errorf("%v", err)
			}
		})
	}
}
