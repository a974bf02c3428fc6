package mailbox

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"popfetch/deliver"
	"popfetch/deliver/delivertest"
	"popfetch/internal/imap"
)

// receiver is an IMAP server for one mailbox that stores what it is given. Its steps are
// "connect", the name of a command, "literal" for the text of a message, "text" after it, and
// "stored" for the reply to an APPEND whose messages were stored.
type receiver struct {
	*delivertest.Receiver
	t    *testing.T
	caps string

	// Guarded by the mutex of Receiver.
	boxes     map[string]*box
	lines     []string // commands that came, of all connections
	logins    int
	stores    func(text string) string // how a message is changed when it is stored; nil = not at all
	terse     bool                     // STATUS tells nothing, EXAMINE does
	dedupes   bool                     // a message whose Message-ID is there already is not stored again, as at Gmail
	piecemeal bool                     // MULTIAPPEND stores each message when it comes, not all at the end
	virus     string                   // a message that contains this is refused, "" = none; the reply is "NO virus"
}

// box is a folder.
type box struct {
	validity, next uint32
	use            string
	messages       []stored
}

type stored struct {
	uid         uint32
	flags, date string
	text        string
}

// Answers that are no reply.
const (
	cut   = delivertest.Cut
	stall = delivertest.Stall
)

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, caps: "IMAP4rev1 LITERAL+ UIDPLUS", boxes: map[string]*box{"INBOX": {validity: 7, next: 1}}}
	r.Receiver = delivertest.NewReceiver(t, "tcp", "127.0.0.1:0")
	r.Serve(t, r.serve)
	return r
}

// mailbox returns a destination that delivers here.
func (r *receiver) mailbox() *Mailbox {
	return &Mailbox{
		Server: r.Addr.String(), User: "me", Folder: "INBOX", Spool: r.t.TempDir(), quiet: time.Millisecond,
		Connect: func(ctx context.Context) (*imap.Client, error) {
			c, err := imap.Dial(ctx, r.Addr.String(), imap.Options{Security: imap.ClearText})
			if err != nil {
				return nil, err
			}
			if _, err := c.Login(ctx, imap.Credentials{User: "me", Password: "secret"}); err != nil {
				c.Close()
				return nil, err
			}
			return c, nil
		},
	}
}

// say sends the reply to a step, tagged if it is one to a command, and reports whether the
// connection goes on.
func (r *receiver) say(c net.Conn, step, tag, usual string) bool {
	return r.Say(c, tag, cmp.Or(r.AnswerTo(step), usual))
}

var (
	literalEnd = regexp.MustCompile(`\{(\d+)(\+?)\}$`)
	quotedWord = regexp.MustCompile(`"([^"]*)"`)
)

func (r *receiver) serve(c net.Conn) {
	in := bufio.NewReader(c)
	if !r.say(c, "connect", "* ", "OK ready") {
		return
	}
	selected := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		tag, command, _ := strings.Cut(line, " ")
		name, rest, _ := strings.Cut(command, " ")
		if name == "UID" {
			name, rest, _ = strings.Cut(rest, " ")
		}
		r.Lock()
		r.lines = append(r.lines, command)
		r.Unlock()
		switch name {
		case "CAPABILITY":
			if _, err := io.WriteString(c, "* CAPABILITY "+r.caps+"\r\n"); err != nil {
				return
			}
		case "LOGIN":
			r.Lock()
			r.logins++
			r.Unlock()
		case "LIST":
			r.Lock()
			for name, b := range r.boxes {
				fmt.Fprintf(c, "* LIST (%s) \"/\" \"%s\"\r\n", b.use, name)
			}
			r.Unlock()
		case "CREATE":
			r.create(unquote(rest))
		case "STATUS", "EXAMINE":
			r.Lock()
			b := r.boxes[unquote(rest)]
			if b != nil && name == "STATUS" && r.terse {
				fmt.Fprintf(c, "* STATUS \"%s\" ()\r\n", unquote(rest))
			} else if b != nil && name == "STATUS" {
				fmt.Fprintf(c, "* STATUS \"%s\" (UIDNEXT %d UIDVALIDITY %d)\r\n", unquote(rest), b.next, b.validity)
			} else if b != nil {
				fmt.Fprintf(c, "* %d EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n* OK [UIDNEXT %d] x\r\n", len(b.messages), b.validity, b.next)
				selected = unquote(rest)
			}
			r.Unlock()
			if b == nil {
				if !r.say(c, name, tag+" ", "NO [NONEXISTENT] no such folder") {
					return
				}
				continue
			}
		case "FETCH":
			r.fetch(c, selected, rest)
		case "SEARCH":
			r.search(c, selected, rest)
		case "APPEND":
			if !r.append(c, in, tag, rest) {
				return
			}
			continue
		case "LOGOUT":
			io.WriteString(c, "* BYE bye\r\n"+tag+" OK bye\r\n")
			return
		}
		if !r.say(c, name, tag+" ", "OK done") {
			return
		}
	}
}

func unquote(s string) string {
	if m := quotedWord.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return s
}

func (r *receiver) create(name string) {
	r.Lock()
	defer r.Unlock()
	r.boxes[name] = &box{validity: 1000 + uint32(len(r.boxes)), next: 1}
}

// append reads and stores the messages of one command.
func (r *receiver) append(c net.Conn, in *bufio.Reader, tag, rest string) bool {
	folder := unquote(rest)
	r.Lock()
	b := r.boxes[folder]
	r.Unlock()
	refusal := r.AnswerTo("APPEND")
	if b == nil {
		refusal = "NO [TRYCREATE] no such folder"
	}
	if refusal == cut || refusal == stall {
		return r.Say(c, "", refusal)
	}
	type message struct{ arguments, text string }
	var unstored []message
	var uids []string
	store := func() {
		for _, m := range unstored {
			uids = append(uids, fmt.Sprint(r.store(b, m.arguments, m.text)))
		}
		unstored = nil
	}
	for rest != "" {
		literal := literalEnd.FindStringSubmatch(rest)
		size, _ := strconv.Atoi(literal[1])
		if waits := literal[2] == ""; waits && refusal != "" {
			_, err := io.WriteString(c, tag+" "+refusal+"\r\n")
			return err == nil
		} else if waits {
			if _, err := io.WriteString(c, "+ go on\r\n"); err != nil {
				return false
			}
		}
		if r.AnswerTo("literal") == stall {
			return r.Say(c, "", stall)
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(in, text); err != nil {
			return false
		}
		unstored = append(unstored, message{rest, string(text)})
		if answer := r.AnswerTo("text"); answer == cut {
			return false
		} else if answer != "" {
			refusal = answer
		} else if r.virus != "" && strings.Contains(string(text), r.virus) {
			refusal = "NO virus"
		}
		if r.piecemeal && refusal == "" {
			store()
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		rest = strings.TrimSuffix(line, "\r\n")
		if rest != "" && !strings.Contains(r.caps, "MULTIAPPEND") {
			r.t.Errorf("a literal of %d octets is followed by %q", size, rest)
			return false
		}
	}
	if refusal != "" {
		_, err := io.WriteString(c, tag+" "+refusal+"\r\n")
		return err == nil
	}
	store()
	return r.say(c, "stored", tag+" ", fmt.Sprintf("OK [APPENDUID %d %s] stored", b.validity, strings.Join(uids, ",")))
}

func (r *receiver) store(b *box, command, text string) uint32 {
	r.Lock()
	defer r.Unlock()
	if strings.ContainsRune(text, 0) || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") {
		r.t.Errorf("a NUL or a bare LF was sent: %.100q", text)
	}
	if id := messageID([]byte(text)); r.dedupes && id != "" {
		for _, m := range b.messages {
			if messageID([]byte(m.text)) == id {
				return m.uid
			}
		}
	}
	if r.stores != nil {
		text = r.stores(text)
	}
	m := stored{uid: b.next, text: text}
	words := quotedWord.FindAllStringSubmatch(command, -1)
	m.date = words[len(words)-1][1]
	if _, flags, ok := strings.Cut(command, "("); ok {
		m.flags, _, _ = strings.Cut(flags, ")")
	}
	b.next++
	b.messages = append(b.messages, m)
	return m.uid
}

func (r *receiver) fetch(c net.Conn, selected, rest string) {
	r.Lock()
	defer r.Unlock()
	set, _, _ := strings.Cut(rest, " ")
	from, open := strings.CutSuffix(set, ":*")
	low, _ := strconv.Atoi(from)
	b := r.boxes[selected]
	for i, m := range b.messages {
		// RFC 9051 section 6.4.9: n:* holds the last message whatever its UID is.
		if open && (int(m.uid) >= low || i == len(b.messages)-1) || !open && slices.Contains(strings.Split(set, ","), fmt.Sprint(m.uid)) {
			header, _, _ := strings.Cut(m.text, "\r\n\r\n")
			if strings.HasPrefix(m.text, "\r\n") {
				header = ""
			}
			header = strings.TrimSuffix(header, "\r\n") + "\r\n\r\n"
			fmt.Fprintf(c, "* %d FETCH (UID %d RFC822.SIZE %d BODY[HEADER]<0> {%d}\r\n%s)\r\n", i+1, m.uid, len(m.text), len(header), header)
		}
	}
}

func (r *receiver) search(c net.Conn, selected, rest string) {
	r.Lock()
	defer r.Unlock()
	fmt.Fprint(c, "* SEARCH")
	for _, m := range r.boxes[selected].messages {
		if messageID([]byte(m.text)) == unquote(rest) {
			fmt.Fprintf(c, " %d", m.uid)
		}
	}
	fmt.Fprint(c, "\r\n")
}

// delivered returns the messages of a folder.
func (r *receiver) delivered(folder string) []string {
	r.Lock()
	defer r.Unlock()
	var texts []string
	if b := r.boxes[folder]; b != nil {
		for _, m := range b.messages {
			texts = append(texts, m.text)
		}
	}
	return texts
}

// commands returns the commands that begin with a name.
func (r *receiver) commands(name string) (found []string) {
	r.Lock()
	defer r.Unlock()
	for _, line := range r.lines {
		if strings.HasPrefix(line, name) {
			found = append(found, line)
		}
	}
	return found
}

// deliverAll takes messages through all steps as one group, and returns their errors.
func deliverAll(t *testing.T, d *Mailbox, texts ...string) []error {
	t.Helper()
	var group []deliver.Staged
	for _, text := range texts {
		s, err := d.Stage(t.Context(), deliver.Meta{ID: "0123456789abcdef", User: "me", Time: time.Unix(1e9, 0)}, strings.NewReader(text))
		if err != nil {
			return []error{err}
		}
		t.Cleanup(func() { s.Abort() })
		group = append(group, s)
	}
	if errs := d.Prepare(t.Context(), group); errs != nil {
		return errs
	}
	return d.Publish(t.Context(), group)
}
