package relay

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"popfetch/deliver"
)

// attempt delivers text with what the attempt before has noted, and returns what is to be
// noted for the next one.
func attempt(t *testing.T, d *Relay, progress, text string) (string, error) {
	t.Helper()
	s, err := d.Stage(t.Context(), deliver.Meta{ID: "0123456789abcdef", User: "me", Progress: progress}, strings.NewReader(text))
	if err != nil {
		return "", err
	}
	defer s.Abort()
	err = errors.Join(d.Publish(t.Context(), []deliver.Staged{s})...)
	var e *deliver.Error
	if errors.As(err, &e) {
		return e.Progress, err
	}
	return "", err
}

// Those who have accepted a message do not get it again while another one refuses it, at
// whichever step.
func TestRecipientThatHasTheMessageDoesNotGetItAgain(t *testing.T) {
	for _, x := range []struct {
		smtp        bool
		step, reply string
		temporary   bool
	}{
		{false, "RCPT b", "452 4.2.2 full", true},
		{false, "RCPT b", "550 5.1.1 who?", false},
		{false, "stored b", "452 4.2.2 full", true},
		{false, "stored b", "550 5.7.1 no", false},
		{false, "stored b", cut, true},
		{true, "RCPT b", "452 4.2.2 full", true},
		{true, "RCPT b", "550 5.1.1 who?", false},
	} {
		r := newReceiver(t)
		r.smtp = x.smtp
		d := r.relay()
		d.Recipients = []string{"a", "b", "c"}
		const text = "Subject: x\r\n\r\ntext\r\n"
		r.Answers(x.step, x.reply)
		progress := ""
		for range 3 {
			var err error
			progress, err = attempt(t, d, progress, text)
			var e *deliver.Error
			if !errors.As(err, &e) || e.Scope != deliver.Message || e.Temporary != x.temporary || progress == "" {
				t.Errorf("%+v: %v, notes %q", x, err, progress)
			}
		}
		r.Answers("", "")
		if _, err := attempt(t, d, progress, text); err != nil {
			t.Errorf("%+v: %v", x, err)
		}
		want := map[string]int{"a": 1, "b": 1, "c": 1}
		if !maps.Equal(r.to, want) {
			t.Errorf("%+v: accepted %v, want %v", x, r.to, want)
		}
		d.Close()
	}
}

// A server may give the unique-id of a message to another one: what was noted does not
// count for that.
func TestNotedRecipientsCountForTheSameMessageOnly(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	defer d.Close()
	d.Recipients = []string{"a", "b"}
	r.Answers("RCPT b", "452 later")
	stamped := deliver.Stamp{Host: "h", Version: "1"}.Received(deliver.Meta{Host: "pop.example.org", Account: "work"})
	progress, _ := attempt(t, d, "", stamped+"Subject: x\r\n\r\n")
	r.Answers("", "")
	other := strings.Replace(stamped, "account work", "account play", 1) // another stamp is no other message
	if _, err := attempt(t, d, progress, other+"Subject: x\r\n\r\n"); err != nil || r.to["a"] != 1 || r.to["b"] != 1 {
		t.Errorf("%v: accepted %v", err, r.to)
	}
	if _, err := attempt(t, d, progress, "Subject: y\r\n\r\n"); err != nil || r.to["a"] != 2 {
		t.Errorf("another message: %v, accepted %v", err, r.to)
	}
	if _, err := attempt(t, d, "not JSON", "Subject: y\r\n\r\n"); err != nil || r.to["a"] != 3 {
		t.Errorf("notes of another destination: %v, accepted %v", err, r.to)
	}
}
