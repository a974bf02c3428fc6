package imap

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// window is how many octets of messages are under way at once, one larger message aside.
	window = 1 << 20
	// maxUnanswered is how many messages are: their replies have room in the buffers of any
	// connection, so that client and server never wait for each other.
	maxUnanswered = 100
	// maxAhead is the size in octets of the largest message that is sent without asking, to
	// a server that takes all. A larger one waits until the server wants it.
	maxAhead = 256 << 10
	// maxMinus is the same for a server with LITERAL-. RFC 7888 section 5
	maxMinus = 4096
	// maxShared is how many messages share a command, and maxSharedOctets how many octets they
	// have: the next commands are on their way while the server stores these.
	maxShared       = 50
	maxSharedOctets = 256 << 10
)

// Append is a message to store.
type Append struct {
	Folder string // as the server writes it
	Flags  []string
	Date   time.Time // internal date
	Size   int64     // of Text, in octets
	Text   io.Reader
	Alone  bool // a command of its own, so that a refusal is about this message
}

// Appended is what became of a message.
type Appended struct {
	// Err is nil if the server has stored the message, a *Refusal if it has not, a
	// *SourceError if Text could not be read, and any other error if the connection has
	// failed.
	Err error
	// Sent: the connection has failed after the whole message was sent, so that the server
	// may have stored it.
	Sent bool
	// Shared: Err is the refusal of a command with several messages. Any of them may be the
	// reason, and none is stored. RFC 3502 section 6.3.11
	Shared bool
	// The message's UID and the UIDVALIDITY of its folder, 0 = the server does not say.
	// RFC 4315 section 3 (APPENDUID)
	UIDValidity, UID uint32
}

var errInterrupted = errors.New("the connection was interrupted")

// SourceError is an error of a reader of the caller.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Append stores messages (RFC 9051 section 6.3.12). Where the server takes that, neighbours
// for one folder share a command (RFC 3502), which it stores in one transaction. The commands
// go out without waiting for the replies to earlier ones, as far as the server takes that
// (RFC 9051 section 5.5, RFC 7888). There is one result for each message.
func (c *Client) Append(messages []Append) []Appended {
	f := &flight{c: c, messages: messages, results: make([]Appended, len(messages)), unanswered: make(map[string]appendCommand)}
	usual := c.waiting
	c.waiting = usual * durablyTimes
	f.run()
	c.waiting = usual
	return f.results
}

// durablyTimes is how many times as long as for another reply to wait for that to a message:
// the server makes it durable.
const durablyTimes = 10

// flight is the commands of one call of Append.
type flight struct {
	c          *Client
	messages   []Append
	results    []Appended
	unanswered map[string]appendCommand // by tag
	octets     int64                    // of their messages
}

// appendCommand is one command: it stores the messages from first up to, without, end.
type appendCommand struct {
	first, end int
	octets     int64
}

// commandAt returns the command that begins with a message.
func (f *flight) commandAt(first int) appendCommand {
	a := appendCommand{first, first + 1, f.messages[first].Size}
	for a.end < len(f.messages) && a.end-first < maxShared && f.shares(first) && f.shares(a.end) {
		next := f.messages[a.end]
		if next.Folder != f.messages[first].Folder || a.octets+next.Size > maxSharedOctets {
			break
		}
		a.octets += next.Size
		a.end++
	}
	return a
}

// shares reports whether a message may share a command. Behind a literal that waits for the
// server, sharing would save nothing.
func (f *flight) shares(i int) bool {
	m := f.messages[i]
	return f.c.Has("MULTIAPPEND") && !m.Alone && f.c.takesAhead(m.Size)
}

// takesAhead reports whether a literal of this size need not wait for the server.
func (c *Client) takesAhead(size int64) bool {
	return c.Has("LITERAL+") && size <= maxAhead || (c.Has("LITERAL-") || c.Has("IMAP4REV2")) && size <= maxMinus
}

func (f *flight) run() {
	var err error
	for at := 0; at < len(f.messages); {
		a := f.commandAt(at)
		at = a.end
		for err == nil && len(f.unanswered) > 0 && (f.octets+a.octets > window || len(f.unanswered) >= maxUnanswered) {
			err = f.answer()
		}
		switch {
		case err == nil && f.c.interrupted():
			f.giveUp(a, errInterrupted)
		case err == nil:
			err = f.send(a)
		default:
			f.giveUp(a, err)
		}
	}
	if err == nil {
		err = f.c.flush()
	}
	for err == nil && len(f.unanswered) > 0 {
		err = f.answer()
	}
	for _, a := range f.unanswered { // the replies will never come
		f.lose(a.first, a.end, err)
	}
}

// giveUp notes that a command was not sent.
func (f *flight) giveUp(a appendCommand, err error) {
	for i := a.first; i < a.end; i++ {
		f.results[i].Err = err
	}
}

// lose notes that messages were sent, and that nobody knows what became of them.
func (f *flight) lose(first, end int, err error) {
	for i := first; i < end; i++ {
		f.results[i] = Appended{Err: err, Sent: true}
	}
}

// send sends a command. The error is one of the connection, and the messages have it as
// their result.
func (f *flight) send(a appendCommand) error {
	tag := ""
	for i := a.first; i < a.end; i++ {
		line, ahead := f.messages[i].arguments(f.c)
		if i == a.first {
			tag = f.c.send("APPEND "+quoted(f.messages[i].Folder)+line, "", "\r\n")
		} else {
			f.c.opts.Log.Debug("imap", "client", tag+" ..."+line)
			f.c.out.WriteString(line + "\r\n")
		}
		if !ahead { // the only message of its command
			wanted, err := f.wanted(i, tag)
			if err != nil {
				f.results[i].Err = err
			}
			if err != nil || !wanted {
				return err
			}
		}
		if err := f.copy(f.messages[i]); err != nil {
			// The messages before it came whole, and a server that goes on without the end
			// of the command stores them.
			f.lose(a.first, i, f.c.failed)
			f.giveUp(appendCommand{first: i, end: a.end}, f.c.failed)
			f.results[i].Err = err
			return f.c.failed
		}
	}
	f.c.out.WriteString("\r\n")
	f.unanswered[tag] = a
	f.octets += a.octets
	return nil
}

// arguments returns what stands before the text of a message, and whether the text may follow
// without waiting for the server.
func (m Append) arguments(c *Client) (line string, ahead bool) {
	line = " "
	if len(m.Flags) > 0 {
		line += "(" + strings.Join(m.Flags, " ") + ") "
	}
	plus := ""
	if ahead = c.takesAhead(m.Size); ahead {
		plus = "+"
	}
	return fmt.Sprintf("%s%s {%d%s}", line, m.Date.Format(`"_2-Jan-2006 15:04:05 -0700"`), m.Size, plus), ahead
}

// copy sends the text of a message. The error is one of the connection, or a *SourceError,
// after which the connection cannot be used any more.
func (f *flight) copy(m Append) error {
	source := &sizedReader{src: m.Text, left: m.Size}
	_, err := io.CopyBuffer(struct{ io.Writer }{f.c.out}, source, make([]byte, 32<<10))
	switch {
	case source.err != nil:
		// The rest of the literal must never be sent: the server would store it.
		f.c.fail(source.err)
		return &SourceError{source.err}
	case err != nil:
		return f.c.fail(err)
	}
	return nil
}

// sizedReader reads exactly left octets of src, and keeps its error.
type sizedReader struct {
	src  io.Reader
	left int64
	err  error
}

func (s *sizedReader) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.src.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// wanted waits until the server asks for the literal of message i, or refuses its command.
func (f *flight) wanted(i int, tag string) (bool, error) {
	if err := f.c.flush(); err != nil {
		return false, err
	}
	for {
		r, err := f.c.response()
		switch {
		case err != nil:
			return false, err
		case r.tag == "+":
			return true, nil
		case r.tag != tag:
			if err := f.note(r); err != nil {
				return false, err
			}
		case r.status == "OK":
			return false, f.c.fail(&ProtocolError{"APPEND", "it was accepted before the message was sent"})
		default:
			f.results[i].Err = r.refusal("APPEND")
			return false, nil
		}
	}
}

// answer reads one reply to a command.
func (f *flight) answer() error {
	if err := f.c.flush(); err != nil {
		return err
	}
	for n := len(f.unanswered); len(f.unanswered) == n; {
		r, err := f.c.response()
		if err != nil {
			return err
		}
		if err := f.note(r); err != nil {
			return err
		}
	}
	return nil
}

// note notes what a response says of messages that were sent.
func (f *flight) note(r *response) error {
	if r.tag == "*" {
		return nil
	}
	a, ok := f.unanswered[r.tag]
	if !ok {
		return f.c.fail(r.unexpected("APPEND"))
	}
	delete(f.unanswered, r.tag)
	f.octets -= a.octets
	f.c.read = 0
	result := Appended{Err: r.refusal("APPEND")}
	result.Shared = result.Err != nil && a.end-a.first > 1
	validity, set, _ := strings.Cut(r.args, " ")
	uids := make([]uint32, a.end-a.first)
	if r.code == "APPENDUID" && r.status == "OK" {
		result.UIDValidity = item{text: validity}.number()
		expand(set, uids)
	}
	for i := range uids {
		result.UID = uids[i]
		f.results[a.first+i] = result
	}
	if bad, ok := errors.AsType[*Refusal](result.Err); ok && bad.Bad {
		// It may have taken the text of a message for commands.
		return f.c.fail(&ProtocolError{"APPEND", bad.Error()})
	}
	return nil
}

// expand puts the UIDs of a set into uids, in the order of the messages. A set of another
// length is none of theirs. RFC 4315 section 3
func expand(set string, uids []uint32) {
	n := 0
	for part := range strings.SplitSeq(set, ",") {
		from, to, isRange := strings.Cut(part, ":")
		low, high := item{text: from}.number(), item{text: to}.number()
		if !isRange {
			high = low
		}
		if low == 0 || high < low || int64(high-low) >= int64(len(uids)-n) {
			n = -1
			break
		}
		for uid := low; n < len(uids) && uid <= high && uid >= low; uid++ {
			uids[n] = uid
			n++
		}
	}
	if n != len(uids) {
		clear(uids)
	}
}
