package relay

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/delivertest"
)

// sent is how a message arrives: with CRLF as its only line end.
func sent(wire string) string {
	text := strings.ReplaceAll(wire, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return strings.ReplaceAll(text, "\n", "\r\n")
}

func TestConformance(t *testing.T) {
	t.Run("LMTP", func(t *testing.T) { testConformance(t, false) })
	t.Run("SMTP", func(t *testing.T) { testConformance(t, true) })
}

func testConformance(t *testing.T, smtp bool) {
	delivertest.Run(t, func(t *testing.T) delivertest.Fixture {
		r := newReceiver(t)
		r.smtp = smtp
		spoolDir := t.TempDir()
		return delivertest.Fixture{
			Open: func() deliver.Destination {
				d := r.relay()
				d.Spool = spoolDir
				return d
			},
			Recover: func(ctx context.Context, in deliver.Intent) (deliver.Outcome, error) {
				return Recover(ctx, in, time.Now())
			},
			Faults: r.Faults(func(step string) bool {
				return step != "QUIT" && step != "body" && !strings.Contains(step, " ")
			}),
			Stored:    sent,
			Delivered: r.delivered,
			Leftovers: func() []string {
				files, err := os.ReadDir(spoolDir)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, f := range files {
					names = append(names, f.Name())
				}
				return names
			},
		}
	})
}

func TestOnePollIsOneConnection(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	for _, text := range []string{"a", "b", "c"} {
		if err := deliverOne(t, d, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.delivered(); len(got) != 3 || r.Connections() != 1 {
		t.Errorf("%q arrived, on %d connections", got, r.Connections())
	}
	if got := r.commands("LHLO"); !slices.Equal(got, []string{"LHLO client.example.org"}) {
		t.Errorf("sent %q", got)
	}
}

// A refusal delivers nothing, and the next message goes on.
func TestRefusalDeliversNothing(t *testing.T) {
	for _, x := range []struct {
		step, reply string
		scope       deliver.Scope
		temporary   bool
		says        string
	}{
		{"MAIL", "451 4.3.0 try again", deliver.Message, true, `MAIL FROM:<>: the server said 451 "4.3.0 try again"`},
		{"MAIL", "550 5.7.1 no", deliver.Message, false, `said 550 "5.7.1 no"`},
		{"MAIL", "530 5.7.0 log in", deliver.Place, false, "530"},
		{"MAIL", "421 4.3.2 closing", deliver.Message, true, "421"},
		{"RCPT", "450 4.2.0 busy", deliver.Message, true, "RCPT TO:<me@example.org>: the server said 450"},
		{"RCPT", "452 4.2.2 over quota", deliver.Message, true, "4.2.2 over quota"},
		{"RCPT", "550 5.1.1 who?", deliver.Place, false, "5.1.1 who?"},
		{"RCPT", "550 5.2.2 full", deliver.Message, false, "5.2.2 full"},
		{"RCPT", "550 no", deliver.Message, false, "550"},
		{"DATA", "452 no", deliver.Message, true, "DATA"},
		{"DATA", "554 no", deliver.Message, false, "DATA"},
		{".", "451 4.2.0 later", deliver.Message, true, `end of the message: the server said 451 "4.2.0 later"`},
		{".", "552 5.3.4 too big", deliver.Message, false, "5.3.4 too big"},
		{".", "554-5.6.0 odd\r\n554 5.6.0 text", deliver.Message, false, `"5.6.0 odd\ntext"`},
		{".", "354 what", deliver.Message, true, "354"},
		{".", "not a reply", deliver.Message, true, "end of the message"},
		{".", "421 4.3.2 closing", deliver.Message, true, "421"},
	} {
		t.Run(x.step+" "+x.reply, func(t *testing.T) {
			r := newReceiver(t)
			d := r.relay()
			defer d.Close()
			r.Answers(x.step, x.reply)
			err := deliverOne(t, d, "refused")
			var e *deliver.Error
			if !errors.As(err, &e) || e.Scope != x.scope || e.Temporary != x.temporary || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %#v: %v", e, err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("a line end of the server is in the error %q", err)
			}
			r.Answers("", "")
			if err := deliverOne(t, d, "accepted"); err != nil {
				t.Errorf("next message: %v", err)
			}
			if got := r.delivered(); !slices.Equal(got, []string{"accepted\r\n"}) {
				t.Errorf("%q arrived", got)
			}
		})
	}
}

func TestOtherRepliesOf2xxAreAcceptance(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	defer d.Close()
	r.Answers("stored", "251 2.1.5 will forward")
	if err := deliverOne(t, d, "x"); err != nil {
		t.Error(err)
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	r := newReceiver(t)
	for _, x := range []struct {
		step, reply, says string
		temporary         bool
	}{
		{"connect", "554 5.3.2 closed", `said 554 "5.3.2 closed"`, false},
		{"connect", "421 4.3.2 busy", "421", true},
		{"connect", cut, "closed the connection", true},
		{"connect", "* OK IMAP4rev1 ready", "greeting", true},
		{"LHLO", "502 5.5.1 EHLO please", "does not speak LMTP", false},
		{"LHLO", "550 5.7.1 not you", "not you", false},
		{"LHLO", cut, "closed the connection", true},
	} {
		r.Answers(x.step, x.reply)
		s, err := r.relay().Stage(t.Context(), deliver.Meta{}, failingReader{t})
		var e *deliver.Error
		if s != nil || !errors.As(err, &e) || e.Scope != deliver.Place || e.Temporary != x.temporary || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s %s: got %v", x.step, x.reply, err)
		}
	}
	r.Close()
	_, err := r.relay().Stage(t.Context(), deliver.Meta{}, failingReader{t})
	var e *deliver.Error
	if !errors.As(err, &e) || e.Scope != deliver.Place || !e.Temporary || e.Hint == "" {
		t.Errorf("without a server: %v", err)
	}
}

// failingReader is a message that must not be downloaded.
type failingReader struct{ t *testing.T }

func (f failingReader) Read([]byte) (int, error) {
	f.t.Error("a message was downloaded for a server that is not there")
	return 0, io.EOF
}

// A server may close a connection on which nothing happens.
func TestConnectionClosedBetweenMessagesIsReplaced(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	defer d.Close()
	if err := deliverOne(t, d, "first"); err != nil {
		t.Fatal(err)
	}
	r.CloseAll()
	if err := deliverOne(t, d, "second"); err != nil {
		t.Errorf("after the cut: %v", err)
	}
	if got := r.delivered(); !slices.Equal(got, []string{"first\r\n", "second\r\n"}) {
		t.Errorf("%q arrived", got)
	}
}

// A reply that is lost may have been an acceptance: sending the message once more in the
// same poll would make the repeat certain.
func TestLostReplyIsNoReasonToSendAgain(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	defer d.Close()
	if err := deliverOne(t, d, "first"); err != nil {
		t.Fatal(err)
	}
	r.Answers("stored", cut)
	var e *deliver.Error
	if err := deliverOne(t, d, "second"); !errors.As(err, &e) || e.Scope != deliver.Message || !e.Temporary {
		t.Errorf("got %v", err)
	}
	if got := len(r.delivered()); got != 2 {
		t.Errorf("%d messages arrived, want 2", got)
	}
}

// Only a server that had the whole message and has not said what became of it may have
// delivered it.
func TestServerThatMayHaveTheMessage(t *testing.T) {
	for _, x := range []struct {
		step, reply string
		unclear     bool
	}{
		{"MAIL", cut, false}, {"DATA", cut, false}, {".", "451 later", false}, {".", "550 no", false},
		{".", cut, true}, {"stored", cut, true}, {".", "not a reply", true},
	} {
		r := newReceiver(t)
		d := r.relay()
		r.Answers(x.step, x.reply)
		var e *deliver.Error
		if err := deliverOne(t, d, "x"); !errors.As(err, &e) || e.Unclear != x.unclear {
			t.Errorf("%s %s: %#v", x.step, x.reply, err)
		}
		d.Close()
	}
}

// The first line of a reply has said that the message is accepted.
func TestAcceptanceThatNeverEndsIsAcceptance(t *testing.T) {
	for _, smtp := range []bool{false, true} {
		for what, reply := range map[string]string{
			"many lines": strings.Repeat("250-still here\r\n", 1<<16) + "250 ok",
			"long line":  "250 " + strings.Repeat("x", 3*maxLine),
		} {
			r := newReceiver(t)
			r.smtp = smtp
			d := r.relay()
			r.Answers("stored", reply)
			if err := deliverOne(t, d, "x"); err != nil {
				t.Errorf("%s, SMTP %v: %v", what, smtp, err)
			}
			r.Answers("", "")
			if err := deliverOne(t, d, "next"); err != nil || len(r.delivered()) != 2 {
				t.Errorf("%s, SMTP %v: next message: %v", what, smtp, err)
			}
			d.Close()
		}
	}
}

// A recipient whose reply does not come because that of another one never ends has not
// accepted the message.
func TestReplyThatNeverEndsIsAboutOneRecipient(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	defer d.Close()
	d.Recipients = []string{"a", "b"}
	r.Answers("stored a", strings.Repeat("250-still here\r\n", 1<<16)+"250 ok")
	progress, err := attempt(t, d, "", "Subject: x\r\n\r\n")
	var e *deliver.Error
	if !errors.As(err, &e) || !e.Temporary || progress == "" {
		t.Fatalf("%#v, notes %q", err, progress)
	}
	r.Answers("", "")
	if _, err := attempt(t, d, progress, "Subject: x\r\n\r\n"); err != nil {
		t.Error(err)
	}
	if got := r.commands("RCPT"); len(got) != 3 || got[2] != "RCPT TO:<b>" {
		t.Errorf("the recipients were %q", got)
	}
}

func TestServerThatStallsDoesNotHoldThePoll(t *testing.T) {
	for _, x := range []struct {
		step  string // the receiver stalls here
		text  string
		hurry func(*session) // shortens the wait at this step alone
	}{
		{"MAIL", "x", func(s *session) { s.client.command = time.Millisecond }},
		{"body", strings.Repeat("0123456789abcd\r\n", 1<<18), func(s *session) { s.client.conn.timeout = 20 * time.Millisecond }}, // more than sockets hold
		{".", "x", func(s *session) { s.client.final = time.Millisecond }},
	} {
		r := newReceiver(t)
		d := r.relay()
		r.Answers(x.step, stall)
		s, err := d.connected(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		x.hurry(s)
		err = deliverOne(t, d, x.text)
		var e *deliver.Error
		if !errors.As(err, &e) || e.Scope != deliver.Message || !e.Temporary || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %v", x.step, err)
		}
		d.Close()
	}
}

func TestEndlessReplyIsCutOff(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	defer d.Close()
	r.Answers("MAIL", strings.Repeat("250-still here\r\n", 1<<16)+"250 ok")
	if err := deliverOne(t, d, "x"); !errors.Is(err, errEndless) {
		t.Errorf("got %v", err)
	}
}

// The end of the context while the reply to a message is due.
func TestReplyThatIsDueIsWaitedForALittle(t *testing.T) {
	for _, x := range []struct {
		name      string
		grace     time.Duration
		reply     string
		delivered bool
	}{
		{"it comes", time.Minute, "", true},
		{"it does not come", time.Millisecond, stall, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := newReceiver(t)
			d := r.relay()
			defer d.Close()
			d.grace = x.grace
			ctx, cancel := context.WithCancel(t.Context())
			s, err := d.Stage(ctx, deliver.Meta{}, strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Abort()
			r.AnswersBy(func(step string) string {
				if step == "stored" {
					cancel()
					return x.reply
				}
				return ""
			})
			err = errors.Join(d.Publish(ctx, []deliver.Staged{s})...)
			if x.delivered && err != nil || !x.delivered && !errors.Is(err, context.Canceled) {
				t.Errorf("Publish = %v", err)
			}
		})
	}
}

func TestContextEndsWhileTheServerStalls(t *testing.T) {
	for _, step := range []string{"connect", "LHLO", "MAIL", "RCPT", "DATA"} {
		r := newReceiver(t)
		d := r.relay()
		ctx, cancel := context.WithCancel(t.Context())
		r.AnswersBy(func(s string) string {
			if s == step {
				cancel()
				return stall
			}
			return ""
		})
		s, err := d.Stage(ctx, deliver.Meta{}, strings.NewReader("x"))
		if err == nil {
			err = errors.Join(d.Publish(ctx, []deliver.Staged{s})...)
			s.Abort()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", step, err)
		}
		d.Close()
		if got := r.delivered(); len(got) > 0 {
			t.Errorf("%s: %q arrived", step, got)
		}
	}
}

func TestMessageAboveTheLimitOfTheServerIsNotSent(t *testing.T) {
	r := newReceiver(t)
	r.greets = append(r.greets, "SIZE 100")
	d := r.relay()
	defer d.Close()
	err := deliverOne(t, d, strings.Repeat("x", 99))
	var e *deliver.Error
	if !errors.As(err, &e) || e.Scope != deliver.Message || e.Temporary || !strings.Contains(err.Error(), "101 octets") {
		t.Errorf("got %v", err)
	}
	if got := r.commands("MAIL"); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
	if err := deliverOne(t, d, strings.Repeat("x", 98)); err != nil {
		t.Errorf("a message of the greatest size: %v", err)
	}
	if got := r.commands("MAIL"); !slices.Equal(got, []string{"MAIL FROM:<> BODY=8BITMIME SIZE=100"}) {
		t.Errorf("sent %q", got)
	}
}

func TestEnvelope(t *testing.T) {
	for _, x := range []struct{ text, recipient, mail, rcpt string }{
		{"Subject: x\r\n\r\n", "alice", "MAIL FROM:<>", "RCPT TO:<alice>"},
		{"Return-Path: <a+b@example.org>\r\n\r\n", "alice", "MAIL FROM:<a+b@example.org>", "RCPT TO:<alice>"},
		{"Return-Path: <>\r\n\r\n", "alice", "MAIL FROM:<>", "RCPT TO:<alice>"},
		{"Return-Path: <a> SIZE=1\r\n\r\n", "alice", "MAIL FROM:<>", "RCPT TO:<alice>"},
		{"Return-Path: <a@b>\rRCPT TO:<eve@b>\r\n\r\n", "alice", "MAIL FROM:<a@b>", "RCPT TO:<alice>"},
		{"\r\n", "jürgen@example.org", "MAIL FROM:<> BODY=8BITMIME SMTPUTF8", "RCPT TO:<jürgen@example.org>"},
	} {
		r := newReceiver(t)
		r.greets = append(r.greets, "SMTPUTF8")
		d := r.relay()
		d.Recipients = []string{x.recipient}
		if err := deliverOne(t, d, x.text); err != nil {
			t.Error(err)
		}
		d.Close()
		mail, rcpt := r.commands("MAIL"), r.commands("RCPT")
		if len(mail) != 1 || !strings.HasPrefix(mail[0], x.mail) || !slices.Equal(rcpt, []string{x.rcpt}) {
			t.Errorf("%q for %s: sent %q, %q", x.text, x.recipient, mail, rcpt)
		}
	}
}

func TestRecipientThatTheServerCannotTake(t *testing.T) {
	r := newReceiver(t) // without SMTPUTF8
	d := r.relay()
	defer d.Close()
	d.Recipients = []string{"jürgen@example.org"}
	var e *deliver.Error
	if err := deliverOne(t, d, "x"); !errors.As(err, &e) || e.Scope != deliver.Place || e.Temporary {
		t.Errorf("got %v", err)
	}
	for _, bad := range []string{"", "a b", "a>", "<a", "a\r\nDATA", "a\x00", strings.Repeat("a", 321)} {
		if CheckAddress(bad) == "" {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, good := range []string{"me", "me+box@example.org", "jürgen@example.org"} {
		if why := CheckAddress(good); why != "" {
			t.Errorf("%q %s", good, why)
		}
	}
}

// Every way to write a line end that some server takes for one. The receiver fails the
// test if it gets any but CRLF, and a message that ends early arrives as another text.
func TestNothingInAMessageEndsTheData(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	defer d.Close()
	var want []string
	for _, before := range []string{"", "\r\n", "\n", "\r", "\r\r\n", "\n\r", "\x00\r\n"} {
		for _, after := range []string{"", "\r\n", "\n", "\r", "\r\r\n", "\n\r", "\x00\r\n"} {
			for _, dots := range []string{".", "..", ". "} {
				text := "Subject: x\r\n\r\nbegin" + before + dots + after + "MAIL FROM:<eve@example.org>\r\n"
				want = append(want, sent(text))
				if err := deliverOne(t, d, text); err != nil {
					t.Fatalf("%q: %v", text, err)
				}
			}
		}
	}
	if got := r.delivered(); !slices.Equal(got, want) {
		t.Error("other messages arrived than were sent")
	}
}

func TestCheckDeliversNothing(t *testing.T) {
	r := newReceiver(t)
	d := r.relay()
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
	d.Close()
	if len(r.commands("RCPT")) != 1 || len(r.commands("DATA")) > 0 || len(r.delivered()) > 0 {
		t.Errorf("sent %q", r.lines)
	}
	r.Answers("RCPT", "550 5.1.1 who?")
	d = r.relay()
	defer d.Close()
	var e *deliver.Error
	if err := d.Check(t.Context()); !errors.As(err, &e) || !strings.Contains(e.Hint, "recipient") {
		t.Errorf("got %v", err)
	}
}

func TestLineEndsDoNotDependOnReads(t *testing.T) {
	text := "a\r\n\r\n.\r\rb\n\n\r\nc\r"
	for size := 1; size < len(text); size++ {
		got, err := io.ReadAll(newLineReader(&chunks{text, size}))
		if err != nil || string(got) != sent(text) {
			t.Errorf("reads of %d octets: %q, %v", size, got, err)
		}
	}
}

// chunks is a reader that returns size octets at a time.
type chunks struct {
	text string
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := copy(p, c.text[:min(c.size, len(c.text))])
	c.text = c.text[n:]
	return n, nil
}
