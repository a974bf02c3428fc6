package relay

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popfetch/deliver"
	"popfetch/deliver/delivertest"
)

// receiver is an LMTP or SMTP server, by the letter of RFC 2033 and RFC 5321. A bare CR or LF
// fails the test. Its steps are "connect", the verb of a command, "body" for the text of a
// message, "." for its end before it is accepted, and "stored" for the moment after that. For
// one of several recipients the step is "RCPT" or "stored" and its address.
type receiver struct {
	*delivertest.Receiver
	t      *testing.T
	smtp   bool
	secret *tls.Config // for STARTTLS, nil = none
	login  string      // the response to AUTH PLAIN that is accepted, "" = any
	dialog []string    // of one login: a line of the client ("any" = any), the answer to it, and so on; nil = see login
	greets []string    // what it announces after LHLO

	// Guarded by the mutex of Receiver.
	messages []string
	to       map[string]int // recipient -> messages that were accepted for it
	lines    []string       // commands that came, of all connections
}

// Answers that are no reply.
const (
	cut   = delivertest.Cut
	stall = delivertest.Stall
)

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, to: make(map[string]int), greets: []string{"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME"}}
	r.Receiver = delivertest.NewReceiver(t, "unix", filepath.Join(socketDir(t), "lmtp"))
	r.Serve(t, r.serve)
	return r
}

// socketDir returns a directory whose path is short enough for sockets, as that of a t.TempDir,
// with the name of the test in it, need not be.
func socketDir(t *testing.T) string {
	t.Helper()
	base := os.TempDir()
	if len(base) > 60 {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// relay returns a destination that delivers here.
func (r *receiver) relay() *Relay {
	return &Relay{SMTP: r.smtp, Network: "unix", Address: r.Addr.String(), Name: "client.example.org", Recipients: []string{"me@example.org"}, Spool: r.t.TempDir()}
}

// reply sends the reply to a step and reports whether the connection goes on.
func (r *receiver) reply(c net.Conn, step, usual string) bool {
	return r.say(c, cmp.Or(r.AnswerTo(step), usual))
}

func (r *receiver) say(c net.Conn, answer string) bool { return r.Say(c, "", answer) }

func (r *receiver) serve(c net.Conn) {
	in := bufio.NewReader(c)
	if !r.reply(c, "connect", "220 mx.example.org LMTP") {
		return
	}
	var to []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		r.Lock()
		r.lines = append(r.lines, strings.TrimSuffix(line, "\r\n"))
		r.Unlock()
		verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch verb {
		case map[bool]string{false: "LHLO", true: "EHLO"}[r.smtp]:
			usual := "250-mx.example.org"
			for i, word := range r.greets {
				usual += "\r\n250" + map[bool]string{true: " ", false: "-"}[i == len(r.greets)-1] + word
			}
			if !r.reply(c, verb, usual) {
				return
			}
		case "DATA":
			answer := cmp.Or(r.AnswerTo(verb), "354 go on")
			if !r.say(c, answer) || strings.HasPrefix(answer, "354") && !r.data(c, in, to) {
				return
			}
		case "QUIT":
			r.reply(c, verb, "221 2.0.0 bye")
			return
		case "RCPT":
			address := strings.Trim(strings.TrimSpace(line[len("RCPT TO:"):]), "<>")
			answer := cmp.Or(r.AnswerTo(verb+" "+address), r.AnswerTo(verb), "250 2.0.0 ok")
			if strings.HasPrefix(answer, "2") {
				to = append(to, address)
			}
			if !r.say(c, answer) {
				return
			}
		case "MAIL", "RSET":
			to = nil
			if !r.reply(c, verb, "250 2.0.0 ok") {
				return
			}
		case "STARTTLS":
			if !r.reply(c, verb, "220 go on") {
				return
			}
			secured := tls.Server(c, r.secret)
			c, in = secured, bufio.NewReader(secured)
		case "AUTH":
			if r.dialog != nil {
				if !r.authenticate(c, in, line) {
					return
				}
				continue
			}
			usual := "235 2.7.0 welcome"
			if _, ok := c.(*tls.Conn); !ok || !strings.HasSuffix(line, " "+r.login+"\r\n") {
				usual = "535 5.7.8 no"
			}
			if !r.reply(c, verb, usual) {
				return
			}
		default:
			if !r.reply(c, verb, "500 5.5.1 unknown") {
				return
			}
		}
	}
}

// authenticate is a login by the dialog.
func (r *receiver) authenticate(c net.Conn, in *bufio.Reader, line string) bool {
	for step := range slices.Chunk(r.dialog, 2) {
		if got := strings.TrimSuffix(line, "\r\n"); got != step[0] && step[0] != "any" {
			r.t.Errorf("the client sent %q, want %q", got, step[0])
		}
		if !r.say(c, step[1]) {
			return false
		}
		if !strings.HasPrefix(step[1], "334") {
			return true
		}
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return false
		}
	}
	r.t.Errorf("the client sent %q behind the end of the dialog", line)
	return false
}

// data reads a message.
func (r *receiver) data(c net.Conn, in *bufio.Reader, to []string) bool {
	if r.AnswerTo("body") == stall {
		return r.say(c, stall)
	}
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		body, ok := strings.CutSuffix(line, "\r\n")
		if !ok || strings.ContainsAny(body, "\r\n") {
			r.t.Errorf("a line with a bare CR or LF was sent: %.60q", line)
		}
		if body == "." {
			break
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
	if answer := r.AnswerTo("."); answer != "" {
		return r.say(c, answer)
	}
	r.Lock()
	r.messages = append(r.messages, text.String())
	r.Unlock()
	if r.smtp {
		answer := cmp.Or(r.AnswerTo("stored"), "250 2.0.0 saved")
		r.accept(answer, to...)
		return r.say(c, answer)
	}
	for _, address := range to { // RFC 2033 section 4.2
		answer := cmp.Or(r.AnswerTo("stored "+address), r.AnswerTo("stored"), "250 2.0.0 saved")
		r.accept(answer, address)
		if !r.say(c, answer) {
			return false
		}
	}
	return true
}

// accept counts a message for recipients if the answer is an acceptance.
func (r *receiver) accept(answer string, to ...string) {
	r.Lock()
	defer r.Unlock()
	for _, address := range to {
		if strings.HasPrefix(answer, "2") {
			r.to[address]++
		}
	}
}

// delivered returns the messages that were accepted.
func (r *receiver) delivered() []string {
	r.Lock()
	defer r.Unlock()
	return slices.Clone(r.messages)
}

// commands returns the lines that begin with a verb.
func (r *receiver) commands(verb string) (found []string) {
	r.Lock()
	defer r.Unlock()
	for _, line := range r.lines {
		if strings.HasPrefix(line, verb) {
			found = append(found, line)
		}
	}
	return found
}

// deliverOne takes a message through all steps.
func deliverOne(t *testing.T, d *Relay, text string) error {
	t.Helper()
	s, err := d.Stage(t.Context(), deliver.Meta{ID: "0123456789abcdef", User: "me"}, strings.NewReader(text))
	if err != nil {
		return err
	}
	defer s.Abort()
	for _, step := range []func() []error{
		func() []error { return d.Prepare(t.Context(), []deliver.Staged{s}) },
		func() []error { return d.Publish(t.Context(), []deliver.Staged{s}) },
	} {
		if errs := step(); errs != nil {
			return errs[0]
		}
	}
	return nil
}
