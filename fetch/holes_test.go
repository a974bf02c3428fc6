package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// The destination refuses a group after its intents are recorded, and the state
// fails before it records that: after a restart the intents are still open, and the
// staged files must be there to finish them.
func TestRefusedGroupIsKeptUntilItsIntentsAreClosed(t *testing.T) {
	h := newHouse(t, 3, nil)
	h.through(picky{publish: func(g []deliver.Staged) []error { return each(g, refusal(deliver.Message, true)) }})
	h.account.Maildrop = &forgetful{Maildrop: h.account.Maildrop, commits: 1, err: errDisk}
	_, err := h.poll()
	class(t, err, fetch.State)
	h.restart()
	h.mustPoll()
	h.delivered(1, 2, 3)
}

// A message has another size than announced and the user stops popfetch; the reply
// to the NOOP that is to show whether the session is in step makes no sense.
func TestGarbageAfterAMessageOfTheWrongSizeDeliversNothing(t *testing.T) {
	h := newHouse(t, 3, faults(
		pop3test.Fault{At: "", Session: 1, Do: pop3test.WrongOctets, N: 10},
		pop3test.Fault{At: "NOOP", Session: 1, Do: pop3test.Raw, Text: "garbage\r\n"},
	))
	h.account.Policy.Delete = true
	ctx, stop := context.WithCancel(t.Context())
	h.watch(watched{body: func(_ int, r io.Reader) io.Reader { return &atRead{r, stop} }})
	if _, err := h.account.Poll(ctx); err == nil {
		t.Error("no error")
	}
	h.server.Wait()
	h.delivered()
	h.commands(1, []string{"RETR", "NOOP", "DELE", "QUIT"}, "RETR 1", "NOOP")
	h.server.SetFaults()
	h.mustPoll()
	h.delivered(1, 2, 3)
}

// Neither LIST nor the reply to RETR tells the size, and an unstuffed dot line ends
// the message early: nothing shows that it is half a message but what follows.
func TestHalfAMessageOfUnknownSizeIsNotDelivered(t *testing.T) {
	h := newHouse(t, 1, faults(
		pop3test.Fault{At: "LIST", Do: pop3test.Raw, Text: "+OK\r\n.\r\n"},
		pop3test.Fault{At: "RETR 1", Session: 1, Do: pop3test.Edit, Edit: func(reply []byte) []byte {
			_, message, _ := bytes.Cut(reply, []byte("\r\n"))
			head, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
			return octetsOf("+OK\r\n", head, "\r\n\r\n.\r\n", body)
		}},
	))
	h.account.Policy.Delete = true
	_, err := h.poll()
	class(t, err, fetch.Protocol)
	h.delivered()
	h.commands(1, []string{"DELE", "QUIT"})
	h.mustPoll()
	h.delivered(1)
}

// octetsOf joins strings and octets.
func octetsOf(parts ...any) []byte {
	var all []byte
	for _, part := range parts {
		all = fmt.Appendf(all, "%s", part)
	}
	return all
}

// Too few messages of a renumbered maildrop are recognised: the others would count
// as new mail, so the account is held and its records stay as they are.
func TestRenumberedMaildropOfWhichHalfIsShownIsHeld(t *testing.T) {
	h := newHouse(t, 25, nil)
	h.mustPoll()
	before := h.mail("new")
	f := []pop3test.Fault{{At: "", Do: pop3test.RenumberUID}}
	for n := range 12 {
		f = append(f, pop3test.Fault{At: fmt.Sprintf("TOP %d 0", n+1), Do: pop3test.Err, Text: "no"})
	}
	h.server.SetFaults(f...)
	h.untouched(func() {
		_, err := h.poll()
		var renumbered *fetch.RenumberedError
		if !errors.As(err, &renumbered) || renumbered.Recognised != 13 {
			t.Errorf("%v", err)
		}
	})
	h.deliveredTexts(before...)
}

// A message that the server refuses to delete is not recorded as deleted: it would
// be looked at, or fetched, as if it had come back.
func TestRefusedDeleteIsNotRecordedAsDeleted(t *testing.T) {
	h := newHouse(t, 3, faults(pop3test.Fault{At: "DELE 2", Session: 1, Do: pop3test.Err, Text: "no"}))
	h.account.Policy.Delete = true
	h.mustPoll()
	for id, want := range map[string]bool{"u1": true, "u2": false, "u3": true} {
		if got := h.known()[id]; got.Deleted != want || !got.Seen() {
			t.Errorf("%s: %+v", id, got)
		}
	}
	h.mustPoll()
	h.commands(2, []string{"TOP", "RETR", "DELE"}, "DELE 1")
	h.onServer()
}

// Two messages share a unique-id and come back after QUIT: which record is whose is
// not sure any more, so a later session deletes neither.
func TestTwinsThatComeBackAreNotDeletedByALaterSession(t *testing.T) {
	one, two := message(1), message(22)
	one.UID, two.UID = "same", "same"
	h := newHouse(t, 0, faults(pop3test.Fault{At: "QUIT", Session: 1, Do: pop3test.SkipUpdate, N: 0}))
	h.account.Policy.Delete = true
	h.drop.Add(one, two)
	h.mustPoll()
	h.onServer("same", "same")
	h.mustPoll()
	h.onServer("same", "same")
	h.commands(2, []string{"RETR", "DELE"})
	h.delivered(1, 22)
}

// The connection ends while a message comes that has failed before, but because the
// user stops popfetch: that says nothing about the message.
func TestStopDuringAMessageDoesNotCountAgainstIt(t *testing.T) {
	for name, p := range map[string]pop3.Pipelining{"one by one": pop3.PipelineOff, "pipelined": pop3.PipelineAuto} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 1, faults(pop3test.Fault{At: "RETR 1", Do: pop3test.Drop, After: 40}))
			h.options.Pipelining = p
			before := state.Record{Failures: plan.MaxFailures - 1, Reason: "cut before"}
			h.put("u1", before)
			ctx, stop := context.WithCancel(t.Context())
			h.watch(watched{body: func(_ int, r io.Reader) io.Reader { return &atRead{r, stop} }})
			h.account.Poll(ctx)
			h.server.Wait()
			if got := h.known()["u1"]; got != before {
				t.Errorf("%+v, want %+v", got, before)
			}
		})
	}
}
