package incident_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
	"popfetch/internal/incident"
	"popfetch/state"
)

// account wraps reasons as a poll does.
func account(errs ...error) error { return &fetch.AccountError{Account: "work", Errs: errs} }

func message(uid string) error {
	return account(&fetch.MessageError{Num: 1, UID: uid, Err: &deliver.Error{Scope: deliver.Message, Err: errors.New("refused")}})
}

var (
	network  = account(errors.New("no route to host"))
	password = account(&pop3.AuthError{Err: errors.New("no")})
	protocol = account(&pop3.ProtocolError{})
	session  = account(&pop3.AuthError{Err: errors.New("no (session 4711)")})
	other    = account(&pop3.AuthError{Err: errors.New("no (session 4712)")})
	blocked  = account(&pop3.AuthError{Err: errors.New("the account is blocked")})
)

// told polls at an interval and returns what the user is told, with the number of the poll.
func told(t *testing.T, interval time.Duration, polls ...error) (notices []string, open *state.Incident) {
	t.Helper()
	now := time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC)
	for n, err := range polls {
		var notice incident.Notice
		if open, notice = incident.After(open, fetch.Report{Account: "work", Err: err}, time.Time{}, now); notice != incident.Nothing {
			notices = append(notices, fmt.Sprint(n+1, " ", notice))
		}
		now = now.Add(interval)
	}
	return notices, open
}

func TestOutageOfANightIsToldOfTwice(t *testing.T) {
	polls := append(slices.Repeat([]error{network}, 100), nil, nil)
	polls[50] = account(errors.New("connection refused")) // other words for the same outage
	if got, open := told(t, 5*time.Minute, polls...); !slices.Equal(got, []string{"1 failed", "101 recovered"}) || open != nil {
		t.Errorf("%q, %+v", got, open)
	}
}

func TestFailureThatLastsIsToldOfOnceADay(t *testing.T) {
	got, open := told(t, time.Hour, slices.Repeat([]error{password}, 60)...)
	if !slices.Equal(got, []string{"1 failed", "25 continues", "49 continues"}) {
		t.Errorf("%q", got)
	}
	if open.Polls != 60 || open.Failures != 60 || open.Last.Sub(open.Since) != 59*time.Hour || !strings.Contains(open.Error, "work") {
		t.Errorf("%+v", open)
	}
}

func TestFailureOfAnotherClassIsToldOfAtOnce(t *testing.T) {
	got, _ := told(t, time.Minute, network, password, network, password, protocol, network, nil)
	if !slices.Equal(got, []string{"1 failed", "2 failed", "5 failed", "7 recovered"}) {
		t.Errorf("%q", got)
	}
}

// A server that keeps its mail fails at each poll, for ever: that must not hide an outage.
func TestOutageBehindAFailureOfMessagesAloneIsToldOf(t *testing.T) {
	kept := account(&fetch.UndeletedError{Messages: 1, Err: errors.New("no")})
	got, _ := told(t, time.Minute, kept, kept, network, network, kept, nil)
	if !slices.Equal(got, []string{"1 failed", "3 failed"}) {
		t.Errorf("%q", got)
	}
}

func TestOtherWordsAreNewsUnlessTheyAreTemporary(t *testing.T) {
	got, _ := told(t, time.Minute, session, other, blocked, blocked)
	if !slices.Equal(got, []string{"1 failed", "3 failed"}) {
		t.Errorf("%q", got)
	}
}

func TestEachMessageThatFailsIsToldOfOnce(t *testing.T) {
	got, _ := told(t, time.Minute, message("a"), message("a"), message("b"), message("a"), nil, message("a"))
	if !slices.Equal(got, []string{"1 failed", "3 failed", "6 failed"}) {
		t.Errorf("%q", got)
	}
}

func TestStopIsNoFailureAndEndsNone(t *testing.T) {
	canceled := account(fmt.Errorf("stopped: %w", context.Canceled))
	if got, open := told(t, time.Minute, canceled, network, canceled, network, nil); !slices.Equal(got, []string{"2 failed", "5 recovered"}) || open != nil {
		t.Errorf("%q, %+v", got, open)
	}
}

func TestClockThatIsSetBackDoesNotSilenceAFailure(t *testing.T) {
	now := time.Now()
	open, _ := incident.After(nil, fetch.Report{Err: network}, time.Time{}, now)
	if _, notice := incident.After(open, fetch.Report{Err: network}, time.Time{}, now.AddDate(-1, 0, 0)); notice != incident.Continues {
		t.Errorf("%v", notice)
	}
}

func TestFailureAfterAChangeOfTheConfigurationIsNews(t *testing.T) {
	now := time.Now()
	open, _ := incident.After(nil, fetch.Report{Err: network}, now.Add(-time.Hour), now)
	later := now.Add(time.Minute)
	if _, notice := incident.After(open, fetch.Report{Err: network}, now, later); notice != incident.Failed {
		t.Errorf("after a change: %v", notice)
	}
	if _, notice := incident.After(open, fetch.Report{Err: network}, now.Add(-time.Hour), later); notice != incident.Nothing {
		t.Errorf("without a change: %v", notice)
	}
}

func TestMessageThatIsSetAsideIsToldOf(t *testing.T) {
	aside := account(&fetch.MessageError{Num: 1, UID: "a", Err: &settle.AsideError{Err: errors.New("refused"), Times: 5}})
	got, _ := told(t, time.Minute, message("a"), message("a"), aside, message("a"))
	if !slices.Equal(got, []string{"1 failed", "3 failed"}) {
		t.Errorf("%q", got)
	}
}

func TestIncidentIsBounded(t *testing.T) {
	var open *state.Incident
	for i := range 1000 {
		var errs []error
		for j := range 100 {
			errs = append(errs, &fetch.MessageError{UID: fmt.Sprint(i, j, strings.Repeat("\xff", 5000)), Err: errors.New(strings.Repeat("x", 1<<16))})
		}
		open, _ = incident.After(open, fetch.Report{Err: account(errs...)}, time.Time{}, time.Now())
	}
	size := len(open.Error)
	for _, id := range open.Messages {
		size += len(id)
	}
	if size > 200_000 || len(open.Messages) > 50 {
		t.Errorf("%d octets, %d messages", size, len(open.Messages))
	}
}

// Two configurations that share a state file may both have the maildrop.
func TestOlderConfigurationWithTheSameMaildropIsNoChange(t *testing.T) {
	now := time.Date(2026, 11, 26, 22, 0, 0, 0, time.UTC)
	older, newer := now.Add(-time.Hour), now.Add(-time.Minute)
	var open *state.Incident
	var notices []incident.Notice
	for n, changed := range []time.Time{older, newer, older, newer, older} {
		var notice incident.Notice
		open, notice = incident.After(open, fetch.Report{Err: network}, changed, now.Add(time.Duration(n)*time.Minute))
		notices = append(notices, notice)
	}
	if want := []incident.Notice{incident.Failed, incident.Failed, incident.Nothing, incident.Nothing, incident.Nothing}; !slices.Equal(notices, want) {
		t.Errorf("the user is told %v, want %v", notices, want)
	}
}
