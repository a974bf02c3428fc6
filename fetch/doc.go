// Package fetch polls accounts: it fetches mail from a maildrop on a POP3 server,
// delivers it to the account's destination, and records what was delivered.
//
// A Scheduler polls many accounts, each at its interval. Account.Poll looks at one
// account once. It does so in a visit, which is one session with the server, or
// rarely in two. The steps of a poll:
//
//	intents  finish or void the deliveries that an earlier run left open
//	enter    connect, set up TLS, log in; list unique-ids and, if needed, sizes
//	plan     decide what to retrieve, to delete, to leave, and why (package plan)
//	look     get the header blocks of messages that the plan cannot decide about
//	receive  retrieve messages and hand them to the order of safety (package settle)
//	finish   DELE what is published and recorded; QUIT if the session is in step
//	record   finished intents, and ids that the server no longer lists
//
// A message counts as seen once its intent is recorded, which is after it would
// survive a power cut and before a reader of mail can see it. So a crash at any
// point leaves either a message that nothing is recorded of, and that is fetched
// again, or an intent from which the delivery is finished without the server.
package fetch
