package maildir

import (
	"crypto/tls"
	"fmt"
	"io"
	"iter"
	"strings"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
)

// crashMessages is how many messages the maildrop has.
const crashMessages = 5

// mail holds the messages as the server sends them, and as the Maildir stores them. Each has
// another length, so that a part of one is never equal to another.
type mail struct {
	wire, stored [crashMessages]string
}

func newMail() *mail {
	var m mail
	for i := range crashMessages {
		m.stored[i] = fmt.Sprintf("Subject: message %d\n\n%s", i, strings.Repeat("text of the message\n", 2+i))
		m.wire[i] = strings.ReplaceAll(m.stored[i], "\n", "\r\n")
	}
	return &m
}

func crashUID(i int) string { return fmt.Sprintf("uid-%d", i) }

// maildrop is the state of the server.
type maildrop struct {
	gone   [crashMessages]bool // deleted for good
	marked [crashMessages]bool // by DELE, in the open session
}

// ends returns the states that the maildrop may have after the connection was lost: unchanged
// and, if messages are marked, with these deleted. The latter happens between QUIT and its
// reply, and at any time with a server that treats a lost connection as QUIT, which RFC
// 1939 section 6 forbids.
func (d maildrop) ends() []maildrop {
	kept := maildrop{gone: d.gone}
	if d.marked == [crashMessages]bool{} {
		return []maildrop{kept}
	}
	updated := kept
	for i, marked := range d.marked {
		updated.gone[i] = updated.gone[i] || marked
	}
	return []maildrop{kept, updated}
}

// session is a fetch.Session with the maildrop of a world.
type session struct {
	w    *world
	open bool
}

var _ fetch.Session = (*session)(nil)

func (s *session) Capabilities() pop3.Capabilities { return pop3.Capabilities{} }
func (s *session) Offer() pop3.Offer               { return pop3.Offer{} }

// listed yields the numbers of the messages that are not deleted. They keep the numbers of the
// first session, which RFC 1939 allows and does not promise.
func (s *session) listed() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, gone := range s.w.server.gone {
			if !gone && !yield(i+1) {
				return
			}
		}
	}
}

func (s *session) List() iter.Seq2[pop3.ScanListing, error] {
	return func(yield func(pop3.ScanListing, error) bool) {
		for num := range s.listed() {
			if !yield(pop3.ScanListing{Num: num, Octets: int64(len(s.w.mail.wire[num-1]))}, nil) {
				return
			}
		}
	}
}

func (s *session) Uidl() iter.Seq2[pop3.UniqueID, error] {
	return func(yield func(pop3.UniqueID, error) bool) {
		for num := range s.listed() {
			if !yield(pop3.UniqueID{Num: num, ID: []byte(crashUID(num - 1))}, nil) {
				return
			}
		}
	}
}

func (s *session) Top(nums []int, _ int) iter.Seq2[*pop3.Message, error] {
	return s.messages(nums, func(text string) string {
		head, _, _ := strings.Cut(text, "\r\n\r\n")
		return head + "\r\n\r\n"
	})
}

func (s *session) Retr(nums []int, _ func(int) int64) iter.Seq2[*pop3.Message, error] {
	return s.messages(nums, func(text string) string { return text })
}

func (s *session) messages(nums []int, part func(string) string) iter.Seq2[*pop3.Message, error] {
	return func(yield func(*pop3.Message, error) bool) {
		for _, num := range nums {
			text := part(s.w.mail.wire[num-1])
			if !yield(&pop3.Message{Num: num, Octets: int64(len(text)), Body: strings.NewReader(text)}, nil) {
				return
			}
		}
	}
}

func (s *session) DeleThenQuit(nums []int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for _, num := range nums {
			s.w.server.marked[num-1] = true
			s.w.note(fmt.Sprintf("DELE %d", num))
			if !yield(num, nil) {
				return
			}
		}
	}
}

func (s *session) Stat() (int, int64, error) { return len(s.w.mail.wire), 0, nil }

func (s *session) Broken() error { return nil }

func (s *session) SurplusReply(int, []byte) error { return nil }

func (s *session) Bye() error { return s.Quit() }

func (s *session) Quit() error {
	if !s.open {
		return io.ErrClosedPipe
	}
	s.open = false
	ends := s.w.server.ends()
	s.w.server = ends[len(ends)-1]
	s.w.note("QUIT")
	return nil
}

// Close drops the connection: the server forgets the marks.
func (s *session) Close() error {
	if s.open {
		s.open = false
		s.w.server.marked = [crashMessages]bool{}
	}
	return nil
}

// The server has no PIPELINING, so that no reply is ever outstanding.

func (s *session) Drain()          {}
func (s *session) Confirmed() int  { return 0 }
func (s *session) Owed() int       { return 0 }
func (s *session) Pipelined() bool { return false }
func (s *session) RoundTrips() int { return 0 }

func (s *session) TLS() (tls.ConnectionState, bool) { return tls.ConnectionState{}, false }
