// Package fetch leads the mail of one account from its maildrop to its
// destination: the poll with its order of safety, the plan that decides what a
// poll does (a pure function), the scheduler of many accounts, and the classes
// of errors.
//
// The way of one poll, see Account.Poll:
//
//	recover    intents that an earlier run left open are finished or voided
//	open       dial, TLS, log in: TRANSACTION state
//	list       unique-ids; sizes only where the plan needs them
//	plan       NewPlan: what to retrieve, to delete, to leave, and why
//	retrieve   for each group of messages: Stage, Prepare, Intend, Publish
//	delete     DELE for what is published and recorded
//	quit       UPDATE, only on a connection that is in step
//	record     intents that are done, ids that the server no longer lists
//
// A message counts as seen from the moment its intent is recorded, which is
// after it would survive a power cut and before a reader can see it. So a crash
// at any point leaves either a message that nobody knows of and that is fetched
// again, or an intent from which the delivery is finished without the server.
package fetch
