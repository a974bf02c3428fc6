package mailbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
)

// stamped is a message with the Received field of popfetch.
func stamped(id, text string) string {
	s := deliver.Stamp{Host: "desk.example.net", Version: "1"}
	return s.Received(deliver.Meta{ID: id, Account: "work", User: "me@example.org", Host: "pop.example.org", Protocol: "POP3S", Time: time.Unix(1e9, 0)}) + text
}

// prepared takes messages up to Prepare and returns their intents.
func prepared(t *testing.T, d *Mailbox, ids []string, texts ...string) ([]deliver.Staged, []deliver.Intent) {
	t.Helper()
	var group []deliver.Staged
	var intents []deliver.Intent
	for i, text := range texts {
		s, err := d.Stage(t.Context(), deliver.Meta{ID: ids[i], Time: time.Unix(1e9, 0)}, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Abort() })
		group = append(group, s)
	}
	if errs := d.Prepare(t.Context(), group); errs != nil {
		t.Fatal(errs)
	}
	for _, s := range group {
		intents = append(intents, s.Intent())
	}
	return group, intents
}

func outcomes(t *testing.T, d *Mailbox, intents []deliver.Intent) (all []deliver.Outcome) {
	t.Helper()
	for _, in := range intents {
		o, err := d.Recover(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// A group of which some messages have arrived before the kill.
func TestRecoverFindsWhatHasArrived(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	ids := []string{"aa01", "aa02", "aa03"}
	texts := []string{stamped(ids[0], "Subject: x\r\n\r\nsame"), stamped(ids[1], "Subject: x\r\n\r\nsame"), stamped(ids[2], "Subject: x\r\n\r\nsame")}
	group, intents := prepared(t, d, ids, texts...)
	if errs := d.Publish(t.Context(), []deliver.Staged{group[0], group[2]}); errs != nil {
		t.Fatal(errs)
	}
	got := outcomes(t, r.mailbox(), intents)
	if want := []deliver.Outcome{deliver.Published, deliver.Again, deliver.Published}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if r.logins > 3 {
		t.Errorf("%d logins to recover a group", r.logins-1)
	}
}

// Without the stamp nothing tells copies of a message apart: they are counted. Those that
// were there before do not count.
func TestIdenticalMessagesAreCounted(t *testing.T) {
	const text = "Message-ID: <a@b>\r\n\r\nsame"
	for arrived := range 4 {
		r := newReceiver(t)
		d := r.mailbox()
		if errs := deliverAll(t, d, text, text); errs != nil {
			t.Fatal(errs)
		}
		group, intents := prepared(t, d, []string{"1", "2", "3"}, text, text, text)
		if arrived > 0 {
			if errs := d.Publish(t.Context(), group[:arrived]); errs != nil {
				t.Fatal(errs)
			}
		}
		published := 0
		for _, o := range outcomes(t, r.mailbox(), intents) {
			if o == deliver.Published {
				published++
			}
		}
		if published != arrived {
			t.Errorf("%d of three have arrived, and %d count as delivered", arrived, published)
		}
	}
}

// A server that adds fields, folds others and changes the size.
func TestServerThatChangesWhatItStores(t *testing.T) {
	for _, withStamp := range []bool{true, false} {
		r := newReceiver(t)
		r.stores = func(text string) string {
			return "X-Gm-Spam: 0\r\n" + strings.Replace(text, "Subject: ", "Subject:\r\n ", 1) + "\r\n-- \r\nfooter\r\n"
		}
		d := r.mailbox()
		d.Identify = func(header []byte) (sum [16]byte, ok bool) {
			copy(sum[:], messageID(header))
			return sum, messageID(header) != ""
		}
		text := "Message-ID: <a@b>\r\nSubject: x\r\n\r\nbody"
		if withStamp {
			text = stamped("aa01", text)
		}
		group, intents := prepared(t, d, []string{"aa01"}, text)
		again := r.mailbox()
		again.Identify = d.Identify
		if got := outcomes(t, again, intents); got[0] != deliver.Again {
			t.Errorf("stamp %v: before it is stored: %v", withStamp, got)
		}
		if errs := d.Publish(t.Context(), group); errs != nil {
			t.Fatal(errs)
		}
		again = r.mailbox()
		again.Identify = d.Identify
		if got := outcomes(t, again, intents); got[0] != deliver.Published {
			t.Errorf("stamp %v: after it is stored: %v", withStamp, got)
		}
	}
}

// Gmail stores a message that it has already only once, and tells the UID of the old one.
func TestServerThatStoresNoMessageTwice(t *testing.T) {
	r := newReceiver(t)
	r.dedupes = true
	d := r.mailbox()
	text := func(id string) string { return stamped(id, "Message-ID: <a@b>\r\n\r\nbody") }
	if errs := deliverAll(t, d, text("aa01"), "Message-ID: <other@b>\r\n\r\n"); errs != nil {
		t.Fatal(errs)
	}
	group, intents := prepared(t, d, []string{"aa02"}, text("aa02"))
	if errs := d.Publish(t.Context(), group); errs != nil {
		t.Fatal(errs)
	}
	// After a kill right behind that it is not found, stored again, and there once still.
	if got := outcomes(t, r.mailbox(), intents); got[0] != deliver.Again {
		t.Errorf("got %v", got)
	}
	if errs := deliverAll(t, r.mailbox(), text("aa02")); errs != nil {
		t.Fatal(errs)
	}
	if got := r.delivered("INBOX"); len(got) != 2 {
		t.Errorf("%q arrived", got)
	}
}

// A folder that was made anew has other UIDs: the message is looked for by its Message-ID.
func TestFolderThatWasMadeAnew(t *testing.T) {
	for _, id := range []string{"Message-ID: <a@b>\r\n", ""} {
		r := newReceiver(t)
		d := r.mailbox()
		group, intents := prepared(t, d, []string{"aa01"}, stamped("aa01", id+"Subject: x\r\n\r\nbody"))
		if errs := d.Publish(t.Context(), group); errs != nil {
			t.Fatal(errs)
		}
		r.Lock()
		r.boxes["INBOX"].validity++
		r.Unlock()
		if got := outcomes(t, r.mailbox(), intents); got[0] != deliver.Published {
			t.Errorf("%q: %v", id, got)
		}
		r.Lock()
		r.boxes["INBOX"] = &box{validity: 99, next: 1}
		r.Unlock()
		if got := outcomes(t, r.mailbox(), intents); got[0] != deliver.Again {
			t.Errorf("%q: in an empty folder: %v", id, got)
		}
		r.Lock()
		delete(r.boxes, "INBOX")
		r.Unlock()
		if got := outcomes(t, r.mailbox(), intents); got[0] != deliver.Again {
			t.Errorf("%q: without the folder: %v", id, got)
		}
	}
}

// A server goes on with what it has received after the connection is gone.
func TestMessageThatIsStoredAfterTheKill(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	group, intents := prepared(t, d, []string{"aa01"}, stamped("aa01", "Subject: x\r\n\r\n"))
	looks := 0
	r.AnswersBy(func(step string) string {
		if step != "FETCH" {
			return ""
		}
		if looks++; looks == 3 {
			r.Unlock()
			defer r.Lock()
			late := make(chan []error)
			go func() { late <- d.Publish(t.Context(), group) }()
			if errs := <-late; errs != nil {
				t.Error(errs)
			}
		}
		return ""
	})
	other := r.mailbox()
	other.quiet = time.Minute
	if got := outcomes(t, other, intents); got[0] != deliver.Published || looks < 4 {
		t.Errorf("%v after %d looks", got, looks)
	}
}

// Nobody knows what became of the message while the server cannot be asked.
func TestRecoverWaitsForTheServer(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	_, intents := prepared(t, d, []string{"aa01"}, "x")
	for _, x := range []struct{ step, reply string }{
		{"connect", cut}, {"LOGIN", "NO [UNAVAILABLE] later"}, {"FETCH", cut}, {"FETCH", "NO [UNAVAILABLE] later"},
		{"EXAMINE", "NO Server busy"}, {"EXAMINE", "BAD User is authenticated but not connected."},
	} {
		r.Answers(x.step, x.reply)
		_, err := r.mailbox().Recover(t.Context(), intents[0])
		var e *deliver.Error
		if !errors.As(err, &e) || e.Scope != deliver.Place || !e.Temporary {
			t.Errorf("%s %s: %v", x.step, x.reply, err)
		}
	}
	other := r.mailbox()
	other.User = "somebody else"
	if got, err := other.Recover(t.Context(), intents[0]); got != deliver.Again || err != nil {
		t.Errorf("with another mailbox in the configuration: %v, %v", got, err)
	}
	if _, err := d.Recover(t.Context(), deliver.Intent{Kind: Kind, Note: "{"}); err == nil {
		t.Error("a note that cannot be read has an outcome")
	}
}

// A folder that the server does not list any more has none of the messages, whatever words
// it finds for that.
func TestRecoverFindsNothingInFolderThatIsGone(t *testing.T) {
	for _, refusal := range []string{"NO [NONEXISTENT] no such folder", "NO Unable to open this mailbox."} {
		r := newReceiver(t)
		_, intents := prepared(t, r.mailbox(), []string{"aa01"}, "x")
		r.Lock()
		delete(r.boxes, "INBOX")
		r.Unlock()
		r.Answers("EXAMINE", refusal)
		if got := outcomes(t, r.mailbox(), intents); got[0] != deliver.Again {
			t.Errorf("after %s: %v", refusal, got)
		}
	}
}

// A kill counts against the message that was in hand, not against those behind it.
func TestKillCountsAgainstTheMessageInHand(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	group, intents := prepared(t, d, []string{"aa01", "aa02", "aa03"}, stamped("aa01", "\r\n"), stamped("aa02", "\r\n"), stamped("aa03", "\r\n"))
	for _, want := range [][]deliver.Outcome{{deliver.Again, deliver.Behind, deliver.Behind}, {deliver.Published, deliver.Again, deliver.Behind}} {
		if got := outcomes(t, r.mailbox(), intents); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if errs := d.Publish(t.Context(), group[:1]); errs != nil && want[0] == deliver.Again {
			t.Fatal(errs)
		}
	}
}

// The messages of a group that go into one folder say nothing about those for another.
func TestKillCountsAgainstTheMessageInHandOfEachFolder(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	d.SpamFolder = "Spam"
	_, intents := prepared(t, d, []string{"aa01", "aa02", "aa03"}, stamped("aa01", "X-Spam: yes\r\n\r\n"), stamped("aa02", "\r\n"), stamped("aa03", "\r\n"))
	if got, want := outcomes(t, r.mailbox(), intents), []deliver.Outcome{deliver.Again, deliver.Again, deliver.Behind}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A folder that was made for the group has the UIDs that EXAMINE tells, where STATUS tells
// none. Otherwise a message that was in another folder of this name would count as this one.
func TestNewFolderOfAServerWithATerseStatusIsRecovered(t *testing.T) {
	r := newReceiver(t)
	r.terse = true
	d := r.mailbox()
	d.Folder = "Work"
	group, intents := prepared(t, d, []string{"aa01"}, "Message-ID: <a@b>\r\n\r\nsame")
	if got := outcomes(t, r.mailbox(), intents); !slices.Equal(got, []deliver.Outcome{deliver.Again}) || len(r.commands("UID SEARCH")) > 0 {
		t.Errorf("got %v after %q", got, r.lines)
	}
	if errs := d.Publish(t.Context(), group); errs != nil {
		t.Fatal(errs)
	}
	if got := outcomes(t, r.mailbox(), intents); !slices.Equal(got, []deliver.Outcome{deliver.Published}) || len(r.commands("UID SEARCH")) > 0 {
		t.Errorf("got %v after %q", got, r.lines)
	}
}
