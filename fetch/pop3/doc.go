// Package pop3 is the client side of POP3: one connection to one maildrop. It
// knows bytes and the RFCs, and nothing of mail folders or of what was fetched
// before.
//
//	RFC 1939  POP3
//	RFC 2449  CAPA, response codes, PIPELINING
//	RFC 2595  STLS
//	RFC 3206  the response codes SYS and AUTH
//	RFC 5034  AUTH with SASL; RFC 4616 PLAIN, RFC 2195 CRAM-MD5
//	RFC 8314  implicit TLS
//
// A [Client] is used from one goroutine; only Close may be called from another.
// It starts in state AUTHORIZATION, Login brings it to TRANSACTION, Quit to
// UPDATE, where the server removes what Dele has marked. Close drops the
// connection, and the server removes nothing.
//
// # Errors
//
// A *[ResponseError] is a refusal (-ERR), an *[AuthError] a refused or
// impossible login, a *[LineError] one line of a listing that cannot be used,
// an error that is [ErrState] a command at the wrong time. After those the
// client goes on. After every other error the place in the dialogue is lost:
// the client is broken, nothing more is sent on it (no QUIT above all, which
// could delete messages), and every call but Close returns an error that wraps
// [ErrBroken] and the first cause. [Client.Broken] says which it is.
//
// # Iterators
//
// List, Uidl, Retr, Top and Dele return sequences. The commands are sent when
// the sequence is ranged over, each time again. No other command may be called
// inside the loop. A loop that is left before the end breaks the client where
// replies are still on their way, and does not where everything that was asked
// for so far has been read.
//
// # Time
//
// The context given to Dial bounds the whole session. Options.Timeout bounds
// each reply as a whole, and what a slow caller does between two reads does not
// count.
package pop3
