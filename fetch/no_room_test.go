package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// smallDisk is a destination with room for few octets at a time.
type smallDisk struct {
	deliver.Destination
	room  *int64
	told  bool // Room knows it
	errno syscall.Errno
}

func (d smallDisk) Room() (int64, bool) { return *d.room, d.told }

func (d smallDisk) Stage(ctx context.Context, m deliver.Meta, r io.Reader) (deliver.Staged, error) {
	octets, err := io.ReadAll(io.LimitReader(r, *d.room+1))
	if err != nil {
		return nil, err
	}
	if int64(len(octets)) > *d.room {
		return nil, &deliver.Error{Op: "write", Path: "mail", Scope: deliver.Room, Err: d.errno}
	}
	*d.room -= int64(len(octets))
	return d.Destination.Stage(ctx, m, bytes.NewReader(octets))
}

// onto delivers the mail of the account to a disk with so much room.
func (h *fixture) onto(d smallDisk) {
	h.account.Destination = func(ctx context.Context) (deliver.Destination, error) {
		m, err := h.maildir(ctx)
		d.Destination = m
		return d, err
	}
}

func longText(n int) string {
	return text(n) + strings.Repeat("This line makes the message big.\n", 10_000)
}

func TestMessageTooBigForTheDiskHoldsUpNoSmallOne(t *testing.T) {
	for name, d := range map[string]smallDisk{
		"full disk": {told: true, errno: syscall.ENOSPC}, "quota": {errno: syscall.EDQUOT}, "largest file": {errno: syscall.EFBIG},
	} {
		for how, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
			t.Run(name+", "+how, func(t *testing.T) {
				h := newFixture(t, 0, nil)
				h.options.Pipelining = p
				h.account.Policy.Delete = true
				h.drop.Add(message(1), pop3test.Message{UID: "u2", Raw: pop3test.Text(longText(2) + strings.Repeat("x\n", 5<<20))}, message(3), message(4))
				c := h.clock()
				room := int64(200_000)
				d.room = &room
				h.onto(d)
				r, err := h.poll()
				class(t, err, fetch.Delivery)
				if r.Delivered != 3 || r.Deleted != 3 || r.Failed != 1 {
					t.Errorf("%+v", r)
				}
				h.delivered(1, 3, 4)
				h.onServer("u2")
				if got := h.known()["u2"]; got.Failures != 0 || !strings.HasPrefix(got.Reason, plan.NoRoom) || got.Octets < 300_000 {
					t.Errorf("%+v", got)
				}
				if d.told {
					for range 3 {
						if r := h.mustPoll(); r.SetAside != 1 {
							t.Errorf("%+v", r)
						}
					}
					if n := h.drop.Retrieved("u2"); n != 1 {
						t.Errorf("downloaded %d times for nothing", n)
					}
				}
				room = 64 << 20
				if !d.told {
					if h.mustPoll(); h.drop.Retrieved("u2") != 1 {
						t.Error("downloaded again at once")
					}
					c.now = c.now.Add(4 * time.Minute)
				}
				h.mustPoll()
				h.deliveredTexts(text(1), longText(2)+strings.Repeat("x\n", 5<<20), text(3), text(4))
			})
		}
	}
}

// The smallest message no longer fits.
func TestFullDiskEndsThePollAndDownloadsNothingAgain(t *testing.T) {
	for how, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(how, func(t *testing.T) {
			const all = 200
			h := newFixture(t, 0, nil)
			h.options.Pipelining = p
			var texts []string
			for n := range all {
				texts = append(texts, text(n)+strings.Repeat("0123456789abcde\n", 1000))
				h.drop.Add(pop3test.Message{UID: fmt.Sprintf("u%d", n), Raw: pop3test.Text(texts[n])})
			}
			room := int64(50 * 17_200)
			h.onto(smallDisk{room: &room, told: true, errno: syscall.ENOSPC})
			for range 5 {
				_, err := h.poll()
				class(t, err, fetch.Delivery)
			}
			if got := len(h.mail("new")); got < 45 {
				t.Errorf("%d were delivered, although there was room for about 50", got)
			}
			if left := h.mail("tmp"); len(left) > 0 {
				t.Errorf("tmp/ has %d files", len(left))
			}
			most := 0
			for n := range all {
				most = max(most, h.drop.Retrieved(fmt.Sprintf("u%d", n)))
			}
			if most > 1 {
				t.Errorf("a message was downloaded %d times", most)
			}
			room = 1 << 30
			h.mustPoll()
			slices.Sort(texts)
			h.deliveredTexts(texts...)
		})
	}
}
