package mailbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
)

// sharing is the capabilities of a server that takes several messages by one command.
const sharing = "IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND"

// letters returns messages that differ. The subject of the bad one is "bad".
func letters(n, bad int) (texts []string) {
	for i := range n {
		subject := fmt.Sprint(i)
		if i == bad {
			subject = "bad"
		}
		texts = append(texts, "Subject: "+subject+"\r\n\r\nbody\r\n")
	}
	return texts
}

func TestMessagesForOneFolderShareACommand(t *testing.T) {
	r := newReceiver(t)
	r.caps = sharing
	d := r.mailbox()
	defer d.Close()
	d.Flags = []string{`\Seen`, "$New"}
	d.SpamFolder = "Spam"
	large := "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcd\r\n", 20<<10)
	texts := append(letters(60, -1), "X-Spam: yes\r\n\r\n", large, "Subject: last\r\n\r\n")
	if errs := deliverAll(t, d, texts...); errs != nil {
		t.Fatal(errs)
	}
	// 50, the other 10, one for another folder, one that is too large, one behind it.
	if got := r.commands("APPEND"); len(got) != 5 {
		t.Errorf("%d commands: %q", len(got), got)
	}
	if got, want := r.delivered("INBOX"), slices.Delete(slices.Clone(texts), 60, 61); !slices.Equal(got, want) {
		t.Errorf("%d messages arrived, want %d in their order", len(got), len(want))
	}
	if got := r.delivered("Spam"); len(got) != 1 {
		t.Errorf("%q arrived as spam", got)
	}
	for _, m := range r.boxes["INBOX"].messages {
		if m.flags != `\Seen $New` || m.date != " 9-Sep-2001 01:46:40 +0000" {
			t.Errorf("flags %q, date %q", m.flags, m.date)
		}
	}
	if errs := deliverAll(t, d, "Subject: one more\r\n\r\n"); errs != nil {
		t.Fatal(errs)
	}
	if got := r.commands("STATUS"); len(got) != 3 { // one each for INBOX, and two for the folder that was made
		t.Errorf("the UIDs in the replies were not understood: %q", got)
	}
}

// One NO refuses all messages of a command. Only the bad one counts, and none comes twice,
// not even if the server has stored those before the bad one against the rules.
func TestRefusalOfACommandCountsAgainstTheBadMessageAlone(t *testing.T) {
	for _, piecemeal := range []bool{false, true} {
		for bad := range 5 {
			r := newReceiver(t)
			r.caps, r.piecemeal, r.virus = sharing, piecemeal, "Subject: bad"
			d := r.mailbox()
			d.quiet = time.Hour // nobody waits for messages to arrive after all replies have come
			texts := letters(5, bad)
			errs := deliverAll(t, d, texts...)
			d.Close()
			for i := range texts {
				var e *deliver.Error
				if i == bad && (!errors.As(errs[i], &e) || e.Scope != deliver.Message || e.Temporary || !strings.Contains(e.Error(), "virus")) || i != bad && errs[i] != nil {
					t.Errorf("piecemeal %v, bad %d: message %d: %v", piecemeal, bad, i, errs[i])
				}
			}
			got := r.delivered("INBOX")
			slices.Sort(got)
			if want := slices.Delete(slices.Clone(texts), bad, bad+1); !slices.Equal(got, want) {
				t.Errorf("piecemeal %v, bad %d: %q arrived", piecemeal, bad, got)
			}
		}
	}
}

func TestRefusalThatPassesOfACommandDeliversNothing(t *testing.T) {
	r := newReceiver(t)
	r.caps = sharing
	d := r.mailbox()
	defer d.Close()
	r.Answers("APPEND", "NO [OVERQUOTA] full")
	errs := deliverAll(t, d, letters(3, -1)...)
	for _, err := range errs {
		var e *deliver.Error
		if !errors.As(err, &e) || !e.Temporary || e.Scope != deliver.Message || e.Hint == "" {
			t.Errorf("got %v", err)
		}
	}
	if got := r.delivered("INBOX"); len(errs) != 3 || len(got) > 0 {
		t.Errorf("%v, %q arrived", errs, got)
	}
}

// A server that announces MULTIAPPEND and does not understand it gets one message at a time.
func TestServerThatDoesNotUnderstandSeveralMessagesGetsThemOneByOne(t *testing.T) {
	r := newReceiver(t)
	r.caps = sharing
	d := r.mailbox()
	defer d.Close()
	n := 0
	r.AnswersBy(func(step string) string {
		if step == "APPEND" {
			if n++; n == 1 {
				return "BAD what"
			}
		}
		return ""
	})
	texts := letters(3, -1)
	if errs := deliverAll(t, d, texts...); errs != nil {
		t.Fatal(errs)
	}
	if got := r.delivered("INBOX"); !slices.Equal(got, texts) || n != 4 {
		t.Errorf("%q arrived by %d commands", got, n)
	}
}

// So that whatever is wrong with it is about this one.
func TestMessageThatWasTriedBeforeSharesNoCommand(t *testing.T) {
	r := newReceiver(t)
	r.caps = sharing
	d := r.mailbox()
	defer d.Close()
	var group []deliver.Staged
	for i, text := range letters(6, -1) {
		s, err := d.Stage(t.Context(), deliver.Meta{Attempt: 1 + i/3%2}, strings.NewReader(text)) // 1, 1, 1, 2, 2, 2
		if err != nil {
			t.Fatal(err)
		}
		group = append(group, s)
	}
	if errs := d.Prepare(t.Context(), group); errs != nil {
		t.Fatal(errs)
	}
	if errs := d.Publish(t.Context(), group); errs != nil {
		t.Fatal(errs)
	}
	if got := r.commands("APPEND"); len(got) != 4 || len(r.delivered("INBOX")) != 6 {
		t.Errorf("%q", got)
	}
}

// After a kill or a cut in the middle of a command nobody knows whether the server has stored
// its messages: all of them, none, or, against the rules, the first ones. Each comes once.
func TestCutInTheMiddleOfASharedCommandRepeatsNothing(t *testing.T) {
	for _, piecemeal := range []bool{false, true} {
		for _, step := range []string{"text", "stored"} {
			for n := 1; n <= 5; n++ {
				r := newReceiver(t)
				r.caps, r.piecemeal = sharing, piecemeal
				d := r.mailbox()
				count := 0
				r.AnswersBy(func(s string) string {
					if s == step {
						if count++; count == n {
							return cut
						}
					}
					return ""
				})
				texts := letters(5, -1)
				errs := deliverAll(t, d, texts...)
				d.Close()
				if got := r.delivered("INBOX"); errs != nil || !slices.Equal(got, texts) {
					t.Errorf("piecemeal %v, cut at %s %d: %v, %q arrived", piecemeal, step, n, errs, got)
				}
			}
		}
	}
}
