// Package pop3 is the client side of POP3: one connection to one maildrop. It
// knows octets and the RFCs, and nothing about mail folders or earlier fetches.
//
//	RFC 1939  POP3
//	RFC 2449  CAPA, response codes, PIPELINING
//	RFC 2595  STLS
//	RFC 3206  the response codes SYS and AUTH
//	RFC 5034  AUTH with SASL; RFC 4616 PLAIN, RFC 2195 CRAM-MD5
//	RFC 8314  implicit TLS
//
// A [Client] is used from one goroutine; only Close may be called from another.
// It starts in state AUTHORIZATION. Login enters TRANSACTION, and Quit enters
// UPDATE, where the server removes what Dele has marked. Close drops the
// connection, and the server removes nothing.
//
// # Errors
//
// A *[ResponseError] is a refusal (-ERR), an *[AuthError] a refused or impossible
// login, a *[LineError] one line of a listing that cannot be used, and an error
// that is [ErrState] a command at the wrong time. After these the session goes on.
// Every other error breaks the client: nobody knows any more which reply belongs to
// which command. It sends nothing more, above all no QUIT, which could delete
// messages, and every call but Close returns an error that wraps [ErrBroken] and the
// first cause. [Client.Broken] tells the two cases apart.
//
// # Iterators
//
// List, Uidl, Retr, Top and Dele return sequences. Each loop over a sequence sends
// the commands. No other command may be called inside the loop. Leaving a loop early
// breaks the client if replies are still on their way.
//
// # Time
//
// The context given to Dial bounds the whole session. Options.Timeout bounds each
// reply as a whole; the time that the caller spends between two reads does not count.
//
// # Secrets
//
// No error and no trace shows a text of the server that gives a secret of the login
// away, see Options.Secrets: "***" takes its place.
package pop3
