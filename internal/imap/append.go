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
)

// Append is a message to store.
type Append struct {
	Folder string // as the server writes it
	Flags  []string
	Date   time.Time // internal date
	Size   int64     // of Text, in octets
	Text   io.Reader
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

// Append stores messages, each by a command of its own (RFC 9051 section 6.3.12): a refusal
// is about one message. The commands go out without waiting for the replies to earlier
// ones, as far as the server takes that (RFC 9051 section 5.5, RFC 7888). There is one
// result for each message.
func (c *Client) Append(messages []Append) []Appended {
	f := &flight{c: c, results: make([]Appended, len(messages)), tags: make(map[string]int)}
	usual := c.waiting
	c.waiting = usual * durablyTimes
	f.run(messages)
	c.waiting = usual
	return f.results
}

// durablyTimes is how many times as long as for another reply to wait for that to a message:
// the server makes it durable.
const durablyTimes = 10

// flight is the commands of one call of Append.
type flight struct {
	c       *Client
	results []Appended
	tags    map[string]int // of the messages that have no reply yet
	sizes   []int64
	octets  int64 // of these messages
}

func (f *flight) run(messages []Append) {
	f.sizes = make([]int64, len(messages))
	var err error
	for i, m := range messages {
		f.sizes[i] = m.Size
		for err == nil && len(f.tags) > 0 && (f.octets+m.Size > window || len(f.tags) >= maxUnanswered) {
			err = f.answer()
		}
		switch {
		case err == nil && f.c.interrupted():
			f.results[i].Err = errInterrupted
			continue
		case err == nil:
			err = f.send(i, m)
		}
		if err != nil && f.results[i].Err == nil {
			f.results[i].Err = err
		}
		if errors.As(err, new(*SourceError)) {
			err = f.c.failed // for the messages behind this one
		}
	}
	if err == nil {
		err = f.c.flush()
	}
	for err == nil && len(f.tags) > 0 {
		err = f.answer()
	}
	for _, i := range f.tags { // their replies will never come
		f.results[i] = Appended{Err: err, Sent: true}
	}
}

// send sends a message. The error is one of the connection, or a *SourceError, after which
// the connection cannot be used any more.
func (f *flight) send(i int, m Append) error {
	c := f.c
	ahead := c.Has("LITERAL+") && m.Size <= maxAhead || (c.Has("LITERAL-") || c.Has("IMAP4REV2")) && m.Size <= maxMinus
	line := "APPEND " + quoted(m.Folder) + " "
	if len(m.Flags) > 0 {
		line += "(" + strings.Join(m.Flags, " ") + ") "
	}
	line += m.Date.Format(`"_2-Jan-2006 15:04:05 -0700"`)
	plus := ""
	if ahead {
		plus = "+"
	}
	tag := c.send(fmt.Sprintf("%s {%d%s}", line, m.Size, plus), "", "\r\n")
	if !ahead {
		if err := c.flush(); err != nil {
			return err
		}
		wanted, err := f.wanted(i, tag)
		if err != nil || !wanted {
			return err
		}
	}
	if err := f.copy(m); err != nil {
		return err
	}
	f.tags[tag] = i
	f.octets += m.Size
	return nil
}

// copy sends the text of a message and the end of the command.
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
	f.c.out.WriteString("\r\n")
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

// answer reads one reply to a message.
func (f *flight) answer() error {
	if err := f.c.flush(); err != nil {
		return err
	}
	for n := len(f.tags); len(f.tags) == n; {
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

// note notes what a response says of a message that was sent.
func (f *flight) note(r *response) error {
	if r.tag == "*" {
		return nil
	}
	i, ok := f.tags[r.tag]
	if !ok {
		return f.c.fail(r.unexpected("APPEND"))
	}
	delete(f.tags, r.tag)
	f.octets -= f.sizes[i]
	f.c.read = 0
	f.results[i].Err = r.refusal("APPEND")
	if validity, uid, ok := strings.Cut(r.args, " "); ok && r.code == "APPENDUID" && r.status == "OK" {
		f.results[i].UIDValidity, f.results[i].UID = item{text: validity}.number(), item{text: uid}.number()
	}
	if bad, ok := errors.AsType[*Refusal](f.results[i].Err); ok && bad.Bad {
		// It may have taken the text of the message for commands.
		return f.c.fail(&ProtocolError{"APPEND", bad.Error()})
	}
	return nil
}
