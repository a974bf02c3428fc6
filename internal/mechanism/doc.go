// Package mechanism is the SASL mechanisms that go-sasl lacks or does otherwise, for the
// logins at POP3, IMAP and SMTP servers: SCRAM with channel bindings, CRAM-MD5, LOGIN,
// XOAUTH2 and OAUTHBEARER.
//
// Each is a client of go-sasl for one exchange. It has a method Done() bool too: a server
// that accepts the login before that is true has skipped a step, such as its own proof, and
// must not be believed.
package mechanism
