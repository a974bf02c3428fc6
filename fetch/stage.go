package fetch

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"popfetch/deliver"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/settle"
	"popfetch/state"
)

// stage stages one message and settles the current group if that is full. An error
// ends the retrieval.
func (v *visit) stage(it plan.Item, m *pop3.Message) error {
	b := &body{r: m.Body, identifier: plan.NewIdentifier(), limit: v.Policy.MaxOctets, progress: v.Progress,
		between: func() { v.settler.SettleOld(v.confirmed()) }}
	it.Record.Nonce = nonceFor(it.Record)
	meta := v.meta(it)
	staged, err := v.dest.Stage(v.life, meta, v.stamped(meta, b))
	v.report.Octets += b.octets
	v.given = v.given || b.err == nil
	if b.err != nil && err == nil { // the destination takes half a message for a whole one
		staged.Abort()
	}
	doubtful := !announced(b.octets, m.Octets, it.Octets)
	if surplus := v.surplusReply(it, b, doubtful); surplus != nil {
		if err == nil {
			staged.Abort()
		}
		return v.stepLost(surplus)
	}
	switch {
	case b.err != nil:
		return v.cut(it, m, b)
	case err != nil:
		return v.notStaged(it, b, err)
	}
	id := b.identifier.Identity()
	if again, err := v.recognise(it, id); again || err != nil {
		staged.Abort()
		return err
	}
	if !id.MayBe(it.Record) {
		// Its delivery id is that of the message which was perhaps handed over.
		staged.Abort()
		v.settler.Fail(it, state.Record{}, errors.New("it is another message than at the last attempt; the next poll fetches it"))
		return nil
	}
	id.Record(&it.Record)
	v.room -= b.octets // of no meaning unless v.tight
	v.settler.Add(settle.Member{Item: it, Staged: staged, Record: v.recordOf(it, b), Octets: b.octets, Seq: v.answered, Doubtful: doubtful})
	return v.settler.SettleFull(v.confirmed())
}

// nonceFor returns the nonce of the delivery id: that of an earlier attempt, or a new one.
// A record of version 1 that has the digest of a header block is of a message that was
// perhaps handed over, with nonce 0.
func nonceFor(r state.Record) uint32 {
	for r.Nonce == 0 && r.Digest == [16]byte{} {
		r.Nonce = rand.Uint32()
	}
	return r.Nonce
}

// recordOf returns what is recorded of a received message once it is delivered.
func (v *visit) recordOf(it plan.Item, b *body) state.Record {
	r := it.Record
	octets := it.Octets
	if octets < 0 {
		octets = b.octets
	}
	return state.Record{Delivered: v.now(), Octets: octets, Fingerprint: r.Fingerprint, Body: r.Body, Strong: r.Strong,
		Nonce: r.Nonce, Observed: v.when.Observed, Failures: r.Failures, Progress: r.Progress}
}

// surplusReply returns an error if a message of doubtful size is the reply to
// another command: the server sent a reply too many.
func (v *visit) surplusReply(it plan.Item, b *body, doubtful bool) error {
	if !doubtful || !v.session.Pipelined() {
		return nil
	}
	return v.session.SurplusReply(it.Num, b.head[:min(b.octets, int64(len(b.head)))])
}

// cut notes a message that ended before its end, and returns why.
func (v *visit) cut(it plan.Item, m *pop3.Message, b *body) error {
	if b.err == errTooBig {
		v.outgrown(it, b)
		return fmt.Errorf("RETR %d: the connection is dropped, for the rest of the message may never end", it.Num)
	}
	v.interrupted(it, b.err)
	if b.octets > 0 {
		v.lostStep = v.because(b.err)
		return v.lostStep
	}
	err := v.stepLost(b.err)
	// Without an octet of a message, what came may have been the reply to the mark
	// behind it, see pop3.Client.Confirmed.
	v.shifted = v.shifted || v.session.Pipelined() && m.Octets < 0
	return err
}

// notStaged notes that the destination did not take a message. The rest of it is
// read, so that the session stays in step and the messages delivered before can
// still be deleted. An error about the place ends the retrieval: the next message
// would meet the same.
func (v *visit) notStaged(it plan.Item, b *body, why error) error {
	scope := settle.ScopeOf(why)
	if scope == deliver.Room {
		return v.noRoom(it, b, why)
	}
	refused := scope == deliver.Message
	if refused {
		v.settler.Refuse(it, why, !temporary(why))
	}
	_, err := io.Copy(io.Discard, b)
	if refused {
		return err
	}
	return why
}

// announced reports whether a message has as many octets as the server said, in its
// reply to RETR and in the scan listing. Either may be wrong, or -1 for unknown;
// one must be right and none must differ. This shows a message that was cut, or
// glued to the next one, or is the answer to another RETR.
func announced(octets int64, said ...int64) bool {
	differs := func(n int64) bool { return n >= 0 && n != octets }
	return slices.Contains(said, octets) && !slices.ContainsFunc(said, differs)
}

// stamped returns the message as it is delivered: the octets of the wire, with the
// stamp of the account, if any, in front.
func (v *visit) stamped(meta deliver.Meta, b io.Reader) io.Reader {
	if v.Stamp == nil {
		return b
	}
	return io.MultiReader(strings.NewReader(v.Stamp(meta)), b)
}

func (v *visit) meta(it plan.Item) deliver.Meta {
	return deliver.Meta{
		ID:       plan.DeliveryID(v.Key, it.ID, it.Record.Nonce),
		Account:  v.Name,
		User:     v.User,
		Host:     v.Host,
		UID:      it.UID(),
		Protocol: v.Protocol,
		Attempt:  it.Record.Failures + 1,
		Time:     v.now(),
		Progress: it.Record.Progress,
	}
}
