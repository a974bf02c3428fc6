//go:build linux

package cli_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// endOfMessage is the state in which a whole message has been read.
const endOfMessage = "END-OF-MESSAGE"

// policy is what a Postfix asks before it takes a recipient, or a message. It answers as Postfix
// expects it of a policy service, see SMTPD_POLICY_README.
type policy struct {
	addr string

	mu     sync.Mutex
	answer func(state, recipient string) (action string) // nil = take everything
}

// startPolicy starts one, and ends it with the test.
func startPolicy(t *testing.T) *policy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &policy{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

// ask sets what answers from now on, one question after the other. The state is RCPT or
// endOfMessage; then recipient is "" if there are several.
// An answer of "" lets Postfix go on.
func (p *policy) ask(answer func(state, recipient string) (action string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// serve answers the questions of one connection.
func (p *policy) serve(c net.Conn) {
	defer c.Close()
	asked := make(map[string]string)
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if name, value, more := strings.Cut(lines.Text(), "="); more {
			asked[name] = value
			continue
		}
		fmt.Fprintf(c, "action=%s\n\n", p.act(asked["protocol_state"], asked["recipient"]))
		clear(asked)
	}
}

func (p *policy) act(state, recipient string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer != nil {
		if action := p.answer(state, recipient); action != "" {
			return action
		}
	}
	return "DUNNO"
}
