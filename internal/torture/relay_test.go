//go:build linux

package torture

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
)

// mailServer is an LMTP or SMTP server in the process of the test. It takes everything.
type mailServer struct {
	to       way
	listener net.Listener
	trigger
	sessions sync.WaitGroup

	taken sync.Mutex
	mail  [][]byte
}

func startMailServer(to way) (*mailServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &mailServer{to: to, listener: l}
	s.sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.sessions.Go(func() {
				defer c.Close()
				s.serve(textproto.NewConn(c))
			})
		}
	})
	return s, nil
}

// close ends the server. Its clients have ended.
func (s *mailServer) close() {
	s.listener.Close()
	s.sessions.Wait()
}

func (s *mailServer) keys() string {
	return fmt.Sprintf("%s = %q\nrecipient = \"me@example.org\"\n", s.to, s.listener.Addr())
}

func (s *mailServer) texts() ([][]byte, error) {
	s.taken.Lock()
	defer s.taken.Unlock()
	return slices.Clone(s.mail), nil
}

// accepted is when a message has been taken, and the reply has not been sent.
const accepted = "ACCEPTED"

func (s *mailServer) verbs() []string { return []string{"MAIL", "RCPT", "DATA", accepted} }

// serve is one session.
func (s *mailServer) serve(c *textproto.Conn) {
	for reply := "220 ready"; c.PrintfLine("%s", reply) == nil; {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		s.heard(line)
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "EHLO", "LHLO":
			reply = "250-here\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES"
		case "DATA":
			if c.PrintfLine("354 go on") != nil {
				return
			}
			var text bytes.Buffer
			if _, err := io.Copy(&text, c.DotReader()); err != nil { // to LF line ends
				return
			}
			s.taken.Lock()
			s.mail = append(s.mail, text.Bytes())
			s.taken.Unlock()
			s.heard(accepted)
			reply = "250 2.0.0 taken"
		default:
			reply = "250 2.0.0 ok"
		}
	}
}
