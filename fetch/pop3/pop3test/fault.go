package pop3test

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong at one point of a session. The command has
// had its effect when a fault strikes its reply, unless the fault is Err.
type Fault struct {
	// At is where the fault strikes:
	//
	//	"RETR"       every reply to a RETR
	//	"RETR 3"     every reply to that very command
	//	"greeting"   the greeting
	//	"challenge"  every "+ " line of a SASL exchange
	//	"*"          every reply, greeting and challenges too
	//	"connect"    before TLS or the greeting, where the reply is empty
	//	""           all that the server sends in a session, and what the
	//	             maildrop looks like from the login on
	//	"TLS"        the octets below TLS, handshake and records; only kinds
	//	             that cut or slow down
	At string
	// Session is the connection it strikes, counted from 1; 0 = every one.
	Session int
	// Times is how often it strikes at most; 0 = always.
	Times int
	// Do is what happens.
	Do Kind
	// After is how many octets of the reply (of the session, where At is "" or
	// "TLS") go out in good order before a kind that cuts, or Raw or Endless,
	// sets in. A reply that is shorter is left alone. With At "" the count
	// begins with the greeting and is of the octets inside TLS. See AfterStatus.
	After int64
	// Text, N, Delay and Edit are what the kind makes of them.
	Text  string
	N     int64
	Delay time.Duration
	Edit  func(reply []byte) []byte
	// Hook, when set, is called when the fault strikes: for a kind that cuts
	// when the octets before it are out, else when the command has come and
	// had no effect yet. A fault with Do 0 does nothing but that. Nothing
	// goes on in the session until Hook returns; it must not call Close or
	// Wait.
	Hook func()
}

// AfterStatus as Fault.After means: behind the first line.
const AfterStatus = -1

// Kind is what a fault does.
type Kind uint8

// Kinds that end the session. None of them enters the UPDATE state.
const (
	// Drop ends the connection in good order: close_notify inside TLS, FIN.
	Drop Kind = iota + 1
	// CutTLS ends it with a FIN but without close_notify.
	CutTLS
	// Reset ends it with an RST.
	Reset
	// Stall sends nothing more until the client or Close ends it.
	Stall
)

// Kinds that change the octets of a reply.
const (
	// Err refuses the command with "-ERR Text". It has no effect. QUIT and the
	// greeting end the session all the same.
	Err Kind = iota + 16
	// Raw sends Text, as it stands, in place of the reply from After on.
	Raw
	// Extra sends Text, as it stands, behind the reply.
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
	// Edit sends what Fault.Edit makes of the reply, which is in memory as
	// a whole.
	Edit
	// Slow sends the reply in writes of N octets, 0 = in one, and waits for
	// Delay before each. Inside TLS each of them is one record.
	Slow
	// Unstuffed leaves the dots of a body as they are.
	Unstuffed
	// NoFinalCRLF ends a body with "." CRLF right behind the last octet of the
	// last line.
	NoFinalCRLF
	// BareLFDot ends a body with LF "." LF in place of CRLF "." CRLF.
	BareLFDot
	// Forget throws away, once the reply has been sent, what the client had
	// pipelined behind the command.
	Forget
)

// Kinds that change what a client sees of the maildrop: in one reply (STAT, LIST,
// UIDL; RETR for WrongOctets), or with At "" in the whole session.
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
	// RenumberUID gives every message another unique-id: Text, "new-" when
	// empty, stands in front of it.
	RenumberUID
	// Ghosts shows N messages, 1 when 0, behind the last that do not exist.
	Ghosts
)

// Kinds that change what the server does with the maildrop.
const (
	// HideAfterRetr leaves a message out of later sessions once it was
	// retrieved (At "" or "RETR").
	HideAfterRetr Kind = iota + 96
	// SkipUpdate deletes only the first N of the messages marked, and
	// confirms (At "" or "QUIT").
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

// change returns what the fault makes of a reply in wire form. Kinds that do not
// change octets leave it alone.
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

// instead is a reply that goes on with tail behind After.
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
