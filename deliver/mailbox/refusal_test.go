package mailbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/internal/imap"
	"popfetch/internal/stalltest"
)

// A refusal delivers nothing, and the next message goes on.
func TestRefusalDeliversNothing(t *testing.T) {
	for _, x := range []struct {
		reply     string
		temporary bool
	}{
		{"NO [OVERQUOTA] full", true},
		{"NO [INUSE] busy", true},
		{"NO [UNAVAILABLE] backend is down", true},
		{"NO [LIMIT] too many", true},
		{"NO [SERVERBUG] sorry", true},
		{"NO [NOPERM] read only", true},
		{"NO [TOOBIG] too big", false},
		{"NO [CANNOT] no such message here", false},
		{"NO message contains a virus", false},
		{"BAD what", false},
	} {
		for _, caps := range []string{"IMAP4rev1", "IMAP4rev1 LITERAL+"} {
			t.Run(x.reply+" "+caps, func(t *testing.T) {
				r := newReceiver(t)
				r.caps = caps
				d := r.mailbox()
				defer d.Close()
				r.Answers("APPEND", x.reply)
				errs := deliverAll(t, d, "Subject: refused\r\n\r\n")
				var e *deliver.Error
				if len(errs) != 1 || !errors.As(errs[0], &e) || e.Scope != deliver.Message || e.Temporary != x.temporary {
					t.Fatalf("got %#v: %v", e, errs)
				}
				if code, text, _ := strings.Cut(strings.TrimPrefix(x.reply, "NO "), "] "); text != "" && !strings.Contains(e.Error(), code) {
					t.Errorf("the error does not quote the server: %v", e)
				}
				r.Answers("", "")
				if errs := deliverAll(t, d, "Subject: accepted\r\n\r\n"); errs != nil {
					t.Errorf("next message: %v", errs)
				}
				if got := r.delivered("INBOX"); !slices.Equal(got, []string{"Subject: accepted\r\n\r\n"}) {
					t.Errorf("%q arrived", got)
				}
			})
		}
	}
}

// A refusal in the middle of a flight is about one message.
func TestOneRefusalInAFlightIsAboutOneMessage(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	defer d.Close()
	n := 0
	r.AnswersBy(func(step string) string {
		if step == "APPEND" {
			if n++; n == 2 {
				return "NO not this one"
			}
		}
		return ""
	})
	errs := deliverAll(t, d, "a", "b", "c")
	if len(errs) != 3 || errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("got %v", errs)
	}
	if got := r.delivered("INBOX"); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("%q arrived", got)
	}
}

// Messages of which the server has nothing are sent again at once; the one whose reply was
// lost is looked for.
func TestConnectionLostInAFlight(t *testing.T) {
	for _, caps := range []string{"IMAP4rev1", "IMAP4rev1 LITERAL+ UIDPLUS", "IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND"} {
		for _, step := range []string{"APPEND", "text", "stored"} {
			t.Run(caps+" "+step, func(t *testing.T) {
				r := newReceiver(t)
				r.caps = caps
				d := r.mailbox()
				defer d.Close()
				n := 0
				r.AnswersBy(func(s string) string {
					if s == step {
						if n++; n == 2 {
							return cut
						}
					}
					return ""
				})
				errs := deliverAll(t, d, "Subject: a\r\n\r\n", "Subject: b\r\n\r\n", "Subject: c\r\n\r\n")
				r.Answers("", "")
				delivered := r.delivered("INBOX")
				for i, text := range []string{"Subject: a\r\n\r\n", "Subject: b\r\n\r\n", "Subject: c\r\n\r\n"} {
					var e *deliver.Error
					there := slices.Contains(delivered, text)
					switch {
					case errs == nil || errs[i] == nil:
						if !there {
							t.Errorf("%q counts as delivered and is not there", text)
						}
					case there || !errors.As(errs[i], &e) || e.Scope != deliver.Message || !e.Temporary:
						t.Errorf("%q: %v; in the folder: %v", text, errs[i], there)
					}
				}
				if len(delivered) == 0 || len(delivered) > 3 {
					t.Errorf("%q arrived", delivered)
				}
			})
		}
	}
}

// What the server says before it closes the connection is told.
func TestByeIsQuoted(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	defer d.Close()
	if errs := deliverAll(t, d, "first"); errs != nil {
		t.Fatal(errs)
	}
	r.AnswersBy(func(step string) string {
		if step == "APPEND" {
			return "x\r\n* BYE [UNAVAILABLE] going down"
		}
		return ""
	})
	// The receiver goes on after a BYE, so that the reply with the wrong form ends it.
	errs := deliverAll(t, d, strings.Repeat("x", 100))
	var e *deliver.Error
	if len(errs) != 1 || !errors.As(errs[0], &e) || !e.Temporary {
		t.Fatalf("got %v", errs)
	}
}

func TestServerThatCannotBeUsed(t *testing.T) {
	for _, x := range []struct {
		step, reply string
		login       bool
		says        string
	}{
		{"connect", "BYE [UNAVAILABLE] later", false, "later"},
		{"connect", "PREAUTH hello", false, "PREAUTH"},
		{"connect", cut, false, "closed the connection"},
		{"CAPABILITY", cut, false, "closed the connection"},
		{"LOGIN", "NO [AUTHENTICATIONFAILED] wrong", true, "wrong"},
		{"LOGIN", "NO wrong", true, "wrong"},
		{"LOGIN", "NO [UNAVAILABLE] no user database", false, "no user database"},
		{"LOGIN", "NO [LIMIT] too many connections", false, "too many"},
		{"LOGIN", cut, false, "closed the connection"},
	} {
		t.Run(x.step+" "+x.reply, func(t *testing.T) {
			r := newReceiver(t)
			r.Answers(x.step, x.reply)
			s, err := r.mailbox().Stage(t.Context(), deliver.Meta{}, failingReader{t})
			var e *deliver.Error
			if s != nil || !errors.As(err, &e) || e.Scope != deliver.Place || e.Temporary == x.login || errors.Is(err, deliver.ErrLogin) != x.login || !strings.Contains(err.Error(), x.says) {
				t.Errorf("got %#v: %v", e, err)
			}
		})
	}
}

// failingReader is a message that must not be downloaded.
type failingReader struct{ t *testing.T }

func (f failingReader) Read([]byte) (int, error) {
	f.t.Error("a message was downloaded for a server that cannot be used")
	return 0, errors.New("downloaded")
}

// A server may close a connection on which nothing happens.
func TestConnectionClosedBetweenGroupsIsReplaced(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	defer d.Close()
	for _, text := range []string{"first", "second"} {
		if errs := deliverAll(t, d, text); errs != nil {
			t.Fatalf("%s: %v", text, errs)
		}
		r.CloseAll()
	}
	if got := r.delivered("INBOX"); !slices.Equal(got, []string{"first", "second"}) || r.logins != 2 {
		t.Errorf("%q arrived, %d logins", got, r.logins)
	}
}

func TestOnePollIsOneConnection(t *testing.T) {
	r := newReceiver(t)
	d := r.mailbox()
	var texts []string
	for i := range 250 {
		texts = append(texts, fmt.Sprintf("Subject: %d\r\n\r\n", i))
	}
	for part := range slices.Chunk(texts, d.Group()) {
		if errs := deliverAll(t, d, part...); errs != nil {
			t.Fatal(errs)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.delivered("INBOX"); !slices.Equal(got, texts) || r.logins != 1 || len(r.commands("STATUS")) != 1 {
		t.Errorf("%d messages, %d logins, %q", len(got), r.logins, r.commands("STATUS"))
	}
}

// The time limit of the client is short here only where the receiver stalls.
func TestServerThatStallsDoesNotHoldThePoll(t *testing.T) {
	for _, step := range []string{"APPEND", "literal", "stored"} {
		t.Run(step, func(t *testing.T) {
			r := newReceiver(t)
			r.caps = "IMAP4rev1"
			d := r.mailbox()
			silence := new(stalltest.Stall)
			d.Connect = connectWithin(r, 20*time.Millisecond, silence)
			defer d.Close()
			r.AnswersBy(func(s string) string {
				if s == step {
					silence.Begin()
					return stall
				}
				return ""
			})
			errs := deliverAll(t, d, strings.Repeat("0123456789abcd\r\n", 1<<19)) // 8 MiB: more than sockets hold
			var e *deliver.Error
			if len(errs) != 1 || !errors.As(errs[0], &e) || !e.Temporary || e.Scope == deliver.Room {
				t.Fatalf("got %v", errs)
			}
			if step != "stored" && !errors.Is(errs[0], os.ErrDeadlineExceeded) {
				t.Errorf("got %v", errs[0])
			}
		})
	}
}

// connectWithin is Mailbox.Connect with another time limit, which counts from the silence of
// the receiver on.
func connectWithin(r *receiver, limit time.Duration, silence *stalltest.Stall) func(context.Context) (*imap.Client, error) {
	return func(ctx context.Context) (*imap.Client, error) {
		c, err := imap.Dial(ctx, r.Addr.String(), imap.Options{Security: imap.ClearText, Timeout: limit, Dial: silence.Dial})
		if err != nil {
			return nil, err
		}
		_, err = c.Login(ctx, imap.Credentials{User: "me", Password: "secret"})
		return c, err
	}
}

func TestContextEndsWhileTheServerStalls(t *testing.T) {
	for _, step := range []string{"connect", "LOGIN", "STATUS"} {
		t.Run(step, func(t *testing.T) {
			r := newReceiver(t)
			d := r.mailbox()
			defer d.Close()
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
				err = errors.Join(d.Prepare(ctx, []deliver.Staged{s})...)
				s.Abort()
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestMessageAboveTheLimitOfTheServerIsNotSent(t *testing.T) {
	r := newReceiver(t)
	r.caps += " APPENDLIMIT=100"
	d := r.mailbox()
	defer d.Close()
	errs := deliverAll(t, d, strings.Repeat("x", 101), strings.Repeat("y", 100))
	var e *deliver.Error
	if len(errs) != 2 || !errors.As(errs[0], &e) || e.Scope != deliver.Message || e.Temporary || !strings.Contains(e.Error(), "101 octets, and the server takes 100 at most") {
		t.Errorf("got %v", errs)
	}
	if got := r.commands("APPEND"); len(got) > 0 {
		t.Errorf("sent %q", got) // deliverAll ends after Prepare
	}
	if errs := deliverAll(t, d, strings.Repeat("y", 100)); errs != nil {
		t.Errorf("a message of the greatest size: %v", errs)
	}
}
