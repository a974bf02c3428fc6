package pop3test

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong at one point of a session. A fault strikes the
// reply: the command has had its effect then, unless the fault is Err.
type Fault struct {
	// At is where the fault strikes:
	//
	//	"RETR"       every reply to a RETR
	//	"RETR 3"     every reply to that very command
	//	"greeting"   the greeting
	//	"challenge"  every "+ " line of a SASL exchange
	//	"*"          every reply, greeting and challenges too
	//	"connect"    before TLS and the greeting, an empty reply
	//	""           all that the server sends in a session, and what the
	//	             maildrop looks like from the login on
	//	"TLS"        the octets below TLS, handshake and records; only for
	//	             kinds that cut or slow down
	At string
	// Session is the connection that it strikes, counted from 1; 0 = every one.
	Session int
	// Times is how often it strikes at most; 0 = always.
	Times int
	// Do is what happens.
	Do Kind
	// After is how many octets of the reply (of the session if At is "" or "TLS")
	// the server sends unchanged before a kind that cuts, Raw or Endless begins.
	// A shorter reply is left alone. With At "" the count begins with the
	// greeting and is of the octets inside TLS. See AfterStatus.
	After int64
	// Text, N, Delay and Edit are arguments of the kind.
	Text  string
	N     int64
	Delay time.Duration
	Edit  func(reply []byte) []byte
	// Hook, if not nil, is called when the fault strikes: for a kind that cuts
	// once the octets before it are sent, otherwise once the command has arrived,
	// before it has an effect. A fault with Do 0 does nothing else. The session
	// waits until Hook returns; Hook must not call Close or Wait.
	Hook func()
}

// AfterStatus as Fault.After stands for the length of the first line.
const AfterStatus = -1

// Kind is what a fault does.
type Kind uint8

// Kinds that end the session. None of them enters the UPDATE state.
const (
	// Drop closes the connection: close_notify inside TLS, then a FIN.
	Drop Kind = iota + 1
	// CutTLS ends it with a FIN and without close_notify.
	CutTLS
	// Reset ends it with an RST.
	Reset
	// Stall sends nothing more until the client or Close ends the connection.
	Stall
)

// Kinds that change the octets of a reply.
const (
	// Err refuses the command with "-ERR Text". It has no effect. QUIT and the
	// greeting end the session all the same.
	Err Kind = iota + 16
	// Raw sends Text unchanged in place of the reply from After on.
	Raw
	// Extra sends Text unchanged behind the reply.
	Extra
	// Endless sends Text again and again from After on, until the connection
	// ends. In Text the characters "%d" stand for 1, 2, 3, …
	Endless
	// Twice sends the reply twice.
	Twice
	// Late keeps the reply back until the next command has come.
	Late
	// Swap keeps the reply back until the next one has been sent.
	Swap
	// Edit sends what Fault.Edit returns for the whole reply.
	Edit
	// Slow waits for Delay before each write of N octets, 0 = of the whole reply.
	// Inside TLS each write is one record.
	Slow
	// Unstuffed sends a body without byte-stuffing.
	Unstuffed
	// NoFinalCRLF leaves out the CRLF before the "." CRLF that ends a body.
	NoFinalCRLF
	// BareLFDot ends a body with LF "." LF in place of CRLF "." CRLF.
	BareLFDot
	// Forget drops, once the reply is sent, what the client had sent behind the
	// command by then.
	Forget
)

// Kinds that change what a client sees of the maildrop: in one reply (STAT, LIST and
// UIDL; RETR too for WrongOctets), or with At "" in the whole session.
const (
	// Partial shows the first N messages and no others.
	Partial Kind = iota + 64
	// Shuffle shows the messages in another order, always the same for the
	// same N. With At "" they are numbered in that order.
	Shuffle
	// WrongOctets announces N octets for every message.
	WrongOctets
	// DuplicateUID gives message N, 2 when 0, the unique-id of the first.
	DuplicateUID
	// RenumberUID gives every message another unique-id, with the prefix Text,
	// "new-" when empty.
	RenumberUID
	// Ghosts shows N messages, 1 when 0, behind the last that do not exist.
	Ghosts
)

// Kinds that change what the server does with the maildrop.
const (
	// HideAfterRetr hides a message from later sessions once it was retrieved
	// (At "" or "RETR").
	HideAfterRetr Kind = iota + 96
	// SkipUpdate deletes only the first N of the marked messages and confirms
	// all (At "" or "QUIT").
	SkipUpdate
)

// EndlessLine is a line of a reply that never ends.
func EndlessLine(at string) Fault {
	return Fault{At: at, Do: Endless, Text: strings.Repeat("x", 4096)}
}

// EndlessListing is a LIST or UIDL that never ends.
func EndlessListing(at string) Fault {
	return Fault{At: at, Do: Endless, After: AfterStatus, Text: "%d 1%d\r\n"}
}

// EndlessBody is a message that never ends.
func EndlessBody(at string) Fault {
	line := strings.Repeat("x", 70) + "\r\n"
	return Fault{At: at, Do: Endless, After: AfterStatus, Text: strings.Repeat(line, 64)}
}

// armed is a fault with the count of its strikes. Server.mu guards it.
type armed struct {
	Fault
	struck int
}

// strike returns the faults that strike a point of a session, and counts them.
func (s *Server) strike(from []*armed, session int, point string) []Fault {
	var now []Fault
	s.mu.Lock()
	for _, f := range from {
		if f.Session != 0 && f.Session != session || !f.matches(point) {
			continue
		}
		if f.Times > 0 && f.struck >= f.Times {
			continue
		}
		f.struck++
		now = append(now, f.Fault)
	}
	s.mu.Unlock()
	for _, f := range now {
		if f.Hook != nil && !f.Do.cuts() {
			f.Hook()
		}
	}
	return now
}

func (f Fault) matches(point string) bool {
	switch f.At {
	case "", "TLS", "connect":
		return f.At == point
	case "*":
		return point != "" && point != "TLS" && point != "connect"
	}
	verb, _, _ := strings.Cut(point, " ")
	return strings.EqualFold(f.At, point) || strings.EqualFold(f.At, verb)
}

// find returns the first fault of a kind.
func find(faults []Fault, k Kind) (Fault, bool) {
	i := slices.IndexFunc(faults, func(f Fault) bool { return f.Do == k })
	if i < 0 {
		return Fault{}, false
	}
	return faults[i], true
}

// change returns the reply in wire form as the fault changes it. Kinds that do not
// change octets return normal.
func (f Fault) change(normal emit) emit {
	switch f.Do {
	case Raw:
		return f.instead(normal, text(f.Text))
	case Extra:
		return then(normal, text(f.Text))
	case Endless:
		return f.instead(normal, f.repeat)
	case Twice:
		return then(normal, normal)
	case Edit:
		return func(w io.Writer) error {
			var whole bytes.Buffer
			if err := normal(&whole); err != nil {
				return err
			}
			_, err := w.Write(f.Edit(whole.Bytes()))
			return err
		}
	}
	return normal
}

func then(first, second emit) emit {
	return func(w io.Writer) error {
		if err := first(w); err != nil {
			return err
		}
		return second(w)
	}
}

// instead returns normal up to After, followed by tail.
func (f Fault) instead(normal, tail emit) emit {
	return func(w io.Writer) error {
		h := &head{w: w, after: f.After}
		err := normal(h)
		if h.full || err == nil && h.after == h.sent {
			return tail(w)
		}
		return err
	}
}

// repeat writes Text until w fails.
func (f Fault) repeat(w io.Writer) error {
	for i := 1; ; i++ {
		line := strings.ReplaceAll(f.Text, "%d", strconv.Itoa(i))
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
}
